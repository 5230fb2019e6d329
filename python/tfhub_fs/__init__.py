"""Lets tensorflow_hub take models from a tfhub-fs mount.

    import tfhub_fs
    tfhub_fs.register()

From then on hub.load, hub.resolve and hub.KerasLayer find every http(s) handle below the mountpoint, and download nothing.
"""

import errno
import os
import re

from tensorflow_hub import registry, resolver

__all__ = ["NoMountError", "mountpoints", "register", "unregister"]

_FILE_SYSTEM = "fuse.tfhub-fs"


class NoMountError(RuntimeError):
    """There is no tfhub-fs mount to take models from, or it is not clear which."""


def mountpoints() -> list:
    """The mountpoints of all tfhub-fs mounts that this process sees, in the order they were mounted."""
    found = []
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            lines = table.readlines()
    except FileNotFoundError:  # no Linux, and so no tfhub-fs
        return found
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if rest.split(" ", 1)[0] == _FILE_SYSTEM:
            # Spaces and the like are written as \040.
            found.append(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields.split(" ")[4]))
    return found


class _MountResolver(resolver.Resolver):
    """Handles become paths below a mountpoint; `None` supports nothing."""

    mountpoint = None

    def is_supported(self, handle):
        return self.mountpoint is not None and isinstance(handle, str) and handle.startswith(("https://", "http://"))

    def __call__(self, handle):
        # Through the links of other spellings, so that the path has no `?`, which TensorFlow takes for a wildcard.
        path = os.path.realpath(os.path.join(self.mountpoint, handle))
        try:
            if not _is_model(path):
                path = os.path.realpath(os.path.join(path, "latest"), strict=True)
        except OSError as error:
            raise _explained(error, handle, self.mountpoint) from None
        return path


def _is_model(path) -> bool:
    """Whether it is a model, and not the directory of a model's versions."""
    os.stat(path)
    try:
        return bool(os.getxattr(path, "user.tfhub.handle"))
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return False


_resolver = _MountResolver()


def register(mountpoint=None) -> str:
    """Makes tensorflow_hub find http(s) handles in a mount. Returns its mountpoint.

    Args:
      mountpoint: where tfhub-fs is mounted; by default $TFHUB_FS_MOUNT, else the only tfhub-fs mount.

    Raises:
      NoMountError: there is no tfhub-fs mount there, or none at all, or several and none was named.
    """
    mountpoint = _choose(mountpoint if mountpoint is not None else os.environ.get("TFHUB_FS_MOUNT"))
    if not _is_first():
        # Others may have cleared or added implementations since; the latest is asked first.
        registry.resolver.add_implementation(_resolver)
    _resolver.mountpoint = mountpoint
    return mountpoint


def _is_first() -> bool:
    """Whether tensorflow_hub asks this module before every other resolver already."""
    known = getattr(registry.resolver, "_impls", None)
    return bool(known) and known[-1] is _resolver


def unregister() -> None:
    """Leaves handles to tensorflow_hub again."""
    _resolver.mountpoint = None


def _choose(named) -> str:
    mounted = mountpoints()
    if named:
        path = os.path.realpath(os.fspath(named))
        if path not in mounted:
            raise NoMountError(f"no tfhub-fs is mounted at {path}; mount it with: sudo tfhub-fs mount {path}")
        return path
    if not mounted:
        raise NoMountError("there is no tfhub-fs mount; make one with: sudo tfhub-fs mount /mnt/tfhub")
    if len(set(mounted)) > 1:
        listed = ", ".join(mounted)
        raise NoMountError(f"several tfhub-fs are mounted ({listed}); name one: tfhub_fs.register({mounted[0]!r})")
    return mounted[0]


def _explained(error, handle, mountpoint):
    """The same error with what the mount says about it."""
    if error.errno == errno.ENOTCONN:
        why = f"the tfhub-fs that was mounted at {mountpoint} has ended; mount it again"
    else:
        why = _told(handle, mountpoint) or error.strerror
    return type(error)(error.errno, f"{handle}: {why}", mountpoint)


def _told(handle, mountpoint):
    """What the mount says of this handle, if anything."""
    try:
        told = os.getxattr(mountpoint, "user.tfhub.error").decode("utf-8", "replace")
    except OSError:
        return None
    # The last error may be another model's.
    return told if handle.split("?")[0].rstrip("/") in told else None

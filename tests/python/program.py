"""The program under test, as the suites drive it: mounts, hubs and single commands, each with a sure end."""

import contextlib
import os
import pathlib
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TFHUB_FS_BINARY", REPOSITORY / "target/debug/tfhub-fs"))
SOON = 20.0  # seconds in which a process must have started or ended, on a busy machine


def clean_environment() -> dict:
    """What a child sees: nothing of the caller's Hub settings or proxies."""
    unwanted = ("TFHUB", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "STORAGE_EMULATOR", "AWS", "GOOGLE", "KAGGLE")
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(unwanted)}
    # How full the disk of this machine is has nothing to do with any test.
    return clean | {"TFHUB_FS_MIN_FREE": "0"}


def run(*arguments, timeout: float = 60, environment: dict | None = None) -> subprocess.CompletedProcess:
    command = [str(BINARY), *map(str, arguments)]
    given = clean_environment() | (environment or {})
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=timeout)


def resolve(handle: str, cache: pathlib.Path, *flags) -> subprocess.CompletedProcess:
    return run("resolve", handle, "--cache-dir", cache, "--timeout", "5s", *flags)


def is_mounted(path: pathlib.Path) -> bool:
    with open("/proc/self/mounts") as mounts:
        return any(line.split()[1] == str(path) for line in mounts)


def wait_until(condition, what: str, seconds: float = SOON) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Mount:
    """`tfhub-fs mount --foreground` on a directory."""

    def __init__(self, mountpoint: pathlib.Path, cache: pathlib.Path, *flags, environment: dict | None = None):
        self.path = mountpoint
        self.cache = cache
        self.log = mountpoint.with_name(mountpoint.name + ".log")
        command = [BINARY, "mount", mountpoint, "--foreground", "--cache-dir", cache, *flags]
        given = clean_environment() | (environment or {})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(list(map(str, command)), env=given, stdout=log, stderr=log)
        try:
            wait_until(lambda: is_mounted(mountpoint) or self.process.poll() is not None, "the mount")
            if self.process.poll() is not None:
                raise RuntimeError(f"mount ended with {self.process.returncode}: {self.log.read_text()}")
        except BaseException:
            self.destroy()
            raise

    def __truediv__(self, path: str) -> str:
        """The path under the mountpoint as text, which is what TensorFlow wants."""
        return f"{self.path}/{path}"

    def unmount(self) -> None:
        """The clean way, and the proof that it leaves nothing."""
        done = run("unmount", self.path)
        assert done.returncode == 0, done.stderr
        assert self.process.wait(SOON) == 0, self.log.read_text()
        assert not is_mounted(self.path)

    def kill(self) -> None:
        """As the out-of-memory killer would; the dead mount is taken away by hand."""
        self.process.kill()
        self.process.wait()
        if is_mounted(self.path):
            subprocess.run(["umount", "-l", str(self.path)], check=False)

    def destroy(self) -> None:
        """Whatever has happened, nothing is left afterwards."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(SOON)
        self.kill()
        print(f"--- log of {self.path.name}\n{self.log.read_text()}")


class Hub:
    """`tfhub-fs serve` on a directory of models."""

    def __init__(self, directory: pathlib.Path, *flags):
        command = [BINARY, "serve", directory, *flags]
        self.process = subprocess.Popen(
            list(map(str, command)), env=clean_environment(), stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http://"):
            self.stop()
            raise RuntimeError(f"serve printed {self.url!r}, not its URL")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(SOON)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stdout.close()

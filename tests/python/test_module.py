"""Programs that say nothing but a public URL: unchanged, with TFHUB_CACHE_DIR on the mount, or with the module `tfhub_fs`."""

import errno
import hashlib
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
import tensorflow_hub
import tensorflow_hub.registry

import expected
import program

sys.path.insert(0, str(program.REPOSITORY / "python"))
import tfhub_fs

DENSE = "https://tfhub.dev/test/dense/1"


@pytest.fixture
def mounted(hub, mount):
    """A mount whose tfhub.dev is the hub of these tests."""
    return lambda *flags: mount("--mirror", f"https://tfhub.dev={hub.url}", *flags)


@pytest.fixture
def registered(monkeypatch):
    """The module, which sees no mount but those of this test: a host may well have others."""
    others = set(tfhub_fs.mountpoints())
    every = tfhub_fs.mountpoints
    monkeypatch.setattr(tfhub_fs, "mountpoints", lambda: [path for path in every() if path not in others])
    yield tfhub_fs.register
    tfhub_fs.unregister()


@pytest.fixture
def dense_wanted(plain):
    return expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))


# --- a program that cannot be changed

UNCHANGED = """
import sys
import tensorflow_hub as hub
for url in sys.argv[1:]:
    assert hub.load(url).signatures is not None
    print(hub.resolve(url))
"""


def unchanged(modules: str, *handles: str) -> subprocess.CompletedProcess:
    """A program of its own, whose way to the network is cut."""
    environment = program.clean_environment() | {
        "TFHUB_CACHE_DIR": modules,
        "https_proxy": "http://127.0.0.1:9",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    command = [sys.executable, "-c", UNCHANGED, *handles]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_an_unchanged_program_loads_what_a_catalog_names(place, mounted):
    catalog = place / "catalog"
    handles = [DENSE, "https://tfhub.dev/test/text/1?tfhub-redirect=true"]
    catalog.write_text("\n".join(handles))
    at = mounted("--catalog", catalog)
    modules = at / ".tfhub_modules"
    names = [hashlib.sha1(handle.encode()).hexdigest() for handle in handles]
    assert set(names) <= set(os.listdir(modules))
    done = unchanged(modules, *handles)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{modules}/{name}" for name in names]
    left = [path.name for path in pathlib.Path(modules).iterdir() if not path.is_symlink()]
    assert left == [], "neither a lock nor a descriptor"


def test_an_unchanged_program_loads_what_was_opened_or_cached(mounted):
    at = mounted()
    modules = at / ".tfhub_modules"
    refused = unchanged(modules, DENSE)
    assert refused.returncode != 0, "nobody has told the mount of it"
    os.stat(at / "test/dense/1")
    assert unchanged(modules, DENSE).returncode == 0
    at.unmount()
    again = mounted()
    assert unchanged(again / ".tfhub_modules", DENSE).returncode == 0


# --- the module


def test_a_registered_mount_resolves_public_urls(mounted, hub_cache, registered, dense_wanted, place, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(place / "untouched"))
    at = mounted()
    assert registered() == str(at.path)
    for handle in [DENSE, f"{DENSE}?tfhub-redirect=true", f"{DENSE}/"]:
        assert tensorflow_hub.resolve(handle) == at / "test/dense/1", "one name for all spellings"
        expected.same(expected.dense(tensorflow_hub.load(handle)), dense_wanted)
    assert tensorflow_hub.resolve("https://tfhub.dev/test/dense") == at / "test/dense/2", "the newest"
    assert not (place / "untouched").exists(), "tensorflow_hub downloads nothing"


def test_a_keras_layer_of_a_public_url(mounted, hub_cache, registered, plain):
    registered(mounted().path)
    inputs = expected.vectors(4, 12)
    layers = [tensorflow_hub.KerasLayer(of) for of in ("https://tfhub.dev/test/keras/1", str(plain / "test/keras/1"))]
    left, right = (layer(inputs).numpy() for layer in layers)
    expected.same(left, right)


def test_what_is_no_url_is_left_alone(mounted, registered, plain):
    registered(mounted().path)
    path = str(plain / "test/dense/1")
    assert tensorflow_hub.resolve(path) == path


def test_a_model_that_is_not_there_is_an_error_that_says_why(mounted, registered):
    at = registered(mounted().path)
    with pytest.raises(FileNotFoundError) as raised:
        tensorflow_hub.load("https://tfhub.dev/test/none/1")
    assert raised.value.errno == errno.ENOENT
    assert "https://tfhub.dev/test/none/1" in str(raised.value) and at in str(raised.value)


def test_the_mount_is_found_or_named(mounted, registered, monkeypatch, place):
    with pytest.raises(tfhub_fs.NoMountError, match="there is no tfhub-fs mount"):
        registered()
    one = mounted()
    two = mounted()
    assert set(tfhub_fs.mountpoints()) == {str(one.path), str(two.path)}
    with pytest.raises(tfhub_fs.NoMountError, match="several"):
        registered()
    monkeypatch.setenv("TFHUB_FS_MOUNT", str(two.path))
    assert registered() == str(two.path)
    assert registered(one.path) == str(one.path), "again, and elsewhere"
    with pytest.raises(tfhub_fs.NoMountError, match="no tfhub-fs is mounted at"):
        registered(place)
    assert tensorflow_hub.resolve(DENSE).startswith(str(one.path)), "what was registered stays"


def test_registering_again_adds_nothing(mounted, registered):
    at = mounted()
    registered(at.path)
    known = len(tensorflow_hub.registry.resolver._impls)
    for _ in range(3):
        tfhub_fs.unregister()
        registered(at.path)
    assert len(tensorflow_hub.registry.resolver._impls) == known
    assert tensorflow_hub.resolve(DENSE) == at / "test/dense/1"


def test_a_system_without_a_table_of_mounts_has_none(monkeypatch):
    def absent(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(tfhub_fs, "open", absent, raising=False)
    with pytest.raises(tfhub_fs.NoMountError, match="there is no tfhub-fs mount"):
        tfhub_fs.register()


def test_a_dead_mount_is_said_to_be_dead(mounted, registered):
    at = mounted()
    registered(at.path)
    at.process.kill()
    at.process.wait()
    with pytest.raises(OSError, match="has ended; mount it again"):
        tensorflow_hub.resolve(DENSE)


def test_pip_installs_it_from_the_repository(place):
    source = program.REPOSITORY / "python"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    # A copy, because setuptools builds in the source directory.
    subprocess.run(["cp", "-r", str(source), str(place / "source")], check=True)
    subprocess.run([*pip, "--no-build-isolation", "--target", str(place / "site"), str(place / "source")], check=True)
    code = "import tfhub_fs; print(tfhub_fs.__file__)"
    environment = os.environ | {"PYTHONPATH": str(place / "site")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=place, capture_output=True, text=True)
    assert done.stdout.startswith(str(place / "site")), done.stderr

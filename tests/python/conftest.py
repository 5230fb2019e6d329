"""What every suite here shares: the real models, a hub that serves them, and mounts that always end."""

import itertools
import os
import pathlib
import shutil
import tempfile

# KerasLayer is made for Keras 2; both must be said before TensorFlow is imported.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import pytest

import program
import realmodels
from origin import Origin
from published import Published


def pytest_configure():
    if os.getuid() != 0:
        pytest.exit("these tests mount, become other users and make namespaces: run them as root", returncode=1)


@pytest.fixture(scope="session")
def scratch():
    """A directory that other users may enter, unlike pytest's own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tfhub-fs-test-"))
    path.chmod(0o755)
    yield path
    mounted = [line.split()[1] for line in open("/proc/self/mounts") if line.split()[1].startswith(f"{path}/")]
    assert not mounted, f"a test left these mounted: {mounted}"
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def numbers():
    return itertools.count()


@pytest.fixture
def place(scratch, numbers):
    """A fresh directory of one test."""
    path = scratch / f"{next(numbers):03}"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def plain(scratch):
    """The models as plain directories, `plain/test/dense/1` and so on: what everything is compared with."""
    path = scratch / "plain"
    realmodels.make_all(path)
    return path


@pytest.fixture(scope="session")
def hub(plain):
    """The program's own hub, which offers them."""
    served = program.Hub(plain)
    yield served
    served.stop()


@pytest.fixture(scope="session")
def published(plain):
    """The same models as tfhub.dev, Kaggle and a bucket publish them."""
    origin = Published(plain)
    yield origin
    origin.stop()


@pytest.fixture
def mount(place):
    """Mounts a hub with a cache of this test: `mount("--hub-url", url)`."""
    mounts = []

    def start(*flags, cache=place / "cache", environment=None):
        at = place / f"mount-{len(mounts)}"
        mounts.append(program.Mount(at, cache, *flags, environment=environment))
        return mounts[-1]

    yield start
    for one in mounts:
        one.destroy()


@pytest.fixture
def origin(place):
    """The scripted origin, with a log of requests of this test."""
    scripted = Origin(place / "origin")
    yield scripted
    scripted.stop()


@pytest.fixture
def hub_cache(place, monkeypatch):
    """The directory in which tensorflow_hub caches during this test; also its way to the internet is cut."""
    path = place / "cache"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    return path

"""One cache directory, two programs: each uses what the other filled, and neither fetches a model twice."""

import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import threading
import time

import pytest
import tensorflow as tf
import tensorflow_hub
from tensorflow_hub import compressed_module_resolver

import expected
import program


def pack(directory: pathlib.Path) -> bytes:
    """The archive of a model directory, as publishers make it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        archive.add(directory, arcname=".")
    return packed.getvalue()


def entry(cache: pathlib.Path, handle: str) -> pathlib.Path:
    return cache / hashlib.sha1(handle.encode()).hexdigest()


def left_in(cache: pathlib.Path) -> set[str]:
    """What lies in the cache: names, apart from the program's own corner."""
    return {path.name for path in cache.iterdir()} - {".tfhub-fs"}


def complete(cache: pathlib.Path, *handles: str) -> set[str]:
    """What should lie there when these handles are cached and nothing is under way."""
    roots = [entry(cache, handle).name for handle in handles]
    return set(roots) | {root + ".descriptor.txt" for root in roots}


@pytest.fixture
def dense_wanted(plain):
    return expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))


# --- what one filled serves the other


@pytest.mark.parametrize("filler", ["mount", "resolve"])
def test_hub_load_of_a_public_handle_without_network(filler, plain, hub, mount, hub_cache):
    """A mirror fills the cache under the canonical handle; afterwards tensorflow_hub needs nobody."""
    handle = "https://tfhub.dev/test/text/1"
    mirror = ["--mirror", f"https://tfhub.dev={hub.url}"]
    if filler == "mount":
        mounted = mount(*mirror, cache=hub_cache)
        tf.saved_model.load(mounted / "test/text/1")
        program.wait_until(entry(hub_cache, handle).is_dir, "the sealed model")
        mounted.unmount()
    else:
        done = program.resolve(handle, hub_cache, *mirror)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(entry(hub_cache, handle))
    loaded = tensorflow_hub.load(handle)
    expected.same(expected.text(loaded), expected.text(tf.saved_model.load(str(plain / "test/text/1"))))
    assert left_in(hub_cache) == complete(hub_cache, handle)
    descriptor = (hub_cache / (entry(hub_cache, handle).name + ".descriptor.txt")).read_text()
    assert descriptor.splitlines()[0] == f"Module: {handle}"


def test_what_tensorflow_hub_cached_is_served_without_a_request(plain, origin, mount, hub_cache, dense_wanted):
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    tensorflow_hub.resolve(handle)
    assert len(origin.downloads()) == 1
    origin.forget_requests()
    mounted = mount("--hub-url", origin.url, cache=hub_cache)
    for _ in range(2):
        expected.same(expected.dense(tf.saved_model.load(mounted / "test/dense/1")), dense_wanted)
    assert origin.requests() == []
    origin.stop()
    expected.same(expected.dense(tensorflow_hub.load(mounted / "test/dense/1")), dense_wanted)


def test_what_the_mount_sealed_is_served_by_the_next_mount_without_a_request(
    plain, origin, mount, hub_cache, dense_wanted
):
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    first = mount("--hub-url", origin.url, cache=hub_cache)
    tf.saved_model.load(first / "test/dense/1")
    program.wait_until(entry(hub_cache, handle).is_dir, "the sealed model")
    first.unmount()
    origin.stop()
    second = mount("--hub-url", origin.url, cache=hub_cache)
    expected.same(expected.dense(tf.saved_model.load(second / "test/dense/1")), dense_wanted)


# --- half-deleted entries, as cleaners of temporary directories leave them


@pytest.mark.parametrize("filler", ["tensorflow_hub", "tfhub-fs"])
@pytest.mark.parametrize(
    "victims",
    [
        ["saved_model.pb"],
        ["variables/variables.index"],
        ["variables/variables.data-00000-of-00001"],
        ["saved_model.pb", "fingerprint.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"],
    ],
    ids=["graph", "index", "shard", "every-file"],
)
def test_a_half_deleted_entry_is_fetched_again(filler, victims, plain, origin, mount, hub_cache, dense_wanted):
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    if filler == "tensorflow_hub":
        tensorflow_hub.resolve(handle)
    else:
        assert program.resolve(handle, hub_cache).returncode == 0
    for victim in victims:
        (entry(hub_cache, handle) / victim).unlink()
    mounted = mount("--hub-url", origin.url, cache=hub_cache)
    expected.same(expected.dense(tf.saved_model.load(mounted / "test/dense/1")), dense_wanted)
    program.wait_until(lambda: left_in(hub_cache) == complete(hub_cache, handle), "the sealed model")
    assert len(origin.downloads()) == 2
    expected.same(expected.dense(tensorflow_hub.load(handle)), dense_wanted)
    assert len(origin.downloads()) == 2


def test_an_entry_emptied_to_nothing_is_fetched_again(plain, origin, hub_cache):
    handle = origin.offer("test/lite/1", (plain / "test/lite/1.tar.gz").read_bytes())
    tensorflow_hub.resolve(handle)
    (entry(hub_cache, handle) / "1.tflite").unlink()
    done = program.resolve(handle, hub_cache)
    assert done.returncode == 0, done.stderr
    assert os.listdir(done.stdout.strip()) == ["1.tflite"]


# --- both at once


def in_a_thread(work):
    """Starts `work` and returns a function that waits for its result."""
    result = []

    def body():
        try:
            result.append((work(), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=body)
    thread.start()

    def wait():
        thread.join(60)
        assert not thread.is_alive(), "it hangs"
        value, error = result[0]
        if error:
            raise error
        return value

    return wait


SLOWLY = 1_000_000  # bytes per second: the dense model takes about two seconds


@pytest.mark.parametrize("first", ["tensorflow_hub", "mount"])
def test_a_mount_and_tensorflow_hub_fetch_once(first, plain, origin, mount, hub_cache, dense_wanted):
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"), rate=SLOWLY)
    mounted = mount("--hub-url", origin.url, cache=hub_cache)
    works = {
        "tensorflow_hub": lambda: tensorflow_hub.resolve(handle),
        "mount": lambda: tf.saved_model.load(mounted / "test/dense/1"),
    }
    leader = in_a_thread(works.pop(first))
    program.wait_until(lambda: entry(hub_cache, handle).with_suffix(".lock").exists(), "the lock of the first")
    follower = in_a_thread(*works.values())
    loaded, resolved = (follower(), leader()) if first == "tensorflow_hub" else (leader(), follower())
    expected.same(expected.dense(loaded), dense_wanted)
    assert resolved == str(entry(hub_cache, handle))
    expected.same(expected.dense(tf.saved_model.load(resolved)), dense_wanted)
    assert len(origin.downloads()) == 1
    program.wait_until(lambda: left_in(hub_cache) == complete(hub_cache, handle), "the end of both")


def test_two_mounts_and_a_resolve_fetch_once(plain, origin, mount, hub_cache, dense_wanted):
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"), rate=SLOWLY)
    mounts = [mount("--hub-url", origin.url, cache=hub_cache) for _ in range(2)]
    loads = [in_a_thread(lambda m=m: tf.saved_model.load(m / "test/dense/1")) for m in mounts]
    resolved = in_a_thread(lambda: program.run("resolve", handle, "--cache-dir", hub_cache))
    for load in loads:
        expected.same(expected.dense(load()), dense_wanted)
    assert resolved().returncode == 0, resolved().stderr
    assert len(origin.downloads()) == 1
    program.wait_until(lambda: left_in(hub_cache) == complete(hub_cache, handle), "the end of all")


def test_sixteen_readers_of_one_cold_model_fetch_once(plain, origin, mount, hub_cache, dense_wanted):
    origin.offer("test/dense/1", pack(plain / "test/dense/1"), rate=4 * SLOWLY)
    mounted = mount("--hub-url", origin.url, cache=hub_cache)
    loads = [in_a_thread(lambda: tf.saved_model.load(mounted / "test/dense/1")) for _ in range(16)]
    for load in loads:
        expected.same(expected.dense(load()), dense_wanted)
    assert len(origin.downloads()) == 1


# --- the dead


def test_the_lock_of_a_killed_tensorflow_hub_is_taken_over(plain, origin, mount, hub_cache, dense_wanted):
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"), rate=100_000)
    code = f"import tensorflow_hub; tensorflow_hub.resolve({handle!r})"
    victim = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    lock = entry(hub_cache, handle).with_suffix(".lock")
    program.wait_until(lambda: lock.exists() and any(hub_cache.glob("*.tmp")), "its download")
    victim.kill()
    victim.wait()
    assert lock.exists()
    origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    mounted = mount("--hub-url", origin.url, cache=hub_cache)
    started = time.monotonic()
    expected.same(expected.dense(tf.saved_model.load(mounted / "test/dense/1")), dense_wanted)
    assert 5 < time.monotonic() - started < 25
    program.wait_until(lambda: not lock.exists() and entry(hub_cache, handle).is_dir(), "the sealed model")
    assert complete(hub_cache, handle) <= left_in(hub_cache)


def test_a_killed_mount_holds_up_nobody(plain, origin, mount, hub_cache, dense_wanted, monkeypatch):
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"), rate=100_000)
    mounted = mount("--hub-url", origin.url, cache=hub_cache)
    reader = subprocess.Popen(["cat", mounted / "test/dense/1/saved_model.pb"], stdout=subprocess.DEVNULL)
    program.wait_until(lambda: any(hub_cache.glob("*.tmp")), "its download")
    mounted.kill()
    reader.wait(program.SOON)
    assert not entry(hub_cache, handle).exists()
    origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    # tensorflow_hub has its own rule for a dead lock; its ten minutes are made two seconds here.
    spare = hub_cache.with_name("cache-of-tensorflow-hub")
    shutil.copytree(hub_cache, spare)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(spare))
    monkeypatch.setattr(compressed_module_resolver, "LOCK_FILE_TIMEOUT_SEC", 2)
    expected.same(expected.dense(tensorflow_hub.load(handle)), dense_wanted)
    # The program's own next start reclaims what the dead one left, at once.
    started = time.monotonic()
    done = program.resolve(handle, hub_cache)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 5
    assert left_in(hub_cache) == complete(hub_cache, handle)
    expected.same(expected.dense(tf.saved_model.load(done.stdout.strip())), dense_wanted)

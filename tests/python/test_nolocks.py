"""A cache directory on a file system without locks, as NFS without its lock daemon: what is there is served, and nothing is written."""

import os
import pathlib
import subprocess

import pytest
import tensorflow as tf
import tensorflow_hub

import expected
import program
from test_cache import entry, pack


@pytest.fixture(scope="module")
def without_locks(scratch):
    """What makes a directory such a file system, for the program alone."""
    library = scratch / "nolocks.so"
    source = pathlib.Path(__file__).with_name("nolocks.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return lambda directory: {"LD_PRELOAD": str(library), "NOLOCKS": str(directory)}


def seen(directory: pathlib.Path) -> dict:
    return {path: (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in directory.rglob("*")}


def test_what_is_there_is_served_and_the_rest_is_kept_apart(plain, origin, mount, place, monkeypatch, without_locks):
    shared, private = place / "nfs", place / "private"
    dense, text = (origin.offer(f"test/{name}/1", pack(plain / f"test/{name}/1")) for name in ("dense", "text"))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(shared))
    tensorflow_hub.resolve(dense)
    origin.forget_requests()
    before = seen(shared)
    environment = without_locks(shared) | {"CACHE_DIRECTORY": str(private)}
    mounted = mount("--hub-url", origin.url, cache=shared, environment=environment)
    for name, model in (("dense", expected.dense), ("text", expected.text)):
        wanted = model(tf.saved_model.load(str(plain / f"test/{name}/1")))
        expected.same(model(tf.saved_model.load(mounted / f"test/{name}/1")), wanted)
    assert len(origin.downloads()) == 1, "the one that is not there"
    program.wait_until(entry(private, text).is_dir, "the sealed model in the private directory")
    later = {path: what for path, what in seen(shared).items() if ".tfhub-fs" not in path.parts}
    assert later == before, "nothing is touched; whether there are locks was tried in a corner of our own"
    warnings = [line for line in mounted.log.read_text().splitlines() if " WARN " in line]
    assert len(warnings) == 1 and "has no locks" in warnings[0] and str(private) in warnings[0], warnings


def test_commands_read_it_too(plain, origin, place, monkeypatch, without_locks):
    shared = place / "nfs"
    dense = origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(shared))
    path = tensorflow_hub.resolve(dense)
    command = [program.BINARY, "resolve", dense, "--cache-dir", shared, "--offline", "--hub-url", origin.url]
    environment = program.clean_environment() | without_locks(shared) | {"CACHE_DIRECTORY": str(place / "private")}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == (path, 0), done.stderr
    assert os.listdir(path)

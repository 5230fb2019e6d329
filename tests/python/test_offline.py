"""Without a network: `--offline` opens no socket, and a host that has lost its network serves what it has."""

import os
import pathlib
import subprocess

import pytest
import tensorflow as tf

import expected
import program
from test_cache import entry, pack

NEVER = "https://tfhub.dev/test/never/1"


@pytest.fixture(scope="module")
def counting_sockets(scratch):
    """What makes the program say of each socket that it opens, and a function that counts them."""
    library, told = scratch / "sockets.so", scratch / "sockets.log"
    source = pathlib.Path(__file__).with_name("sockets.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)

    def count() -> int:
        lines = told.read_text().count("\n") if told.exists() else 0
        told.unlink(missing_ok=True)
        return lines

    return {"LD_PRELOAD": str(library), "SOCKETS": str(told)}, count


def run(*arguments, environment: dict) -> subprocess.CompletedProcess:
    command = [str(program.BINARY), *map(str, arguments)]
    given = program.clean_environment() | environment
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60)


def test_offline_opens_no_socket(plain, origin, mount, place, counting_sockets):
    environment, sockets = counting_sockets
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    flags = ["--hub-url", origin.url, "--shared-cache", "gs://nobody/cache", "--gcs-endpoint", origin.url]
    cache = place / "cache"
    assert run("prefetch", handle, "--cache-dir", cache, *flags, environment=environment).returncode == 0
    assert sockets() > 0, "this is how they are counted"
    at = mount(*flags, "--offline", cache=cache, environment=environment)
    wanted = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    expected.same(expected.dense(tf.saved_model.load(at / "test/dense/1")), wanted)
    for path in ("test/none/1/saved_model.pb", "gs:/nobody/x", "www.kaggle.com/models/google"):
        with pytest.raises(FileNotFoundError):
            os.stat(at / path) if "kaggle" not in path else os.stat(at / f"{path}/nnlm/tensorFlow2/x/1")
    os.listdir(at / "test/dense")
    offline = ["--offline", "--cache-dir", cache, *flags]
    assert run("resolve", handle, *offline, environment=environment).stdout.strip() == str(entry(cache, handle))
    for command in ("prefetch", "resolve"):
        refused = run(command, NEVER, *offline, environment=environment)
        assert refused.returncode == 1 and "--offline" in refused.stderr, refused.stderr
    at.unmount()
    assert sockets() == 0


def test_a_host_without_network_serves_what_it_has(plain, origin, place):
    """In a namespace of its own that has not even a loopback interface."""
    handle = origin.offer("test/dense/1", pack(plain / "test/dense/1"))
    cache, at = place / "cache", place / "mount"
    assert program.resolve(handle, cache, "--hub-url", origin.url).returncode == 0
    at.mkdir()
    script = """
        set -e
        "$1" mount "$3" --cache-dir "$2" --hub-url "$4" --log-file "$3.log"
        cat "$3/test/dense/1/saved_model.pb" | cmp - "$5/saved_model.pb"
        readlink "$3/test/dense/latest"
        ls "$3/test"
        "$1" unmount "$3"
    """
    command = ["unshare", "--net", "sh", "-c", script, "sh", program.BINARY, cache, at, origin.url]
    done = subprocess.run(
        [*map(str, command), str(plain / "test/dense/1")],
        env=program.clean_environment(), capture_output=True, text=True, timeout=60,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["1", "dense"]), done.stderr

"""A cache in a bucket that hosts share: moto's S3 between two daemons, and tensorflow_hub on what they leave there."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import tensorflow as tf
import tensorflow_hub

import expected
import program
from origin import Bucket
from s3 import BUCKET, REGION, S3
from test_cache import pack

NAME = "test/dense/1"


@pytest.fixture
def s3(place):
    models = place / "empty"
    models.mkdir()
    served = S3(models, public=False)
    yield served
    served.stop()


@pytest.fixture
def bucket(place):
    """A bucket that may be written, and the directory of its objects."""
    objects = place / "bucket"
    served = Bucket(objects)
    yield served, objects
    served.stop()


def files_of(root: pathlib.Path) -> dict:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".tfhub-fs" not in str(path.relative_to(root)).split("/")[0]
    }


def client(s3):
    import boto3

    credentials = {name.lower(): value for name, value in s3.credentials.items()}
    return boto3.client("s3", endpoint_url=s3.url, region_name=REGION, **credentials)


def written(s3) -> list[str]:
    """The objects that were put, or put together, in order."""
    changes = ("PUT", "POST", "DELETE")
    return [f"{one['method']} {one['path']}" for one in s3.requests() if one["method"] in changes]


@pytest.mark.parametrize("large", [False, True], ids=["small", "in-parts"])
def test_two_daemons_and_one_s3_bucket(large, s3, place, plain, origin, mount):
    model = place / "model"
    shutil.copytree(plain / NAME, model)
    if large:
        (model / "assets").mkdir(exist_ok=True)
        (model / "assets/table.bin").write_bytes(os.urandom(20_000_000))
    handle = origin.offer(NAME, pack(model))
    sha1 = hashlib.sha1(handle.encode()).hexdigest()
    wanted = expected.dense(tf.saved_model.load(str(plain / NAME)))
    environment = s3.variables | s3.credentials
    flags = ["--hub-url", origin.url, "--shared-cache", f"s3://{BUCKET}/cache"]
    first = mount(*flags, cache=place / "cache-1", environment=environment)
    expected.same(expected.dense(tf.saved_model.load(first / NAME)), wanted)
    descriptor = f"PUT /{BUCKET}/cache/{sha1}.descriptor.txt"
    program.wait_until(lambda: f"DELETE /{BUCKET}/cache/{sha1}.lock" in written(s3), "the upload")
    changes = written(s3)
    graph = changes.index(f"PUT /{BUCKET}/cache/{sha1}/saved_model.pb")
    assert graph == max(at for at, change in enumerate(changes) if f"/cache/{sha1}/" in change)
    assert changes.index(descriptor) > graph
    assert all(one["signed"] for one in s3.requests() if one["method"] != "GET")
    assert len(origin.downloads()) == 1
    origin.forget_requests()

    second = mount(*flags, cache=place / "cache-2", environment=environment)
    expected.same(expected.dense(tf.saved_model.load(second / NAME)), wanted)
    for path in model.rglob("*"):
        if path.is_file():
            inside = path.relative_to(model)
            assert pathlib.Path(second / f"{NAME}/{inside}").read_bytes() == path.read_bytes()
    assert origin.requests() == []
    assert written(s3) == changes, "the second host has nothing to add"


@pytest.mark.parametrize("command", ["prefetch", "resolve"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "in-parts"])
def test_a_wrong_object_is_passed_over_and_mended(command, large, s3, place, plain, origin, mount):
    """Same size, other bytes: S3 tells nothing that gives it away. One command meets it and mends it for everybody."""
    model = place / "model"
    shutil.copytree(plain / NAME, model)
    (model / "assets").mkdir(exist_ok=True)
    table = os.urandom(20_000_000 if large else 1000)
    (model / "assets/table.bin").write_bytes(table)
    handle = origin.offer(NAME, pack(model))
    sha1 = hashlib.sha1(handle.encode()).hexdigest()
    environment = s3.variables | s3.credentials
    flags = ["--hub-url", origin.url, "--shared-cache", f"s3://{BUCKET}/cache"]

    def fetch(cache):
        done = program.run(command, handle, "--cache-dir", cache, "--timeout", "10s", *flags, environment=environment)
        assert done.returncode == 0, done.stderr
        assert (cache / sha1 / "assets/table.bin").read_bytes() == table
        return done.stderr

    fetch(place / "cache-1")
    key = f"cache/{sha1}/assets/table.bin"
    bucket = client(s3)
    put = bucket.head_object(Bucket=BUCKET, Key=key)
    wrong = bytes([table[0] ^ 1]) + table[1:]
    bucket.put_object(Bucket=BUCKET, Key=key, Body=wrong, Metadata=put["Metadata"])

    told = fetch(place / "cache-2")
    assert "the shared cache's copy failed" in told
    assert bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read() == table
    assert len(origin.downloads()) == 2
    changes = written(s3)

    assert "the shared cache's copy failed" not in fetch(place / "cache-3")
    assert len(origin.downloads()) == 2, "it comes from the bucket again"
    assert written(s3) == changes


def test_small_objects_carry_their_checksum(s3, place, plain, origin):
    handle = origin.offer(NAME, pack(plain / NAME))
    flags = ["--hub-url", origin.url, "--shared-cache", f"s3://{BUCKET}/cache"]
    environment = s3.variables | s3.credentials
    done = program.run("resolve", handle, "--cache-dir", place / "cache", *flags, environment=environment)
    assert done.returncode == 0, done.stderr
    puts = [one for one in s3.requests() if one["method"] == "PUT"]
    assert puts and all(one["checksum"] for one in puts)


def test_an_uploader_in_another_container_is_not_taken_for_dead(place, plain, origin):
    """Two containers of one host: the same host name, and process numbers that mean nothing to each other."""
    objects = place / "bucket"
    served = Bucket(objects, "--link", "latency=400ms")
    try:
        model = place / "model"
        shutil.copytree(plain / NAME, model)
        (model / "table.bin").write_bytes(os.urandom(60_000_000))
        handle = origin.offer(NAME, pack(model))
        shared = ["--hub-url", origin.url, "--shared-cache", "gs://cache", "--gcs-endpoint", served.url]
        command = [str(program.BINARY), "resolve", handle, "--cache-dir", str(place / "cache-1"), *shared]
        first = subprocess.Popen(command, env=program.clean_environment(), stdout=subprocess.DEVNULL)
        lock = objects / f"{hashlib.sha1(handle.encode()).hexdigest()}.lock"
        program.wait_until(lock.exists, "an upload")
        held = lock.read_text()
        # The first one's number is nobody's here.
        apart = ["unshare", "--pid", "--fork", "--mount-proc", *command[:4], str(place / "cache-2"), *shared]
        second = subprocess.run(apart, env=program.clean_environment(), capture_output=True, text=True, timeout=60)
        assert second.returncode == 0, second.stderr
        assert "has stopped" not in second.stderr
        assert lock.exists() and lock.read_text() == held, "the lock is still the first one's"
        assert first.wait(60) == 0
        assert not lock.exists()
    finally:
        served.stop()


def test_a_bucket_that_refuses_is_a_warning(s3, place, plain, origin, mount):
    origin.offer(NAME, pack(plain / NAME))
    wrong = s3.variables | s3.credentials | {"AWS_SECRET_ACCESS_KEY": "x" * 40}
    flags = ["--hub-url", origin.url, "--shared-cache", f"s3://{BUCKET}/cache"]
    mounted = mount(*flags, environment=wrong)
    wanted = expected.dense(tf.saved_model.load(str(plain / NAME)))
    expected.same(expected.dense(tf.saved_model.load(mounted / NAME)), wanted)
    assert "the shared cache is not used for" in mounted.log.read_text()


def test_the_layout_is_tensorflow_hubs_byte_for_byte(bucket, place, plain, origin, monkeypatch):
    """The bucket against the directory that real tensorflow_hub makes for the same model."""
    served, objects = bucket
    handle = origin.offer(NAME, pack(plain / NAME))
    theirs = place / "theirs"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(theirs))
    tensorflow_hub.resolve(handle)
    shared = ["--hub-url", origin.url, "--shared-cache", "gs://cache", "--gcs-endpoint", served.url]
    done = program.resolve(handle, place / "cache", *shared)
    assert done.returncode == 0, done.stderr
    ours, real = files_of(objects), files_of(theirs)
    descriptor = hashlib.sha1(handle.encode()).hexdigest() + ".descriptor.txt"
    lines = re.compile(
        rb"Module: %s\nDownload Time: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?\nDownloader Hostname: (\S+) \(PID:\d+\)"
        % re.escape(handle.encode())
    )
    told = [lines.fullmatch(side.pop(descriptor)) for side in (ours, real)]
    assert told[0][2] == told[1][2]
    assert ours == real


def test_tensorflow_hub_reads_what_a_daemon_left(bucket, place, plain, origin, monkeypatch):
    """TensorFlow's gs:// has its endpoint compiled in, so tensorflow_hub is given the bucket's objects as a directory."""
    served, objects = bucket
    handle = origin.offer(NAME, pack(plain / NAME))
    shared = ["--hub-url", origin.url, "--shared-cache", "gs://cache/hub", "--gcs-endpoint", served.url]
    assert program.resolve(handle, place / "cache", *shared).returncode == 0
    origin.stop()
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(objects / "hub"))
    wanted = expected.dense(tf.saved_model.load(str(plain / NAME)))
    expected.same(expected.dense(tensorflow_hub.load(handle)), wanted)


def test_a_daemon_reads_what_tensorflow_hub_left(bucket, place, plain, origin, mount, monkeypatch):
    served, objects = bucket
    handle = origin.offer(NAME, pack(plain / NAME))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(objects / "hub"))
    tensorflow_hub.resolve(handle)
    origin.forget_requests()
    shared = ["--shared-cache", "gs://cache/hub", "--gcs-endpoint", served.url]
    mounted = mount("--hub-url", origin.url, *shared)
    wanted = expected.dense(tf.saved_model.load(str(plain / NAME)))
    expected.same(expected.dense(tf.saved_model.load(mounted / NAME)), wanted)
    assert origin.requests() == []

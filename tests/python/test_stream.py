"""TensorFlow loads models that are streamed: uncompressed from a hub, from gs:// and s3:// buckets, from Kaggle."""

import dataclasses
import hashlib
import os
import pathlib
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

import expected
import program
from published import FOLDERS
from s3 import BUCKET, S3


@pytest.fixture(scope="module", params=[True, False], ids=["public", "private"])
def bucket(request, plain):
    served = S3(plain, request.param)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def private(plain):
    served = S3(plain, public=False)
    yield served
    served.stop()


def tree(root) -> dict:
    """Every file below `root`, by its relative name, read through Python."""
    root = pathlib.Path(root)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@dataclasses.dataclass
class Mode:
    """One way to a model: where it is below the mount, and what the mount must be told."""

    path: str
    flags: tuple = ()


UNCOMPRESSED = "--load-format=uncompressed"
MODES = {
    "compressed": Mode("test/{0}/1", ("--load-format=compressed",)),
    "uncompressed": Mode("test/{0}/1", (UNCOMPRESSED,)),
    "gs": Mode(f"gs:/{FOLDERS}/tfhub-modules/test/{{0}}/1/uncompressed"),
    "kaggle": Mode("www.kaggle.com/models/test/{0}/tensorFlow2/{0}/1", (UNCOMPRESSED,)),
    "kaggle archive": Mode("www.kaggle.com/models/test/{0}/tensorFlow2/{0}/1"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("load", [tf.saved_model.load, tensorflow_hub.load], ids=["saved_model", "hub"])
def test_load_in_every_mode(load, mode, plain, published, mount):
    mode = MODES[mode]
    mounted = mount(*published.flags(), *mode.flags)
    for model in ("dense", "text"):
        compute = getattr(expected, model)
        want = compute(load(str(plain / f"test/{model}/1")))
        for _ in ("cold", "warm"):
            expected.same(compute(load(mounted / mode.path.format(model))), want)
    mounted.unmount()


def test_load_from_s3(bucket, plain, mount):
    mounted = mount(environment=bucket.variables | bucket.credentials)
    here = mounted / f"s3:/{BUCKET}/test/dense/1"
    assert tree(here) == tree(plain / "test/dense/1")
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    expected.same(expected.dense(tf.saved_model.load(here)), want)


def test_s3_is_asked_anonymously_first_and_refused_without_a_key(private, mount):
    mounted = mount("--timeout=4s", environment=private.variables)
    with pytest.raises(PermissionError):
        os.stat(mounted / f"s3:/{BUCKET}/test/dense/1/saved_model.pb")
    assert not any(request["signed"] for request in private.requests())
    assert "AWS_ACCESS_KEY_ID" in mounted.log.read_text()


def test_s3_archives_are_directories(bucket, plain, mount):
    mounted = mount(environment=bucket.variables | bucket.credentials)
    assert os.listdir(mounted / f"s3:/{BUCKET}/test/lite/1.tar.gz") == ["1.tflite"]
    expected.lite(mounted / f"s3:/{BUCKET}/test/lite/1.tar.gz/1.tflite")


def test_serve_in_both_formats(plain, hub, mount):
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    for form in ("compressed", "uncompressed"):
        flags = ("--hub-url", hub.url, "--gcs-endpoint", hub.url, "--load-format", form)
        mounted = mount(*flags, cache=plain.parent / f"cache-{form}-{time.monotonic_ns()}")
        assert tree(mounted / "test/dense/1") == tree(plain / "test/dense/1")
        expected.same(expected.dense(tf.saved_model.load(mounted / "test/dense/1")), want)


@pytest.mark.parametrize("flags", [("--cache-size=0",), ("--cache-size=1MiB",), ("--cache-size=0", "--memory=1MiB")])
def test_load_with_little_disk_or_none(flags, plain, published, mount):
    mounted = mount(*published.flags(), UNCOMPRESSED, *flags)
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    expected.same(expected.dense(tf.saved_model.load(mounted / "test/dense/1")), want)


def test_what_was_streamed_whole_is_tensorflow_hubs(plain, published, mount, hub_cache):
    handle = "https://tfhub.dev/test/dense/1"
    mounted = mount(*published.flags(), UNCOMPRESSED, "--prefetch=model", cache=hub_cache)
    tf.saved_model.load(mounted / "test/dense/1")
    before = len(published.requests())
    kept = hub_cache / hashlib.sha1(handle.encode()).hexdigest()
    program.wait_until(kept.is_dir, "the sealed model")
    # Its way to the internet is cut (`hub_cache`): it finds the model or fails.
    found = tensorflow_hub.resolve(handle)
    assert found == str(kept)
    assert tree(found) == tree(plain / "test/dense/1")
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    expected.same(expected.dense(tensorflow_hub.load(handle)), want)
    assert len(published.requests()) >= before


def test_a_killed_mount_has_kept_what_was_read(plain, published, mount, place):
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    name = f"gs://{published.folder('test/dense/1')}/"
    size = sum(len(content) for content in tree(plain / "test/dense/1").values())
    before = published.sent(name)
    for _ in range(2):
        mounted = mount(*published.flags(), UNCOMPRESSED, cache=place / "cache")
        expected.same(expected.dense(tf.saved_model.load(mounted / "test/dense/1")), want)
        mounted.kill()
    assert published.sent(name) - before <= size * 1.05


def test_keras_trains_on_a_streamed_model(plain, published, mount):
    mounted = mount(*published.flags(), UNCOMPRESSED)
    inputs = expected.vectors(4, 12)
    layers = [tensorflow_hub.KerasLayer(path, trainable=True) for path in (mounted / "test/keras/1", str(plain / "test/keras/1"))]
    left, right = (layer(inputs).numpy() for layer in layers)
    np.testing.assert_array_equal(left, right)


def test_gfile_sees_a_bucket_as_a_directory(plain, published, mount):
    mounted = mount(*published.flags())
    folder = published.folder("test/dense/1")
    gfile = tf.io.gfile
    here = mounted / f"gs:/{folder}"
    names = {name.rstrip("/") for name in gfile.listdir(here)}
    # A bucket has no empty directories.
    full = (path for path in (plain / "test/dense/1").iterdir() if path.is_file() or any(path.iterdir()))
    assert names == {path.name for path in full}
    assert gfile.exists(f"{here}/saved_model.pb") and not gfile.exists(f"{here}/none.pb")
    assert gfile.glob(f"{here}/variables/variables.data-*")


def test_resolve_remote(published):
    done = program.run("resolve", "--remote", "https://tfhub.dev/test/dense/1", *published.flags())
    assert done.stdout.strip() == f"gs://{published.folder('test/dense/1')}", done.stderr

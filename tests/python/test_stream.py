"""TensorFlow loads models that are streamed: uncompressed from a hub, from gs:// and s3:// buckets, from Kaggle."""

import dataclasses
import hashlib
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import expected
import program
from published import FOLDERS, Published
from s3 import BUCKET, S3


@pytest.fixture(scope="module")
def public(plain):
    served = S3(plain, public=True)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def private(plain):
    served = S3(plain, public=False)
    yield served
    served.stop()


@pytest.fixture
def service_account(place):
    """A key file as Google gives it out, for the account that the origin's private bucket lets in."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    account = {
        "type": "service_account",
        "client_email": "reader@models.iam.gserviceaccount.com",
        "private_key": key.private_bytes(encoding, form, serialization.NoEncryption()).decode(),
        "private_key_id": "1",
    }
    path = place / "account.json"
    path.write_text(json.dumps(account))
    return path


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


def test_load_from_s3(private, plain, mount):
    mounted = mount(environment=private.variables | private.credentials)
    here = mounted / f"s3:/{BUCKET}/test/dense/1"
    assert tree(here) == tree(plain / "test/dense/1")
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    expected.same(expected.dense(tf.saved_model.load(here)), want)


def test_s3_with_the_keys_of_a_profile(private, plain, mount, tmp_path):
    directory = tmp_path / ".aws"
    directory.mkdir()
    keys = private.credentials
    (directory / "credentials").write_text(
        f"[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n[work]\n"
        f"aws_access_key_id = {keys['AWS_ACCESS_KEY_ID']}\naws_secret_access_key = {keys['AWS_SECRET_ACCESS_KEY']}\n"
    )
    mounted = mount(environment=private.variables | {"HOME": str(tmp_path), "AWS_PROFILE": "work"})
    assert tree(mounted / f"s3:/{BUCKET}/test/text/1") == tree(plain / "test/text/1")


def test_public_s3_needs_no_key(public, plain, mount):
    mounted = mount(environment=public.variables)
    assert tree(mounted / f"s3:/{BUCKET}/test/text/1") == tree(plain / "test/text/1")
    assert not any(request["signed"] for request in public.requests())


def test_s3_is_asked_anonymously_first_and_refused_without_a_key(private, mount):
    before = len(private.requests())
    mounted = mount("--timeout=4s", environment=private.variables)
    with pytest.raises(PermissionError):
        os.stat(mounted / f"s3:/{BUCKET}/test/dense/1/saved_model.pb")
    asked = private.requests()[before:]
    assert asked and not any(request["signed"] for request in asked)
    assert "AWS_ACCESS_KEY_ID" in mounted.log.read_text()


def test_s3_archives_are_directories(private, mount):
    mounted = mount(environment=private.variables | private.credentials)
    assert os.listdir(mounted / f"s3:/{BUCKET}/test/lite/1.tar.gz") == ["1.tflite"]
    expected.lite(mounted / f"s3:/{BUCKET}/test/lite/1.tar.gz/1.tflite")


def test_a_private_bucket_is_read_with_a_service_account(plain, place, mount, service_account):
    origin = Published(plain, "--private", "yes")
    try:
        here = f"gs:/{origin.folder('test/dense/1')}"
        refused = mount(*origin.flags(), "--timeout=4s")
        with pytest.raises(PermissionError):
            os.stat(refused / here)
        assert "GOOGLE_APPLICATION_CREDENTIALS" in refused.log.read_text()
        known = mount(
            *origin.flags(),
            cache=place / "cache-of-the-account",
            environment={"GOOGLE_APPLICATION_CREDENTIALS": str(service_account)},
        )
        assert tree(known / here) == tree(plain / "test/dense/1")
        assert "PRIVATE KEY" not in known.log.read_text()
        hosts = {request["host"] for request in origin.requests() if request["authorization"]}
        assert hosts == {"gcs"}
    finally:
        origin.stop()


def test_serve_in_both_formats(plain, hub, mount, place):
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    for form in ("compressed", "uncompressed"):
        flags = ("--hub-url", hub.url, "--gcs-endpoint", hub.url, "--load-format", form)
        mounted = mount(*flags, cache=place / form)
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
    kept = hub_cache / hashlib.sha1(handle.encode()).hexdigest()
    program.wait_until(kept.is_dir, "the sealed model")
    # Its way to the internet is cut (`hub_cache`): it finds the model or fails.
    found = tensorflow_hub.resolve(handle)
    assert found == str(kept)
    assert tree(found) == tree(plain / "test/dense/1")
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/1")))
    expected.same(expected.dense(tensorflow_hub.load(handle)), want)


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


def test_keras_layer_of_a_streamed_model(plain, published, mount):
    mounted = mount(*published.flags(), UNCOMPRESSED)
    inputs = expected.vectors(4, 12)
    paths = (mounted / "test/keras/1", str(plain / "test/keras/1"))
    left, right = (tensorflow_hub.KerasLayer(path, trainable=True)(inputs).numpy() for path in paths)
    np.testing.assert_array_equal(left, right)


def test_gfile_sees_a_bucket_as_a_directory(plain, published, mount):
    mounted = mount(*published.flags())
    folder = published.folder("test/dense/1")
    gfile = tf.io.gfile
    here = mounted / f"gs:/{folder}"
    names = {name.rstrip("/") for name in gfile.listdir(here)}
    # A bucket has no directories but those that something is in.
    assert names == {name.partition("/")[0] for name in tree(plain / "test/dense/1")}
    assert gfile.exists(f"{here}/saved_model.pb") and not gfile.exists(f"{here}/none.pb")
    assert gfile.glob(f"{here}/variables/variables.data-*")


def test_resolve_remote(published):
    done = program.run("resolve", "--remote", "https://tfhub.dev/test/dense/1", *published.flags())
    assert done.stdout.strip() == f"gs://{published.folder('test/dense/1')}", done.stderr

"""TensorFlow and tensorflow_hub load models through the mount, and from the hub that `serve` is."""

import os
import pathlib
import subprocess
import tarfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

import expected
import program


def tree(root) -> dict:
    """Every file below `root`, by its relative name, read through Python."""
    root = pathlib.Path(root)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("load", [tf.saved_model.load, tensorflow_hub.load], ids=["saved_model", "hub"])
@pytest.mark.parametrize("model", ["dense", "text"])
def test_load_cold_and_warm(load, model, plain, hub, mount):
    mounted = mount("--hub-url", hub.url)
    compute = getattr(expected, model)
    want = compute(load(str(plain / f"test/{model}/1")))
    for _ in ("cold", "warm"):
        expected.same(compute(load(mounted / f"test/{model}/1")), want)
    mounted.unmount()
    again = mount("--hub-url", hub.url)
    expected.same(compute(load(again / f"test/{model}/1")), want)


def test_keras_layer(plain, hub, mount):
    mounted = mount("--hub-url", hub.url)
    inputs = expected.vectors(4, 12)

    def compute(path):
        layer = tensorflow_hub.KerasLayer(path, trainable=True)
        assert len(layer.trainable_weights) == 4
        return layer(inputs).numpy()

    want = compute(str(plain / "test/keras/1"))
    for _ in ("cold", "warm"):
        expected.same(compute(mounted / "test/keras/1"), want)


def test_keras_layer_inside_a_model(plain, hub, mount):
    import tf_keras

    mounted = mount("--hub-url", hub.url)
    inputs = expected.vectors(4, 12)

    def compute(path):
        return tf_keras.Sequential([tensorflow_hub.KerasLayer(path, input_shape=(12,))]).predict(inputs, verbose=0)

    expected.same(compute(mounted / "test/keras/1"), compute(str(plain / "test/keras/1")))


def test_tf1_module(plain, hub, mount):
    mounted = mount("--hub-url", hub.url)
    here, there = mounted / "test/tf1-words/1", str(plain / "test/tf1-words/1")
    expected.same(expected.tf1_words(tensorflow_hub.load(here)), expected.tf1_words(tensorflow_hub.load(there)))
    expected.same(expected.tf1_session(here), expected.tf1_session(there))


def test_tf_lite_maps_the_file(plain, hub, mount, place):
    with tarfile.open(plain / "test/lite/1.tar.gz") as archive:
        archive.extractall(place / "unpacked", filter="data")
    want = expected.lite(str(place / "unpacked/1.tflite"))
    mounted = mount("--hub-url", hub.url)
    for _ in ("cold", "warm"):
        expected.same(expected.lite(mounted / "test/lite/1/1.tflite"), want)


def test_gfile_walk_and_glob(plain, hub, mount):
    mounted = mount("--hub-url", hub.url)
    gfile = tf.io.gfile

    def walk(root):
        return sorted((path.removeprefix(root), sorted(dirs), sorted(files)) for path, dirs, files in gfile.walk(root))

    here, there = mounted / "test/text/1", str(plain / "test/text/1")
    assert walk(here) == walk(there)
    assert len(walk(here)) == 3
    assert sorted(gfile.glob(here + "/variables/variables.*")) == [
        f"{here}/variables/variables.data-00000-of-00001",
        f"{here}/variables/variables.index",
    ]
    assert gfile.glob(here + "/*/vocab*.txt") == [f"{here}/assets/vocabulary.txt"]
    assert gfile.isdir(here) and not gfile.isdir(here + "/saved_model.pb") and not gfile.exists(here + "/nothing")
    assert gfile.stat(here + "/saved_model.pb").length == gfile.stat(there + "/saved_model.pb").length
    assert tree(here) == tree(there)


def test_the_names_of_one_model(plain, hub, mount):
    mounted = mount("--hub-url", hub.url)
    want = expected.dense(tf.saved_model.load(str(plain / "test/dense/2")))
    for name in ["test/dense/2", f"{hub.url}/test/dense/2", "test/dense/2?tfhub-redirect=true", "test/dense/latest"]:
        expected.same(expected.dense(tf.saved_model.load(mounted / name)), want)
    assert {"2", "latest"} <= set(os.listdir(mounted / "test/dense"))
    assert not os.path.exists(mounted / "test/no-such-model/1")


def test_a_mount_in_the_background_and_its_end(plain, hub, place):
    """Without --foreground: the command returns once the mount answers, and unmount leaves no process."""
    mountpoint, cache = place / "mount", place / "cache"
    try:
        started = program.run("mount", mountpoint, "--cache-dir", cache, "--hub-url", hub.url)
        assert started.returncode == 0, started.stderr
        loaded = tf.saved_model.load(f"{mountpoint}/test/text/1")
        expected.same(expected.text(loaded), expected.text(tf.saved_model.load(str(plain / "test/text/1"))))
        done = program.run("unmount", mountpoint)
        assert done.returncode == 0, done.stderr
        assert not program.is_mounted(mountpoint)
        program.wait_until(lambda: not processes_with(str(mountpoint)), "the end of the daemon")
    finally:
        if program.is_mounted(mountpoint):
            subprocess.run(["umount", "-l", mountpoint], check=True)


def processes_with(argument: str) -> list[str]:
    found = []
    for commandline in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if argument.encode() in commandline.read_bytes().split(b"\0"):
                found.append(commandline.parent.name)
        except OSError:
            pass
    return found


def test_the_mount_of_root_is_readable_by_others(plain, hub, mount):
    mounted = mount("--hub-url", hub.url)
    read = subprocess.run(["cat", mounted / "test/text/1/saved_model.pb"], user="nobody", capture_output=True)
    assert read.returncode == 0, read.stderr
    assert read.stdout == (plain / "test/text/1/saved_model.pb").read_bytes()


def test_tensorflow_hub_loads_from_serve(plain, hub, hub_cache):
    loaded = tensorflow_hub.load(f"{hub.url}/test/text/1")
    expected.same(expected.text(loaded), expected.text(tf.saved_model.load(str(plain / "test/text/1"))))
    # Without a version: the newest.
    newest = tensorflow_hub.load(f"{hub.url}/test/dense")
    expected.same(expected.dense(newest), expected.dense(tf.saved_model.load(str(plain / "test/dense/2"))))
    module = tensorflow_hub.load(f"{hub.url}/test/tf1-words/1")
    expected.same(expected.tf1_words(module), expected.tf1_words(tensorflow_hub.load(str(plain / "test/tf1-words/1"))))
    layer = tensorflow_hub.KerasLayer(f"{hub.url}/test/keras/1")
    inputs = expected.vectors(4, 12)
    assert np.array_equal(layer(inputs), tensorflow_hub.KerasLayer(str(plain / "test/keras/1"))(inputs))
    # A ready-made archive, handed out as it is.
    assert set(tree(tensorflow_hub.resolve(f"{hub.url}/test/lite/1"))) == {"1.tflite"}


def test_the_demo_model_is_a_real_one(place):
    archive = program.REPOSITORY / "assets/demo/demo/tiny-text-embedding/1.tar.gz"
    with tarfile.open(archive) as opened:
        opened.extractall(place / "model", filter="data")
    same_topic, other_topic = np.dot(*text_pair(place, "a cat", "two dogs")), np.dot(*text_pair(place, "a cat", "snow"))
    assert same_topic > 0.8 > 0.2 > other_topic


def text_pair(place, *sentences):
    return tensorflow_hub.load(str(place / "model"))(tf.constant(sentences)).numpy()

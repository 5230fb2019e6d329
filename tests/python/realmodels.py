"""Small real models, made by real TensorFlow: the shapes people publish on TensorFlow Hub.

`scripts/make-models DIR` writes them as `<publisher>/<model>/<version>/`, the layout that `tfhub-fs serve` hosts.
The suites make them anew in a temporary directory; only the text model is also kept in the repository
(`scripts/make-models --demo`), because `tfhub-fs demo` carries it in the binary.
"""

import contextlib
import os
import pathlib
import sys
import tarfile
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf

# Words that belong together get vectors that lie together, so that the demo's similarities make sense to a person.
TOPICS = {
    "animals": "cat cats dog dogs kitten puppy horse cow sheep bird fish lion tiger mouse pet animal purrs barks",
    "food": "bread cheese apple soup cake dinner lunch breakfast eat cook kitchen sugar salt tea coffee hungry recipe",
    "weather": "rain snow sun sunny cloud wind storm cold warm hot winter summer weather forecast umbrella thunder",
    "travel": "train car plane bus road city travel ticket station airport bicycle map journey hotel street drive",
    "music": "music song sing piano guitar violin band concert drum melody listen radio loud orchestra dance",
    "computing": "computer model download network file disk cache python tensor layer train server cloud code bug",
    "sea": "sea ship boat sail water wave beach island harbour river lake swim shore storm captain",
    "feelings": "happy sad angry glad love hate afraid joy smile cry laugh proud lonely calm",
}
STOP_WORDS = "a an the is are was were i you he she it we they on in at of to and or with my your this that".split()
WIDTH = 16


class SentenceEmbedding(tf.Module):
    """Mean of word vectors, scaled to length 1. The vocabulary is an asset file, as in the nnlm and USE models."""

    def __init__(self, vocabulary_file: str, vectors: np.ndarray):
        super().__init__()
        words = tf.lookup.TextFileInitializer(
            vocabulary_file,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticVocabularyTable(words, num_oov_buckets=1)
        self.vectors = tf.Variable(vectors, name="vectors", dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")])
    def __call__(self, sentences):
        letters = tf.strings.regex_replace(tf.strings.lower(sentences), r"[^a-z]+", " ")
        words = tf.strings.split(tf.strings.strip(letters))
        vectors = tf.gather(self.vectors, self.table.lookup(words.flat_values))
        sums = tf.math.segment_sum(vectors, words.value_rowids())
        missing = tf.cast(words.nrows(), tf.int32) - tf.shape(sums)[0]
        return tf.math.l2_normalize(tf.pad(sums, [[0, missing], [0, 0]]), axis=1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")])
    def serve(self, sentences):
        return {"embeddings": self(sentences)}


def make_text_embedding(path: pathlib.Path, scratch: pathlib.Path) -> None:
    words, rows = [], []
    noise = np.random.default_rng(1)
    centres = np.eye(WIDTH, dtype=np.float32)
    for number, topic in enumerate(TOPICS.values()):
        for word in topic.split():
            if word not in words:
                words.append(word)
                rows.append(centres[number] + noise.normal(0, 0.15, WIDTH))
    for word in STOP_WORDS:
        words.append(word)
        rows.append(noise.normal(0, 0.02, WIDTH))
    rows.append(np.zeros(WIDTH))  # the bucket of words that are not in the vocabulary
    # A relative name, because TensorFlow writes it into the graph (as the name of the lookup table).
    with contextlib.chdir(scratch):
        pathlib.Path("vocabulary.txt").write_text("\n".join(words) + "\n")
        module = SentenceEmbedding("vocabulary.txt", np.asarray(rows, dtype=np.float32))
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


class Dense(tf.Module):
    """One matrix of 2 MiB, so that a reader of the variables has more than one kernel request to make."""

    def __init__(self, seed: int):
        super().__init__()
        numbers = np.random.default_rng(seed)
        self.matrix = tf.Variable(numbers.normal(0, 0.05, (1024, 512)).astype(np.float32), name="matrix")
        self.bias = tf.Variable(numbers.normal(0, 1, 512).astype(np.float32), name="bias")

    @tf.function(input_signature=[tf.TensorSpec([None, 1024], tf.float32, name="x")])
    def __call__(self, x):
        return tf.nn.relu(x @ self.matrix + self.bias)

    @tf.function(input_signature=[tf.TensorSpec([None, 1024], tf.float32, name="x")])
    def serve(self, x):
        return {"y": self(x)}


def make_dense(path: pathlib.Path, seed: int) -> None:
    module = Dense(seed)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


def make_keras(path: pathlib.Path) -> None:
    import tf_keras

    tf_keras.utils.set_random_seed(7)
    layers = [tf_keras.layers.Dense(24, activation="tanh", input_shape=(12,)), tf_keras.layers.Dense(5)]
    tf_keras.Sequential(layers).save(str(path), save_format="tf", include_optimizer=False)


def make_tf1_module(path: pathlib.Path, scratch: pathlib.Path) -> None:
    """A directory in the TF1 Hub format: a graph without tags, signature `default`, and the file `tfhub_module.pb`."""
    v1 = tf.compat.v1
    vocabulary_file = scratch / "words.txt"
    vocabulary_file.write_text("zero\none\ntwo\nthree\n")
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], name="words")
        file_name = tf.constant(str(vocabulary_file))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, file_name)
        numbers = tf.lookup.TextFileInitializer(
            file_name, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        table = tf.lookup.StaticHashTable(numbers, default_value=4)
        rows = np.random.default_rng(11).normal(0, 1, (5, 6)).astype(np.float32)
        vectors = v1.get_variable("vectors", initializer=rows, use_resource=False)
        output = v1.nn.embedding_lookup(vectors, table.lookup(words))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = v1.saved_model.predict_signature_def({"default": words}, {"default": output})
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            [],
            {"default": signature},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    # The whole of tensorflow_hub's ModuleDef message: field 1 (format) = FORMAT_V3.
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")


def make_lite_archive(archive: pathlib.Path) -> None:
    """What Kaggle hands out for a TensorFlow Lite model: an archive with one `<n>.tflite` in it."""
    module = Dense(5)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
    archive.parent.mkdir(parents=True, exist_ok=True)
    flat = archive.with_name("1.tflite")
    flat.write_bytes(converter.convert())
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(flat, "./1.tflite")
    flat.unlink()


def make_all(root: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        make_text_embedding(root / "test/text/1", scratch)
        make_dense(root / "test/dense/1", seed=1)
        make_dense(root / "test/dense/2", seed=2)
        make_keras(root / "test/keras/1")
        make_tf1_module(root / "test/tf1-words/1", scratch)
        make_lite_archive(root / "test/lite/1.tar.gz")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["--text", directory]:
            with tempfile.TemporaryDirectory() as scratch:
                make_text_embedding(pathlib.Path(directory).absolute(), pathlib.Path(scratch))
        case [directory] if not directory.startswith("-"):
            make_all(pathlib.Path(directory).absolute())
        case _:
            sys.exit("usage: realmodels.py DIR | --text DIR")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The one question of these suites: does a model give the same numbers as the plain directory it was made from?"""

import numpy as np
import tensorflow as tf

SENTENCES = ["The cat sat.", "dogs and kittens", "rain, snow", "", "qwertz"]
WORDS = ["one", "three", "unheard"]


def vectors(rows: int, width: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(0, 1, (rows, width)).astype(np.float32)


def dense(model) -> np.ndarray:
    called = model(vectors(3, 1024)).numpy()
    signature = model.signatures["serving_default"](x=tf.constant(vectors(3, 1024)))["y"].numpy()
    np.testing.assert_array_equal(called, signature)
    return called


def text(model) -> np.ndarray:
    return model(tf.constant(SENTENCES)).numpy()


def tf1_words(model) -> np.ndarray:
    return model.signatures["default"](tf.constant(WORDS))["default"].numpy()


def tf1_session(directory: str) -> np.ndarray:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, [], directory).signature_def["default"]
        return session.run(signature.outputs["default"].name, {signature.inputs["default"].name: WORDS})


def lite(file: str) -> np.ndarray:
    """Through the interpreter, which maps the file."""
    interpreter = tf.lite.Interpreter(model_path=file)
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], [3, 1024])
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], vectors(3, 1024))
    interpreter.invoke()
    return interpreter.get_tensor(wanted["index"]).copy()


def same(left: np.ndarray, right: np.ndarray) -> None:
    assert left.size > 0
    np.testing.assert_array_equal(left, right)

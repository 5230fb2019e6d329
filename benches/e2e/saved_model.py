"""Makes a SavedModel of a given size, or times tf.saved_model.load.

    saved_model.py make DIR MIB     weights in tensors of 16 MiB, as a model of many layers has them
    saved_model.py load             a line on stdin is a directory; the answer is the seconds its load took

The import of TensorFlow lies before the first line and is not measured.
"""

import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np  # noqa: E402 (the variable must come first)
import tensorflow as tf  # noqa: E402

TENSOR = 16 << 20


class Layers(tf.Module):
    """Adds up its weights, so that each is part of the graph."""

    def __init__(self, mib: int):
        super().__init__()
        noise = np.random.default_rng(1)
        count = max(1, (mib << 20) // TENSOR)
        shape = [TENSOR // 4 // 1024, 1024]
        self.weights = [tf.Variable(noise.standard_normal(shape, np.float32)) for _ in range(count)]

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def __call__(self, x):
        return x + tf.add_n([weights[0, 0] for weights in self.weights])


def load(path: str) -> float:
    begin = time.perf_counter()
    model = tf.saved_model.load(path)
    seconds = time.perf_counter() - begin
    assert np.isfinite(model(0.0).numpy())
    return seconds


if sys.argv[1] == "make":
    tf.saved_model.save(Layers(int(sys.argv[3])), sys.argv[2])
else:
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            print(load(line.rstrip("\n")), flush=True)
        except Exception as error:  # the bench shows it
            print(f"failed: {type(error).__name__}: {error}".splitlines()[0], flush=True)

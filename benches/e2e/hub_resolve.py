"""Times hub.resolve. A line on stdin is a handle, a tab and a cache directory; the answer is the seconds it took.

The import of TensorFlow lies before the first line and is not measured.
"""

import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow_hub as hub  # noqa: E402 (the variable must come first)

print("ready", flush=True)
for line in sys.stdin:
    handle, cache = line.rstrip("\n").split("\t")
    os.environ["TFHUB_CACHE_DIR"] = cache
    begin = time.perf_counter()
    path = hub.resolve(handle)
    seconds = time.perf_counter() - begin
    size = os.path.getsize(os.path.join(path, "variables", "variables.data-00000-of-00001"))
    print(f"{seconds} {size}", flush=True)

"""tensorflow_hub in processes of its own, without paying for its import in each: one process imports it and forks.

Lines on standard input: `resolve HANDLE` forks a child that calls tensorflow_hub.resolve; its process id is answered. The
child prints `done PID PATH` or `failed PID ERROR`. tensorflow_hub looks at locks every 5 seconds; here time runs fifty times as
fast for it, so that a race takes a tenth of a second.
"""

import os
import signal
import sys
import time

import tensorflow_hub
from tensorflow_hub import resolver

SPEED = 50


class FastTime:
    """What the resolver sees of the module `time`."""

    def __getattr__(self, name):
        return getattr(time, name)

    @staticmethod
    def sleep(seconds):
        time.sleep(seconds / SPEED)


def child(handle: str) -> None:
    resolver.time = FastTime()
    try:
        line = f"done {os.getpid()} {tensorflow_hub.resolve(handle)}"
    except Exception as error:  # pylint: disable=broad-except
        line = f"failed {os.getpid()} {error!r}".replace("\n", " ")
    os.write(1, (line + "\n").encode())


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once: their process ids are gone
    os.write(1, b"ready\n")
    for line in sys.stdin:
        handle = line.split(maxsplit=1)[1].strip()
        pid = os.fork()
        if pid == 0:
            child(handle)
            os._exit(0)
        os.write(1, f"began {pid}\n".encode())


if __name__ == "__main__":
    main()

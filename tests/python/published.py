"""tfhub.dev, Kaggle and Google Cloud Storage as one process on loopback: the scripted origin of the Rust tests.

It offers every model of a directory in every form in which TensorFlow Hub publishes them, and remembers each request.
"""

import json
import os
import pathlib
import subprocess

import program

BINARY = pathlib.Path(os.environ.get("TFHUB_FS_ORIGIN", program.REPOSITORY / "target/debug/examples/origin"))
FOLDERS = "kaggle-tfhub-models-uncompressed"


class Published:
    def __init__(self, models: pathlib.Path, *flags):
        if not BINARY.exists():
            raise FileNotFoundError(f"{BINARY} is missing: cargo build --example origin")
        # It ends when its standard input does, so not even a killed test run leaves it behind.
        self.process = subprocess.Popen(
            [str(part) for part in (BINARY, models, *flags)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        urls = self.process.stdout.readline()
        if not urls:
            self.stop()
            raise RuntimeError(f"the scripted origin ended with {self.process.returncode}")
        self.hub, self.kaggle, self.gcs = (json.loads(urls)[host] for host in ("hub", "kaggle", "gcs"))

    def flags(self) -> list[str]:
        """What a mount must be told to find it in the place of the real three."""
        return [f"--mirror=https://tfhub.dev={self.hub}", f"--kaggle-url={self.kaggle}", f"--gcs-endpoint={self.gcs}"]

    def folder(self, model: str) -> str:
        """Where the uncompressed form of `test/dense/1` is, below `gs://`."""
        return f"{FOLDERS}/tfhub-modules/{model}/uncompressed"

    def requests(self) -> list[dict]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def sent(self, about: str) -> int:
        """Bytes that have left of everything whose name begins so."""
        return sum(request["sent"] for request in self.requests() if (request["about"] or "").startswith(about))

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(program.SOON)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

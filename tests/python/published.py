"""tfhub.dev, Kaggle and Google Cloud Storage as one process on loopback.

It offers every model of a directory in every form in which TensorFlow Hub publishes them, and remembers each request.
"""

from origin import Process

FOLDERS = "kaggle-tfhub-models-uncompressed"


class Published(Process):
    def flags(self) -> list[str]:
        """What a mount must be told to find it in the place of the real three."""
        return [f"--mirror=https://tfhub.dev={self.hub}", f"--kaggle-url={self.kaggle}", f"--gcs-endpoint={self.gcs}"]

    def folder(self, model: str) -> str:
        """Where the uncompressed form of `test/dense/1` is, below `gs://`."""
        return f"{FOLDERS}/tfhub-modules/{model}/uncompressed"

    def sent(self, about: str) -> int:
        """Bytes that have left of everything whose name begins so."""
        return sum(request["sent"] for request in self.requests() if (request["about"] or "").startswith(about))

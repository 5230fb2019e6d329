"""The scripted origin of the Rust tests as the suites here start it: a process of its own, because the test process may sit
in a TensorFlow call that waits for this very origin."""

import json
import os
import pathlib
import subprocess

import program

BINARY = pathlib.Path(os.environ.get("TFHUB_FS_ORIGIN", program.REPOSITORY / "target/debug/examples/origin"))
NO_LENGTH = -1


class Process:
    """`origin DIR [FLAG VALUE]...`"""

    def __init__(self, models: pathlib.Path, *flags):
        if not BINARY.exists():
            raise FileNotFoundError(f"{BINARY} is missing: cargo build --example origin")
        # It ends when its standard input does, so not even a killed test run leaves it behind.
        command = [str(part) for part in (BINARY, models, *flags)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        urls = self.process.stdout.readline()
        if not urls:
            self.stop()
            raise RuntimeError(f"the scripted origin ended with {self.process.returncode}")
        self.hub, self.kaggle, self.gcs = (json.loads(urls)[host] for host in ("hub", "kaggle", "gcs"))

    def tell(self, command: str):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def requests(self) -> list[dict]:
        return self.tell("")

    def stop(self) -> None:
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        try:
            self.process.wait(program.SOON)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Origin(Process):
    """A plain host that answers with the bytes that it is given, in the manner that it is told."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        (root / "models").mkdir(parents=True, exist_ok=True)
        super().__init__(root / "models", "--direct", "yes")
        self.url = self.hub

    def offer(self, path: str, body: bytes, status=200, headers=(), length=None, rate=None, ranges=True) -> str:
        """Answers GET `path` with `body` from now on. Returns the handle.

        `length` is the Content-Length to announce, when it is a lie; NO_LENGTH announces none. `rate` is in bytes a second.
        """
        file = self.root / "body"
        file.write_bytes(body)
        manner = {"status": status, "headers": dict(headers), "length": length, "rate": rate, "ranges": ranges}
        self.tell(json.dumps({"offer": path, "file": str(file)} | manner))
        return f"{self.url}/{path}"

    def downloads(self) -> list[dict]:
        """The requests that asked for a body: a look at the headers asks for one byte, or hangs up."""
        return [request for request in self.requests() if request["range"] != "bytes=0-0" and request["size"] > 0]

    def forget_requests(self) -> None:
        self.tell('{"forget": true}')


class Bucket(Process):
    """A bucket that anybody may write, with its objects in a directory."""

    def __init__(self, objects: pathlib.Path, *flags):
        none = objects.with_name("none")
        none.mkdir(exist_ok=True)
        super().__init__(none, "--bucket", f"cache={objects}", *flags)
        self.url = self.gcs

"""An HTTP origin that does what a file tells it to, and writes down every request.

`GET /a/b/1?query` is answered with the bytes of `ROOT/a/b/1.body` in the manner of `ROOT/a/b/1.json` (`Manner`).
It runs as a process of its own: the test process may sit in a TensorFlow call that waits for this very origin.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 16 * 1024
NO_LENGTH = -1


@dataclasses.dataclass
class Manner:
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    length: int | None = None  # the Content-Length to announce, when it is a lie; NO_LENGTH announces none
    rate: int | None = None  # bytes per second
    ranges: bool = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        body_file = self.server.root / (path.strip("/") + ".body")
        manner_file = body_file.with_suffix(".json")
        if not body_file.is_file():
            self.server.write_down(self, 0)
            return self.send_error(404)
        manner = Manner(**json.loads(manner_file.read_text())) if manner_file.is_file() else Manner()
        body = body_file.read_bytes()
        ranged = manner.ranges and manner.status == 200
        first, last = self.wanted_range(len(body)) if ranged else (0, len(body) - 1)
        partial = (first, last) != (0, len(body) - 1)
        self.server.write_down(self, last + 1 - first)
        # A lie about the length is told of the whole: a range of one byte is one byte all the same.
        total = manner.length if manner.length is not None else len(body)
        self.send_response(206 if partial else manner.status)
        if partial:
            self.send_header("Content-Length", str(last + 1 - first))
            self.send_header("Content-Range", f"bytes {first}-{last}/{'*' if total == NO_LENGTH else total}")
        elif total != NO_LENGTH:
            self.send_header("Content-Length", str(total))
        if ranged:
            self.send_header("Accept-Ranges", "bytes")
        for name, value in manner.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.send_slowly(body[first : last + 1], manner.rate)
        self.close_connection = True

    def wanted_range(self, size: int) -> tuple[int, int]:
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes=") or size == 0:
            return 0, size - 1
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return min(int(first), size - 1), min(int(last) if last else size - 1, size - 1)

    def send_slowly(self, body: bytes, rate: int | None):
        try:
            for start in range(0, len(body), PIECE):
                self.wfile.write(body[start : start + PIECE])
                if rate:
                    time.sleep(PIECE / rate)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a client that only wanted the headers

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, root: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = pathlib.Path(root)
        self.lock = threading.Lock()

    def write_down(self, request: Handler, size: int):
        line = {"path": request.path, "range": request.headers.get("Range"), "size": size}
        with self.lock, open(self.root / "requests.log", "a") as log:
            log.write(json.dumps(line) + "\n")


class Origin:
    """The same, as the tests hold it."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, __file__, str(root)], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def offer(self, path: str, body: bytes, **manner) -> str:
        """Answers GET `path` with `body` from now on. Returns the handle."""
        body_file = self.root / (path + ".body")
        body_file.parent.mkdir(parents=True, exist_ok=True)
        body_file.with_suffix(".json").write_text(json.dumps(dataclasses.asdict(Manner(**manner))))
        # By rename, so that a request in flight sees the old body or the new one.
        fresh = body_file.with_suffix(".new")
        fresh.write_bytes(body)
        os.replace(fresh, body_file)
        return f"{self.url}/{path}"

    def requests(self) -> list[dict]:
        log = self.root / "requests.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def downloads(self) -> list[dict]:
        """The requests that asked for a body: a look at the headers asks for one byte, or hangs up."""
        return [request for request in self.requests() if request["range"] != "bytes=0-0" and request["size"] > 0]

    def forget_requests(self) -> None:
        (self.root / "requests.log").unlink(missing_ok=True)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


if __name__ == "__main__":
    server = Server(sys.argv[1])
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()

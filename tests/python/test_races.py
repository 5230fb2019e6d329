"""Many processes and one directory: tensorflow_hub and tfhub-fs race, some of them are killed, and no entry is ever torn."""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import program
from test_cache import entry, left_in, pack
from test_stream import tree

ROUNDS = int(os.environ.get("ROUNDS", "24"))
SLOWLY = 40_000  # bytes a second


class Racers:
    """tensorflow_hub in as many processes as are wanted."""

    def __init__(self, cache: pathlib.Path):
        command = [sys.executable, str(pathlib.Path(__file__).with_name("racers.py"))]
        environment = program.clean_environment() | {"TFHUB_CACHE_DIR": str(cache)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.ended = {}
        self.began = []
        self.news = threading.Condition()
        assert self.process.stdout.readline() == "ready\n"
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        for line in self.process.stdout:
            word, pid, *rest = line.split(maxsplit=2)
            with self.news:
                if word == "began":
                    self.began.append(int(pid))
                else:
                    self.ended[int(pid)] = (word, rest[0].strip() if rest else "")
                self.news.notify_all()

    def start(self, handle: str) -> int:
        with self.news:
            count = len(self.began)
            self.process.stdin.write(f"resolve {handle}\n")
            self.process.stdin.flush()
            assert self.news.wait_for(lambda: len(self.began) > count, program.SOON)
            return self.began[-1]

    def wait(self, pid: int) -> tuple[str, str]:
        with self.news:
            assert self.news.wait_for(lambda: pid in self.ended, 60), f"tensorflow_hub ({pid}) never ends"
            return self.ended[pid]

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def racers(hub_cache):
    them = Racers(hub_cache)
    yield them
    them.stop()


def resolve(handle: str, cache: pathlib.Path, command: str = "resolve") -> subprocess.Popen:
    arguments = [program.BINARY, command, handle, "--cache-dir", cache, "--log-level", "error"]
    environment = program.clean_environment()
    return subprocess.Popen(list(map(str, arguments)), env=environment, stdout=subprocess.PIPE, text=True)


def killed(chance: random.Random, ours: list, theirs: list) -> tuple[list, list]:
    """Kills one of them or none, at some moment of the race. Who is left."""
    dead = chance.choices(["ours", "theirs", "nobody"], [6, 1, 3])[0]
    time.sleep(chance.uniform(0.0, 0.6))
    if dead == "ours":
        ours[0].kill()
        ours[0].wait()
        return ours[1:], theirs
    if dead == "theirs":
        with contextlib.suppress(ProcessLookupError):  # it is done already
            os.kill(theirs[0], signal.SIGKILL)
        return ours, theirs[1:]
    return ours, theirs


def test_races_with_kills_never_leave_a_torn_entry(plain, origin, hub_cache, racers, mount):
    """tensorflow_hub, `resolve` and a reader of a mount; `ROUNDS` says how many races there are."""
    archive, wanted = pack(plain / "test/text/1"), tree(plain / "test/text/1")
    graph = (plain / "test/text/1/saved_model.pb").read_bytes()
    chance = random.Random(3)
    mounted = mount("--hub-url", origin.url, cache=hub_cache)
    for number in range(ROUNDS):
        handle = origin.offer(f"race/r{number}/1", archive, rate=SLOWLY)
        path = str(entry(hub_cache, handle))
        start = [
            lambda: subprocess.Popen(["cat", mounted / f"race/r{number}/1/saved_model.pb"], stdout=subprocess.PIPE),
            lambda: [resolve(handle, hub_cache) for _ in range(2)],
            lambda: [racers.start(handle) for _ in range(2)],
        ]
        order = chance.sample(range(3), 3)
        begun = {at: start[at]() for at in order}
        ours, theirs = killed(chance, begun[1], begun[2])
        assert begun[0].communicate(timeout=60)[0] == graph, f"round {number}"
        for process in ours:
            told, _ = process.communicate(timeout=60)
            assert (process.returncode, told.strip()) == (0, path), f"round {number}"
        for pid in theirs:
            assert racers.wait(pid) == ("done", path), f"round {number}"
        program.wait_until(lambda: tree(entry(hub_cache, handle)) == wanted, f"round {number}")
    left = [name for name in left_in(hub_cache) if name.endswith((".lock", ".tmp"))]
    assert not left, left


def test_a_crowd_of_processes_fetches_once(plain, origin, hub_cache, racers, mount):
    """16 prefetch, 4 mounts and 8 tensorflow_hub want one cold model: one download, two where tensorflow_hub races itself."""
    archive, wanted = pack(plain / "test/text/1"), tree(plain / "test/text/1")
    handle = origin.offer("test/text/1", archive, rate=len(archive) // 8)  # bytes a second
    mounts = [mount("--hub-url", origin.url, cache=hub_cache) for _ in range(4)]
    readers = [subprocess.Popen(["cat", one / "test/text/1/saved_model.pb"], stdout=subprocess.DEVNULL) for one in mounts]
    fetchers = [resolve(handle, hub_cache, "prefetch") for _ in range(16)]
    hubs = [racers.start(handle) for _ in range(8)]
    assert not entry(hub_cache, handle).exists(), "all of them began before it was there"
    for reader in readers:
        assert reader.wait(60) == 0
    for fetcher in fetchers:
        assert fetcher.wait(60) == 0
        assert fetcher.stdout.read().strip() == str(entry(hub_cache, handle))
    for pid in hubs:
        word, told = racers.wait(pid)
        assert (word, told) == ("done", str(entry(hub_cache, handle))), told
    for one in mounts:
        assert tree(one / "test/text/1") == wanted
    assert tree(entry(hub_cache, handle)) == wanted
    assert len(origin.downloads()) <= 2, "two where tensorflow_hub's own lock race allows it"


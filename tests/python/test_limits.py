"""Archives that would fill the disk or the inode table. tensorflow_hub has no limits, so it is not run over these."""

import time
import zlib

import pytest

import program
from corpus import GRAPH, START
from tarball import END, folder, gzip_trailer, gzipped, member, rewritten

MIB = 1 << 20


def bomb(size: int) -> bytes:
    """A gzip archive with one file of `size` zeros, made of one deflated MiB, many times over."""
    header = rewritten(member("zeros", b"")[:512], 124, b"%011o\0" % size)
    head, deflated = (flushed(data) for data in (START + header, bytes(MIB)))
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + head + deflated * (size // MIB) + b"\x03\0" + gzip_trailer(b"")


def flushed(data: bytes) -> bytes:
    """Deflated, ending on a byte and without history, so that such pieces can be put in a row."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)


def many(count: int) -> bytes:
    return gzipped(START + b"".join(folder(f"folder{number}") for number in range(count)) + END, 1)


@pytest.mark.parametrize(
    ("body", "knob"),
    [(bomb(4 << 30), "--max-archive-ratio"), (many(100_001), "--max-archive-entries")],
    ids=["gzip bomb of 4 GiB", "100,001 folders"],
)
def test_refused_by_default(body, knob, origin, place):
    handle = origin.offer("limits/model/1", body)
    started = time.monotonic()
    done = program.resolve(handle, place / "cache")
    assert done.returncode == 1
    assert knob in done.stderr, "the message names the flag that lifts the limit"
    assert time.monotonic() - started < 30
    assert {path.name for path in (place / "cache").iterdir()} <= {".tfhub-fs"}


@pytest.mark.parametrize(
    ("flag", "too_low", "enough"),
    [("--max-archive-entries", "3", "100"), ("--max-model-size", "400", "1MiB")],
)
def test_the_flags(flag, too_low, enough, origin, place):
    body = gzipped(START + folder("a") + folder("b") + folder("c") + member("x", GRAPH) + END)
    handle = origin.offer("limits/model/1", body)
    refused = program.resolve(handle, place / "cache", flag, too_low)
    assert refused.returncode == 1 and flag in refused.stderr, refused
    assert program.resolve(handle, place / "cache", flag, enough).returncode == 0

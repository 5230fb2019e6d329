"""Archives byte by byte: what `tarfile` would write, and what it would refuse to write."""

import bz2
import gzip
import lzma
import pathlib
import subprocess
import tarfile
import zlib

BLOCK = 512
END = bytes(2 * BLOCK)


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, format=tarfile.GNU_FORMAT, **fields) -> bytes:
    """One member: its header (or headers, if the name is long) and its data, padded to blocks."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(format, "utf-8", "surrogateescape") + padded(data)


def folder(name: str, **fields) -> bytes:
    return member(name, kind=tarfile.DIRTYPE, **fields)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def rewritten(header: bytes, offset: int, field: bytes) -> bytes:
    """The header block with other bytes at `offset`, and the checksum that then belongs to it."""
    block = bytearray(header)
    block[offset : offset + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:BLOCK])
    return bytes(block)


def pax(records: dict[str, bytes], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """An extended header, also with records that `tarfile` would not write."""
    body = b""
    for key, value in records.items():
        rest = b" %s=%s\n" % (key.encode(), value)
        length = len(rest) + len(str(len(rest)))
        length = len(rest) + len(str(length))
        body += str(length).encode() + rest
    return member("././@PaxHeader", body, kind, tarfile.USTAR_FORMAT)


def gzipped(data: bytes, level: int = 6) -> bytes:
    return gzip.compress(data, level, mtime=0)


def gzip_trailer(data: bytes, wrong_crc: int = 0, wrong_size: int = 0) -> bytes:
    crc, size = zlib.crc32(data) ^ wrong_crc, len(data) ^ wrong_size
    return crc.to_bytes(4, "little") + size.to_bytes(4, "little")


def gzip_with_name(data: bytes) -> bytes:
    """As `gzip FILE` does without -n: the file's name and time stand in the header."""
    whole = gzipped(data)
    return whole[:3] + b"\x08\x01\x02\x03\x04" + whole[8:10] + b"model.tar\0" + whole[10:]


def zstd(data: bytes) -> bytes:
    """A frame of raw blocks, because Python 3.11 has no encoder: magic, header (one segment, 8-byte size), blocks."""
    frame = bytes.fromhex("28b52ffd") + b"\xe0" + len(data).to_bytes(8, "little")
    pieces = [data[at : at + 0x10000] for at in range(0, len(data), 0x10000)]
    for piece in pieces:
        last = piece is pieces[-1]
        frame += ((len(piece) << 3) | last).to_bytes(3, "little") + piece
    return frame


COMPRESSIONS = {
    "gzip": gzipped,
    "gzip stored": lambda data: gzipped(data, 0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "no compression": bytes,
}


def sparse(scratch: pathlib.Path, *flags: str) -> tuple[bytes, bytes]:
    """An archive that GNU tar makes of a file with holes, and the file's bytes. The file has a hole at its end too."""
    directory = scratch / ("sparse" + "".join(flags))
    directory.mkdir()
    (directory / "saved_model.pb").write_bytes(b"graph")
    with open(directory / "holes.bin", "wb") as file:
        for offset in (0, 1 << 20, (1 << 20) + 200_000, 3 << 20):
            file.seek(offset)
            file.write(bytes(range(1, 251)) * 40)
        file.truncate(4 << 20)
    command = ["tar", "--sparse", "--owner=0", "--group=0", *flags, "-C", str(directory), "-c", "."]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    assert len(made) < 1 << 20, "the temporary directory has no holes, so this is no sparse archive"
    return made, (directory / "holes.bin").read_bytes()

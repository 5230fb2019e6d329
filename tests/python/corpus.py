"""The archives of the differential suite: what each is, and what must come of it.

A `Case` says which tree tfhub-fs must make of a body (`None`: it must refuse it). Real tensorflow_hub must do the
same, unless the case says what it does instead, and why we want the difference. Trees map relative names to bytes;
a directory maps to `None`.
"""

import base64
import dataclasses
import hashlib
import pathlib
import random
import tarfile

from origin import NO_LENGTH
from tarball import (
    COMPRESSIONS,
    END,
    folder,
    gzip_trailer,
    gzip_with_name,
    gzipped,
    member,
    pax,
    padded,
    rewritten,
    sparse,
    zstd,
)

Tree = dict[str, bytes | None]
AS_OURS = "as ours"


@dataclasses.dataclass
class Case:
    name: str
    body: bytes
    ours: Tree | None
    hub: Tree | None | str = AS_OURS
    why: str = ""  # the reason of the difference
    manner: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        assert (self.hub == AS_OURS) == (self.why == ""), f"{self.name}: a difference needs a reason, and only it"


BROKEN = (
    "tensorflow_hub caches a damaged transfer as complete; a model is sealed only when all of it is proved to be there"
)
MISREAD = "tensorflow_hub passes over what it cannot make sense of, and keeps a tree that is not what was packed"
KINDER = "the archive is sound, only tensorflow_hub cannot read it"
EMPTY = "tensorflow_hub succeeds with an empty directory, which it then downloads again at every call"
FORGOTTEN = "tensorflow_hub forgets empty files (its writer makes a file at the first write); a model may need them"

GRAPH = b"graph" * 100
NOISE = random.Random(3).randbytes(40_000)
MODEL: Tree = {"saved_model.pb": GRAPH, "assets": None, "assets/words.txt": b"a\nb\n", "noise.bin": NOISE}
MEMBERS = [
    folder("./"),
    member("./saved_model.pb", GRAPH),
    folder("./assets/"),
    member("./assets/words.txt", b"a\nb\n"),
    member("./noise.bin", NOISE),
]
PLAIN = b"".join(MEMBERS) + END
X, Y = member("x", b"data"), member("y", b"data")
START = folder("./") + member("./saved_model.pb", GRAPH)
ONLY_GRAPH: Tree = {"saved_model.pb": GRAPH}


def with_member(*members: bytes) -> bytes:
    return gzipped(START + b"".join(members) + END)


def and_file(name: str, data: bytes = b"data") -> Tree:
    parts = name.split("/")
    parents = {"/".join(parts[:count]): None for count in range(1, len(parts))}
    return ONLY_GRAPH | parents | {name: data}


def good_cases() -> list[Case]:
    cases = [Case(f"compression: {name}", compress(PLAIN), MODEL) for name, compress in COMPRESSIONS.items()]
    long_name = "d" * 90 + "/" + "f" * 90
    very_long_name = "e" * 200 + "/" + "g" * 200
    for name, form in [("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT), ("ustar", tarfile.USTAR_FORMAT)]:
        wanted = long_name if name == "ustar" else very_long_name
        parent = wanted.partition("/")[0]
        cases.append(
            Case(
                f"long name: {name}",
                with_member(folder(parent, format=form), member(wanted, b"data", format=form)),
                and_file(wanted),
            )
        )
    v7 = rewritten(member("old.bin", b"data"), 257, bytes(255))
    v7_folder = rewritten(rewritten(folder("olddir/"), 257, bytes(255)), 156, b"\0")
    return cases + [
        Case(
            "name: UTF-8 in pax",
            with_member(member("wörter.txt", b"data", format=tarfile.PAX_FORMAT)),
            and_file("wörter.txt"),
        ),
        Case("name: UTF-8 in gnu", with_member(member("wörter.txt", b"data")), and_file("wörter.txt")),
        Case("name: without ./", gzipped(member("saved_model.pb", GRAPH) + END), ONLY_GRAPH),
        Case("name: .//c", with_member(member(".//c.txt", b"data")), and_file("c.txt")),
        Case(
            "name: a/../b",
            with_member(folder("a"), member("a/../b.txt", b"data")),
            ONLY_GRAPH | {"a": None, "b.txt": b"data"},
        ),
        Case("name: absolute", with_member(member("/absolute.txt", b"data")), and_file("absolute.txt")),
        Case("name: blanks and newline", with_member(member("a b\n.txt", b"data")), and_file("a b\n.txt")),
        Case("name: backslash", with_member(member("a\\b.txt", b"data")), and_file("a\\b.txt")),
        Case("name: 255 bytes", with_member(member("n" * 255, b"data")), and_file("n" * 255)),
        Case("pax: global header", gzipped(pax({"comment": b"x"}, tarfile.XGLTYPE) + START + END), ONLY_GRAPH),
        Case(
            "pax: size",
            with_member(
                pax({"size": b"4"}) + rewritten(member("x", b"data")[:512], 124, b"00000000000") + padded(b"data")
            ),
            and_file("x"),
        ),
        Case("header: v7", with_member(v7), and_file("old.bin")),
        Case("header: v7 folder", with_member(v7_folder), ONLY_GRAPH | {"olddir": None}),
        Case("type: NUL", with_member(member("x", b"data", tarfile.AREGTYPE)), and_file("x")),
        Case("type: contiguous", with_member(member("x", b"data", tarfile.CONTTYPE)), and_file("x")),
        Case(
            "mode 0, setuid",
            with_member(member("x", b"data", mode=0), folder("d", mode=0o4000)),
            ONLY_GRAPH | {"x": b"data", "d": None},
        ),
        Case(
            "owner and time",
            with_member(member("x", b"data", uid=4_000_000_000, mtime=2**40, uname="nobody")),
            and_file("x"),
        ),
        Case(
            "duplicate: last wins",
            with_member(member("x", b"first, longer"), member("x", b"last")),
            and_file("x", b"last"),
        ),
        Case("duplicate: folder", with_member(folder("d"), folder("d")), ONLY_GRAPH | {"d": None}),
        Case("name: a file's with a slash behind", with_member(rewritten(X, 0, b"x/")), and_file("x")),
        Case("gzip: file name in its header", gzip_with_name(PLAIN), MODEL),
        Case(
            "wrapped in a folder",
            gzipped(folder("top") + member("top/saved_model.pb", GRAPH) + END),
            {"top": None, "top/saved_model.pb": GRAPH},
        ),
        Case("zeros after the end", gzipped(PLAIN + bytes(10240)), MODEL),
        Case("zeros after the gzip member", gzipped(PLAIN) + bytes(1024), MODEL),
    ]


def sparse_cases(scratch: pathlib.Path) -> list[Case]:
    versions = {"gnu": ["--format=gnu"]}
    for version in ("0.0", "0.1", "1.0"):
        versions[f"pax {version}"] = ["--format=posix", f"--sparse-version={version}"]
    cases = []
    for name, flags in versions.items():
        archive, data = sparse(scratch, *flags)
        cases.append(Case(f"sparse: {name}", gzipped(archive), {"saved_model.pb": b"graph", "holes.bin": data}))
    return cases


def hostile_cases() -> list[Case]:
    link = {"linkname": "saved_model.pb"}
    size_8_eib = b"\x80" + bytes(3) + (2**63 - 1).to_bytes(8, "big")
    huge = rewritten(member("x", b"data")[:512], 124, size_8_eib) + padded(b"data")
    special = {"symlink": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE}
    special |= {
        "character device": tarfile.CHRTYPE,
        "block device": tarfile.BLKTYPE,
        "volume label": b"V",
        "dump directory": b"D",
    }
    names = ["../x", "a/../../x", "assets/../../../x", ".."]
    return [
        *[Case(f"type: {name}", with_member(member("x", b"", kind, **link)), None) for name, kind in special.items()],
        *[Case(f"name: {name}", with_member(member(name, b"data")), None) for name in names],
        Case("name: ../x first", gzipped(member("../x", b"data") + START + END), None),
        Case("name: 256 bytes", with_member(member("n" * 256, b"data")), None),
        Case("name: 1 MiB", with_member(member("n" * (1 << 20), b"data")), None),
        Case("name: empty", with_member(rewritten(X, 0, bytes(100))), None),
        Case("name: not UTF-8", with_member(member("w\udcf6rter.txt", b"data")), None),
        Case("type: unknown", with_member(member("x", b"data", b"Z")), None),
        Case("cut after a long name", with_member(member("l" * 120, b"data")[:1024]), None),
        Case("name: path of 5000 bytes", with_member(member("/".join(["p" * 100] * 50), b"data")), None),
        Case(
            "link that a later member goes through",
            with_member(member("d", b"", tarfile.SYMTYPE, linkname="/tmp"), member("d/x", b"data")),
            None,
        ),
        Case("size: 8 EiB", with_member(huge), None),
        Case("file, then folder of that name", with_member(member("x", b"data"), folder("x")), None),
        Case("folder, then file of that name", with_member(folder("x"), member("x", b"data")), None),
        Case("file, then a file below it", with_member(member("x", b"data"), member("x/y", b"data")), None),
        Case(
            "not an archive: HTML",
            b"<!doctype html><title>Models</title>" * 50,
            None,
            manner={"headers": {"Content-Type": "text/html"}},
        ),
        Case("not an archive: nothing", b"", None),
        Case("not an archive: gzip of text", gzipped(b"hello\n" * 400), None),
        Case("not an archive: zstd", zstd(PLAIN), None),
        Case("cut inside a member", gzipped(PLAIN, 0)[:20_000], None),
        Case("cut inside a member, bzip2", COMPRESSIONS["bzip2"](PLAIN)[:20_000], None),
        Case("cut inside a member, xz", COMPRESSIONS["xz"](PLAIN)[:20_000], None),
        Case("cut inside a member, no compression", PLAIN[:20_000], None),
    ]


def transfer_cases() -> list[Case]:
    packed = gzipped(PLAIN)
    md5 = base64.b64encode(hashlib.md5(packed).digest()).decode()
    return [
        Case("length announced: none", packed, MODEL, manner={"length": NO_LENGTH}),
        Case("length announced: too little", gzipped(PLAIN, 0), None, manner={"length": 20_000}),
        Case("content-encoding: gzip on an archive", packed, MODEL, manner={"headers": {"Content-Encoding": "gzip"}}),
        Case("content-type: text/html on an archive", packed, MODEL, manner={"headers": {"Content-Type": "text/html"}}),
        Case("no ranges", packed, MODEL, manner={"ranges": False}),
        Case("x-goog-hash: right", packed, MODEL, manner={"headers": {"x-goog-hash": f"md5={md5}"}}),
        *[Case(f"status {status}", packed, None, manner={"status": status}) for status in (401, 403, 404, 410, 500)],
    ]


def different_cases() -> list[Case]:
    """Every wanted difference from tensorflow_hub, each with its reason."""
    stored = gzipped(PLAIN, 0)
    deflated = gzipped(PLAIN)[:-8]
    flipped = bytearray(stored)
    flipped[stored.index(NOISE[:64]) + 100] ^= 0x10
    negative = rewritten(member("x", b"data")[:512], 124, b"\xff" * 12) + padded(b"data")
    boundary = len(b"".join(MEMBERS[:4]))
    bad_sum = bytearray(member("x", b"data"))
    bad_sum[148:154] = b"000000"
    packed = gzipped(PLAIN)
    some = {name: MODEL[name] for name in ("saved_model.pb", "assets", "assets/words.txt")}
    return [
        Case("flipped bit in a stored block", bytes(flipped), None, flipped_tree(), BROKEN),
        Case("gzip: wrong CRC", deflated + gzip_trailer(PLAIN, wrong_crc=1), None, MODEL, BROKEN),
        Case("gzip: wrong length", deflated + gzip_trailer(PLAIN, wrong_size=1), None, MODEL, BROKEN),
        Case("gzip: no trailer", deflated, None, MODEL, BROKEN),
        Case("gzip: half a trailer", packed[:-4], None, MODEL, BROKEN),
        Case("cut at a member's end", PLAIN[:boundary], None, some, BROKEN),
        Case("cut at a member's end, gzip stored", gzipped(PLAIN, 0)[: 10 + 5 + boundary], None, some, BROKEN),
        Case("header with a wrong checksum", gzipped(START + bytes(bad_sum) + END), None, ONLY_GRAPH, MISREAD),
        Case("length announced: too much", packed, None, MODEL, BROKEN, {"length": len(packed) + 5000}),
        Case(
            "x-goog-hash: wrong",
            packed,
            None,
            MODEL,
            BROKEN,
            {"headers": {"x-goog-hash": "md5=AAAAAAAAAAAAAAAAAAAAAA=="}},
        ),
        Case("x-goog-hash: wrong crc32c", packed, None, MODEL, BROKEN, {"headers": {"x-goog-hash": "crc32c=AAAAAA=="}}),
        Case("junk after the end", gzipped(PLAIN + NOISE), None, MODEL, BROKEN),
        Case("junk after the gzip member", packed + NOISE, None, MODEL, BROKEN),
        Case("zero-length file", with_member(member("empty.txt")), and_file("empty.txt", b""), ONLY_GRAPH, FORGOTTEN),
        Case("gzip: two members", pieces("gzip"), MODEL, None, KINDER),
        Case("folder without an entry", with_member(member("deep/er/x", b"data")), and_file("deep/er/x"), None, KINDER),
        Case("name: ..foo", with_member(member("..foo", b"data")), and_file("..foo"), None, KINDER),
        Case("size: negative", with_member(negative), None, ONLY_GRAPH, MISREAD),
        Case("no end blocks, gzip", gzipped(START), None, ONLY_GRAPH, BROKEN),
        Case("one end block, gzip", gzipped(START + bytes(512)), ONLY_GRAPH),
        Case(
            "pax: bogus record",
            with_member(member("bogus", b"nonsense", b"x"), member("x", b"data")),
            None,
            and_file("x"),
            MISREAD,
        ),
        Case(
            "pax: size lies",
            with_member(pax({"size": b"900"}), X, Y),
            None,
            and_file("x", (X + Y)[512 : 512 + 900]),
            MISREAD,
        ),
        Case("name: NUL in pax", with_member(pax({"path": b"a\0b"}) + X), None, and_file("a"), MISREAD),
        Case("sparse map that is none", with_member(member("x", b"data", b"S")), None, ONLY_GRAPH, MISREAD),
        Case(
            "folder with data",
            with_member(member("d", b"data" * 300, tarfile.DIRTYPE), Y),
            None,
            ONLY_GRAPH | {"d": None},
            MISREAD,
        ),
        Case("bzip2: two streams", pieces("bzip2"), MODEL, None, KINDER),
        Case("xz: two streams", pieces("xz"), MODEL, None, KINDER),
        Case("bzip2: junk after the end", COMPRESSIONS["bzip2"](PLAIN) + NOISE, None, MODEL, BROKEN),
        Case("xz: junk after the end", COMPRESSIONS["xz"](PLAIN) + NOISE, None, MODEL, BROKEN),
        Case("bzip2: no trailer", COMPRESSIONS["bzip2"](PLAIN)[:-4], None, MODEL, BROKEN),
        Case("xz: no trailer", COMPRESSIONS["xz"](PLAIN)[:-12], None, MODEL, BROKEN),
        Case("empty archive", gzipped(END), None, {}, EMPTY),
        Case("only ./", gzipped(folder("./") + END), None, {}, EMPTY),
    ]


def pieces(compression: str) -> bytes:
    """The archive in two compressed streams, as parallel compressors write it."""
    compress = COMPRESSIONS[compression]
    return compress(PLAIN[:20_000]) + compress(PLAIN[20_000:])


def flipped_tree() -> Tree:
    noise = bytearray(NOISE)
    noise[100] ^= 0x10
    return MODEL | {"noise.bin": bytes(noise)}


def all_cases(scratch: pathlib.Path) -> list[Case]:
    cases = good_cases() + sparse_cases(scratch) + hostile_cases() + transfer_cases() + different_cases()
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    return cases

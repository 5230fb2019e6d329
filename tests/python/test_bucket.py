"""The bucket of `tfhub-fs serve`, read by clients that others wrote for Google Cloud Storage: gcsfs and rclone.

What they say is compared with the served directory. tensorflow_hub is asked for the way from a handle to the folder.
"""

import base64
import hashlib
import os
import pathlib
import subprocess

import pytest
import tensorflow
import tensorflow_hub

# Without this gcsfs asks Google, through gRPC, which kind of bucket it is.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

import gcsfs

import program

BUCKET = "tfhub-models"
SHARDS = 3000  # three pages, and a few more objects


@pytest.fixture(scope="module")
def served(scratch):
    """A directory with many files, a large one, an empty one, one with an odd name, and an archive."""
    root = scratch / "bucket"
    contents = {
        "google/small/1/saved_model.pb": b"graph",
        "google/small/1/assets/vocab.txt": b"a\nb\n",
        "google/small/1/assets/m\u00e1s & +%2F?#.txt": b"odd",
        "google/small/1/variables/variables.index": b"",
        "google/small/1/variables/variables.data-00000-of-00001": os.urandom(5_000_001),
        "google/many/1/saved_model.pb": b"graph",
        "google/ready/7.tar.gz": b"an archive",
    }
    contents |= {f"google/many/1/assets/{number:04}": b"%d" % number for number in range(SHARDS)}
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "notes.txt").write_text("not a model's")
    return root, contents


@pytest.fixture(scope="module")
def server(served):
    hub = program.Hub(served[0], "--listen", "127.0.0.1:0")
    yield hub
    hub.stop()


@pytest.fixture
def cloud(server):
    return gcsfs.GCSFileSystem(
        token="anon", endpoint_url=server.url, project="none", use_listings_cache=False, skip_instance_cache=True
    )


@pytest.fixture
def rclone(server):
    """`rclone("cat", "path")` with the bucket's path as the last argument; its settings are environment variables."""
    settings = {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_HUB_TYPE": "google cloud storage",
        "RCLONE_CONFIG_HUB_ANONYMOUS": "true",
        "RCLONE_CONFIG_HUB_ENDPOINT": server.url,
    }

    def run(*arguments, code=0) -> bytes:
        *first, path = arguments
        command = ["rclone", "--retries", "1", "--low-level-retries", "1", *first, f"hub:{BUCKET}{path}"]
        done = subprocess.run(command, env=program.clean_environment() | settings, capture_output=True, timeout=120)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout

    return run


def objects(contents: dict, below: str) -> set:
    return {f"{BUCKET}/{name}" for name in contents if name.startswith(below)}


def test_gcsfs_lists(cloud, served):
    _, contents = served
    assert cloud.ls("") == [f"{BUCKET}/"]
    assert cloud.ls(BUCKET) == [f"{BUCKET}/google"]
    assert cloud.ls(f"{BUCKET}/google/small/1/assets") == sorted(objects(contents, "google/small/1/assets/"))
    assert set(cloud.find(BUCKET)) == objects(contents, ""), "all pages, and nothing that is no model's"
    assert len(cloud.ls(f"{BUCKET}/google/many/1/assets")) == SHARDS
    tree = {path: (dirs, sorted(files)) for path, dirs, files in cloud.walk(f"{BUCKET}/google/small")}
    assert tree[f"{BUCKET}/google/small/1"] == (["assets", "variables"], ["saved_model.pb"])
    assert set(tree) == {f"{BUCKET}/google/small{end}" for end in ("", "/1", "/1/assets", "/1/variables")}
    assert cloud.glob(f"{BUCKET}/google/*/7.tar.gz") == [f"{BUCKET}/google/ready/7.tar.gz"]
    assert cloud.isdir(f"{BUCKET}/google/small/1") and cloud.isfile(f"{BUCKET}/google/small/1/saved_model.pb")
    assert not cloud.exists(f"{BUCKET}/notes.txt") and not cloud.exists(f"{BUCKET}/google/small/2")
    with pytest.raises(FileNotFoundError):
        cloud.ls(f"{BUCKET}/google/none")
    with pytest.raises(FileNotFoundError):
        cloud.ls("another-bucket")


def test_gcsfs_knows_sizes_and_checksums(cloud, served):
    _, contents = served
    for name in filter(lambda name: "/small/" in name, contents):
        info = cloud.info(f"{BUCKET}/{name}")
        assert (info["type"], int(info["size"])) == ("file", len(contents[name]))
        assert base64.b64decode(info["md5Hash"]) == hashlib.md5(contents[name]).digest()
        assert len(base64.b64decode(info["crc32c"])) == 4


def test_gcsfs_reads(cloud, served, place):
    _, contents = served
    for name in filter(lambda name: "/many/" not in name, contents):
        path, content = f"{BUCKET}/{name}", contents[name]
        assert cloud.cat_file(path) == content, name
        cloud.get_file(path, str(place / "copy"), consistency="md5")
        assert (place / "copy").read_bytes() == content
    large = "google/small/1/variables/variables.data-00000-of-00001"
    path, content = f"{BUCKET}/{large}", contents[large]
    for start, end in [(0, 1), (1000, 70_000), (4_999_999, None), (-5, None), (5_000_000, 9_000_000)]:
        assert cloud.cat_file(path, start=start, end=end) == content[start:end], (start, end)
    with cloud.open(path, "rb", block_size=1 << 16) as file:
        for at in (4_000_000, 0, 2_500_000):
            file.seek(at)
            assert file.read(100_000) == content[at : at + 100_000]
    with pytest.raises(FileNotFoundError):
        cloud.cat_file(f"{BUCKET}/google/small/1/none")


def test_a_replaced_object_has_another_generation(cloud, served):
    root, _ = served
    name = "google/swap/1/saved_model.pb"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(b"old")
    old = cloud.info(f"{BUCKET}/{name}")["generation"]
    pinned = f"{BUCKET}/{name}#{old}"
    versions = gcsfs.GCSFileSystem(
        token="anon", endpoint_url=cloud._endpoint, version_aware=True, skip_instance_cache=True
    )
    assert versions.cat_file(pinned) == b"old"
    (root / "google/swap/.new").write_bytes(b"new")
    os.replace(root / "google/swap/.new", root / name)
    with pytest.raises(FileNotFoundError):
        versions.cat_file(pinned)
    assert cloud.cat_file(f"{BUCKET}/{name}") == b"new"
    assert int(cloud.info(f"{BUCKET}/{name}")["generation"]) > int(old)
    (root / name).unlink()
    (root / name).parent.rmdir()


def test_rclone_lists(rclone, served):
    _, contents = served
    assert rclone("lsf", "").decode().split() == ["google/"]
    assert set(rclone("lsf", "--recursive", "--files-only", "").decode().splitlines()) == set(contents)
    sizes = dict(reversed(line.strip().split(" ", 1)) for line in rclone("ls", "/google/small").decode().splitlines())
    assert sizes == {
        name.removeprefix("google/small/"): str(len(content))
        for name, content in contents.items()
        if name.startswith("google/small/")
    }
    assert rclone("lsf", "/google/none") == b""


def test_rclone_reads_and_checks(rclone, served, place):
    root, contents = served
    sums = dict(reversed(line.split("  ", 1)) for line in rclone("md5sum", "/google/small").decode().splitlines())
    assert sums == {
        name.removeprefix("google/small/"): hashlib.md5(content).hexdigest()
        for name, content in contents.items()
        if name.startswith("google/small/")
    }
    rclone("check", root / "google", "/google")
    rclone("check", "--download", root / "google/small", "/google/small")
    large = "google/small/1/variables/variables.data-00000-of-00001"
    assert rclone("cat", "--offset", "70000", "--count", "1234567", f"/{large}") == contents[large][70000:1304567]
    assert rclone("cat", "--tail", "10", f"/{large}") == contents[large][-10:]


def test_nothing_can_be_written(cloud, rclone, served, place):
    root, contents = served
    (place / "file").write_bytes(b"new")
    for refused in (
        lambda: cloud.pipe_file(f"{BUCKET}/google/small/1/new", b"new"),
        lambda: cloud.rm_file(f"{BUCKET}/google/small/1/saved_model.pb"),
    ):
        with pytest.raises(OSError, match="(?i)forbidden|only read"):
            refused()
    rclone("copy", place / "file", "/google/small/1", code=1)
    rclone("deletefile", "/google/small/1/saved_model.pb", code=1)
    files = {str(path.relative_to(root)) for path in pathlib.Path(root).rglob("*") if path.is_file()}
    assert files == set(contents) | {"notes.txt"}


def test_tensorflow_hub_is_led_to_the_folder(server, monkeypatch):
    monkeypatch.setenv("TFHUB_MODEL_LOAD_FORMAT", "UNCOMPRESSED")
    # TensorFlow knows one address of Cloud Storage only, and would ask there.
    monkeypatch.setattr(tensorflow.compat.v1.gfile, "Exists", lambda path: path.startswith("gs://"))
    assert tensorflow_hub.resolve(f"{server.url}/google/small/1") == f"gs://{BUCKET}/google/small/1"
    with pytest.raises(ValueError, match="404"):
        tensorflow_hub.resolve(f"{server.url}/google/ready/7")

"""Real kagglehub downloads from the scripted origin: what the Rust tests take for Kaggle is what Kaggle's client takes for it.

kagglehub knows one test server, http://localhost:7777.
"""

import os
import pathlib

import kagglehub
import pytest
import requests

from published import Published

PORT = 7777
SMALL = "test/small/tensorFlow2/small"
MANY = "test/many/tensorFlow2/many"


@pytest.fixture(scope="module")
def models(scratch):
    """Two versions of a model with few files, which come one by one, and a model with so many that the archive comes."""
    root = scratch / "kaggle-models"
    contents = {f"test/many/1/assets/{number:02}.txt": os.urandom(1000) for number in range(30)}
    for version in (1, 2):
        place = f"test/small/{version}"
        contents[f"{place}/saved_model.pb"] = os.urandom(20_000)
        contents[f"{place}/variables/variables.index"] = os.urandom(500)
        contents[f"{place}/variables/variables.data-00000-of-00001"] = os.urandom(3_000_000)
        contents[f"{place}/assets/words & more.txt"] = b"a\nb\n"
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def kaggle(models, place, monkeypatch):
    """Starts Kaggle, with flags of the test's, and gives kagglehub a home and a cache of its own."""
    for name in [name for name in os.environ if name.startswith("KAGGLE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(place / "kagglehub"))
    monkeypatch.setenv("HOME", str(place))
    started = []

    def start(*flags):
        started.append(Published(models, "--kaggle-port", PORT, *flags))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def tree(root) -> dict:
    root = pathlib.Path(root)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def downloads(origin) -> list[str]:
    """The paths that the bucket host was asked for."""
    return [request["target"].split("?")[0] for request in origin.requests() if request["host"] == "gcs"]


@pytest.mark.parametrize("version", [1, 2])
def test_few_files_come_one_by_one(version, kaggle, models):
    origin = kaggle()
    got = kagglehub.model_download(f"{SMALL}/{version}")
    assert tree(got) == tree(models / f"test/small/{version}")
    assert len(downloads(origin)) == 4 and all("/kagglesdsdata/" in path for path in downloads(origin))


def test_the_newest_version(kaggle, models):
    kaggle()
    got = kagglehub.model_download(SMALL)
    assert pathlib.Path(got).name == "2"
    assert tree(got) == tree(models / "test/small/2")


def test_one_file(kaggle, models):
    origin = kaggle()
    name = "variables/variables.index"
    got = kagglehub.model_download(f"{SMALL}/1", path=name)
    assert pathlib.Path(got).read_bytes() == (models / "test/small/1" / name).read_bytes()
    assert len(downloads(origin)) == 1


def test_many_files_come_as_an_archive(kaggle, models):
    origin = kaggle()
    got = kagglehub.model_download(f"{MANY}/1")
    assert tree(got) == tree(models / "test/many/1")
    assert [path.rpartition("/")[2] for path in downloads(origin)] == ["archive.tar.gz"]


@pytest.mark.parametrize(
    ("variables", "header"),
    [
        ({"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "secret"}, "Basic bWU6c2VjcmV0"),
        ({"KAGGLE_API_TOKEN": "KGAT_token"}, "Bearer KGAT_token"),
    ],
    ids=["key", "token"],
)
def test_credentials_are_wanted_and_stay_at_kaggle(variables, header, kaggle, models, monkeypatch):
    origin = kaggle("--credential", header)
    with pytest.raises(requests.HTTPError):
        kagglehub.model_download(f"{SMALL}/1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    got = kagglehub.model_download(f"{SMALL}/1")
    assert tree(got) == tree(models / "test/small/1")
    seen = {(request["host"], request["authorization"]) for request in origin.requests()}
    assert ("kaggle", header) in seen
    assert {authorization for host, authorization in seen if host != "kaggle"} == {None}


def test_what_does_not_exist(kaggle):
    kaggle()
    with pytest.raises(requests.HTTPError) as error:
        kagglehub.model_download("test/nothing/tensorFlow2/nothing/1")
    assert "404" in str(error.value)


def test_what_kagglehub_has_downloaded_is_read_where_it_lies(kaggle, models, mount, place):
    origin = kaggle()
    kagglehub.model_download(f"{SMALL}/1")
    before = len(origin.requests())
    mounted = mount(*origin.flags(), environment={"KAGGLEHUB_CACHE": str(place / "kagglehub")})
    assert tree(mounted / f"www.kaggle.com/models/{SMALL}/1") == tree(models / "test/small/1")
    assert len(origin.requests()) == before

"""Real tensorflow_hub and tfhub-fs over the same archives: the same trees, byte for byte, and the same refusals.

The wanted differences stand in `corpus.different_cases`, each with its reason; any other difference fails.
"""

import os
import pathlib
import tempfile

import pytest
import tensorflow_hub

import corpus
import program
from origin import Origin


def tree(root: pathlib.Path) -> corpus.Tree:
    found = {}
    for path in root.rglob("*"):
        assert not path.is_symlink(), path
        found[str(path.relative_to(root))] = None if path.is_dir() else path.read_bytes()
    return found


def by_tensorflow_hub(handle: str, cache: pathlib.Path) -> tuple[corpus.Tree | None, str]:
    try:
        return tree(pathlib.Path(tensorflow_hub.resolve(handle))), ""
    except (
        Exception
    ) as error:  # it raises whatever its layers raise: OSError, ValueError, TensorFlow's, tarfile's, urllib's
        return None, f"{type(error).__name__}: {error}"


def by_tfhub_fs(handle: str, cache: pathlib.Path) -> tuple[corpus.Tree | None, str]:
    done = program.resolve(handle, cache)
    if done.returncode == 0:
        return tree(pathlib.Path(done.stdout.removesuffix("\n"))), done.stderr
    assert done.returncode == 1 and done.stdout == "" and done.stderr.strip(), done
    assert "panicked" not in done.stderr, done.stderr
    return None, done.stderr


def outline(found: corpus.Tree | None):
    """A tree in a form that a failing assertion shows well."""
    if found is None:
        return "refused"
    return {
        name: "directory" if data is None else f"{len(data)} bytes {hash(data)}" for name, data in sorted(found.items())
    }


@pytest.fixture(scope="module")
def module_place(scratch):
    path = scratch / "differential"
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def origin(module_place):
    scripted = Origin(module_place / "origin")
    yield scripted
    scripted.stop()


@pytest.fixture(scope="module")
def our_cache(module_place):
    """One cache for all cases, so that a refusal is seen to leave alone what others put there."""
    return module_place / "ours"


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        with tempfile.TemporaryDirectory() as directory:
            cases = corpus.all_cases(pathlib.Path(directory))
        metafunc.parametrize("case", cases, ids=[case.name for case in cases])


def everything_in(place: pathlib.Path) -> set[str]:
    """Names of what lies there, apart from what tfhub-fs keeps for itself and what the origin writes."""
    found = {str(path.relative_to(place)) for path in place.rglob("*")}
    return {name for name in found if ".tfhub-fs" not in name and not name.startswith(("origin", "hub"))}


def test_case(case, origin, module_place, our_cache, monkeypatch):
    slug = "".join(letter if letter.isalnum() else "-" for letter in case.name)
    handle = origin.offer(f"differential/{slug}/1", case.body, **case.manner)

    before = everything_in(module_place)
    ours, our_words = by_tfhub_fs(handle, our_cache)
    assert outline(ours) == outline(case.ours), our_words
    if ours is None:
        assert everything_in(module_place) - {"ours"} == before - {"ours"}, "a refusal left something behind"
    assert not os.path.exists("/absolute.txt")

    hub_cache = module_place / "hub" / slug
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(hub_cache))
    theirs, their_words = by_tensorflow_hub(handle, hub_cache)
    wanted = case.ours if case.hub == corpus.AS_OURS else case.hub
    assert outline(theirs) == outline(wanted), their_words

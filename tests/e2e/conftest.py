"""What all end-to-end tests share: the binary, a store of their own, the data sets."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import command  # noqa: E402
import datasets  # noqa: E402


@pytest.fixture
def varve(tmp_path):
    return command.Varve(tmp_path / "store")


GOOD = "demo/good"


@pytest.fixture
def good(varve):
    """A store with the index GOOD of three rows, and a check that nothing changes in it."""
    varve.create(GOOD, 3, "cosine")
    varve.put(GOOD, [{"key": f"k{i}", "vector": [1, i, 2]} for i in range(3)])
    before = varve.state(GOOD)
    yield varve
    assert varve.state(GOOD) == before


@pytest.fixture(scope="session")
def data():
    folder = datasets.folder()
    if folder is None:
        pytest.skip("VARVE_DATA is not set")
    return folder

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


@pytest.fixture(scope="session")
def data():
    folder = datasets.folder()
    if folder is None:
        pytest.skip("VARVE_DATA is not set")
    return folder

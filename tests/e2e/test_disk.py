"""A store on a full file system, and on a read-only one: what was acknowledged stays readable."""

import json
import os
import subprocess

import numpy as np
import pytest

import command

INDEX = "demo/disk"
DIM = 1024
FULL_MIB = 64


def mount(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True, check=False)


@pytest.fixture
def disk(tmp_path):
    """A file system of its own of 64 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = mount("-t", "tmpfs", "-o", f"size={FULL_MIB}m", "tmpfs", folder)
    if made.returncode != 0:
        pytest.skip(f"may not mount a tmpfs: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def varve(disk):
    """A store on that disk with a few rows in the clusters and in the log."""
    varve = command.Varve(disk / "store")
    varve.create(INDEX, DIM)
    varve.put(INDEX, [row(i) for i in range(20)])
    varve.ok("index", "compact", INDEX)
    varve.put(INDEX, [row(i) for i in range(20, 25)])
    return varve


@pytest.fixture(scope="module")
def too_much(tmp_path_factory):
    """A file of more vectors than the disk takes."""
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    count = (FULL_MIB + 16) * 2**20 // (4 * DIM)
    np.save(path, np.random.default_rng(1).normal(size=(count, DIM)).astype("<f4"))
    return path


def row(i):
    return {"key": f"k{i:02}", "vector": [i, 1] * (DIM // 2), "metadata": {"n": i}}


QUERY = ["query", INDEX, "--vector", json.dumps([7, 1] * (DIM // 2)), "-k", "3"]


def hits(varve):
    return varve.json(*QUERY)["hits"]


def grow(disk):
    assert mount("-o", f"remount,size={4 * FULL_MIB}m", disk).returncode == 0


def test_an_import_into_a_full_disk_changes_nothing(varve, disk, too_much):
    before, keys, found = varve.state(INDEX), varve.keys(INDEX), hits(varve)
    for _ in range(2):
        varve.fails(7, "import", INDEX, too_much, says="no space left on device")
        assert varve.state(INDEX) == before
        assert varve.keys(INDEX) == keys and hits(varve) == found
    grow(disk)
    report = varve.json("import", INDEX, too_much)
    assert len(varve.keys(INDEX)) == len(keys) + report["vectors"]
    varve.state(INDEX)


def test_a_put_into_a_full_disk_keeps_what_it_acknowledged(varve, disk, too_much):
    before = varve.keys(INDEX)
    answer = varve.run("-q", "put", INDEX, too_much, "-o", "jsonl")
    answer.assert_failed(5, "no space left on device")
    acknowledged = [key for ack in answer.lines() for key in ack["keys"]]
    assert acknowledged
    keys = varve.keys(INDEX)
    assert keys == sorted(before + acknowledged)
    state = varve.state(INDEX)
    last = varve.json("get", INDEX, acknowledged[-1])["vectors"][0]["vector"]
    assert np.array_equal(np.array(last, "<f4"), np.load(too_much)[int(acknowledged[-1])])

    # Not one more batch fits, and a compact needs room too.
    for arguments in [["put", INDEX, too_much], ["index", "compact", INDEX]]:
        varve.fails(7, *arguments, says="no space left on device")
        assert varve.state(INDEX) == state
    grow(disk)
    varve.ok("index", "compact", INDEX)
    assert varve.state(INDEX) == state
    varve.put(INDEX, [row(99)])
    assert varve.keys(INDEX) == sorted([*keys, "k99"])
    varve.state(INDEX)


def test_no_room_for_temporary_files_changes_nothing(disk, tmp_path, too_much, monkeypatch):
    varve = command.Varve(tmp_path / "store")
    varve.create(INDEX, DIM)
    varve.put(INDEX, [row(i) for i in range(5)])
    before = varve.state(INDEX)
    monkeypatch.setenv("TMPDIR", str(disk))
    varve.fails(7, "import", INDEX, too_much, says="no space left for temporary files")
    assert varve.state(INDEX) == before
    assert os.listdir(disk) == []
    grow(disk)
    varve.ok("import", INDEX, too_much)


def test_a_full_disk_takes_no_index(varve, disk):
    with open(disk / "ballast", "wb", buffering=0) as ballast, pytest.raises(OSError):
        for _ in range(FULL_MIB * 2**20 // 4096):
            ballast.write(bytes(4096))
    varve.fails(7, "index", "create", "demo/new", "--dim", "3", "--metric", "cosine")
    assert [index["name"] for index in varve.json("index", "ls")["indexes"]] == [INDEX]
    assert len(hits(varve)) == 3
    (disk / "ballast").unlink()
    varve.create("demo/new", 3)
    varve.put("demo/new", [{"key": "a", "vector": [1, 2, 3]}])


def test_a_read_only_store_answers_and_refuses_to_change(varve, disk, too_much):
    before, keys, found = varve.state(INDEX), varve.keys(INDEX), hits(varve)
    assert mount("-o", "remount,ro", disk).returncode == 0
    assert hits(varve) == found
    assert varve.json(*QUERY, "--exact")["hits"] == found
    assert varve.keys(INDEX) == keys
    assert len(varve.json("get", INDEX, "k03", "k22")["vectors"]) == 2
    assert varve.json("index", "info", INDEX)["vectors"] == len(keys)
    assert varve.state(INDEX) == before
    for arguments in [
        ["put", INDEX, "-"],
        ["delete", INDEX, "k01"],
        ["import", INDEX, too_much],
        ["ingest", "demo/text", __file__],
        ["index", "create", "demo/new", "--dim", "3", "--metric", "cosine"],
        ["index", "compact", INDEX],
        ["index", "rm", INDEX, "--yes"],
    ]:
        varve.fails(2, *arguments, stdin=json.dumps(row(1)), says="read-only file system")
    assert os.listdir(disk) == ["store"]
    assert mount("-o", "remount,rw", disk).returncode == 0
    assert varve.state(INDEX) == before
    varve.put(INDEX, [row(99)])
    assert varve.keys(INDEX) == [*keys, "k99"]

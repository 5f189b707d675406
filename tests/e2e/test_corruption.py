"""One byte flipped in each section of every object: found, named, never a wrong answer."""

import json
import pathlib

import numpy as np
import pytest

import command
import objects

INDEX = "demo/flip"
DIM = 8


def rows(first, last):
    values = np.random.default_rng(first).normal(size=(last - first, DIM)).astype("<f4")
    return [
        {"key": f"k{first + i:04}", "vector": row.tolist(), "metadata": {"n": first + i}}
        for i, row in enumerate(values)
    ]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A store that holds objects of every kind, and reads that touch all of them."""
    varve = command.Varve(tmp_path_factory.mktemp("flip") / "store")
    varve.create(INDEX, DIM)
    imported = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    imported.write_text("".join(json.dumps(row) + "\n" for row in rows(0, 300)))
    varve.ok("import", INDEX, imported)
    # A fold that leaves stale rows and a second key map segment.
    varve.put(INDEX, rows(280, 320))
    varve.ok("--fold-ops", "1", "delete", INDEX, *[f"k{i:04}" for i in range(20)])
    # Another one, which retires the stale rows of the first.
    varve.ok("--fold-ops", "1", "delete", INDEX, *[f"k{i:04}" for i in range(20, 25)])
    # A tail of two epochs: a seal between two batches.
    varve.put(INDEX, rows(10, 15) + rows(320, 325))
    varve.ok("delete", INDEX, "k0100")
    return varve


# Together they say every bit of every row: a change that is not noticed changes an answer.
READS = {
    "query": ["query", INDEX, "--vector", json.dumps([0.1] * DIM), "-k", "20"],
    "exact": ["query", INDEX, "--vector", json.dumps([0.1] * DIM), "-k", "2000", "--exact"],
    "get": ["get", INDEX, *(f"k{i:04}" for i in range(25, 325) if i != 100)],
    "list": ["list", INDEX],
}


def objects_of(varve, kind):
    """[(key, path)] of the first and the last of a kind. Names ascend by time, so the first is
    often no longer in use."""
    root = pathlib.Path(varve.store)
    found = [path for path in sorted((root / "v1").rglob("*")) if path.is_file()]
    found = [path for path in found if objects.kind(path.read_bytes()) == kind]
    return [(str(path.relative_to(root)), path) for path in sorted({*found[:1], *found[-1:]})]


def damages(original):
    """[(what was done, bytes)]: one bit of each section flipped, another one each turn; other
    lengths."""
    for turn, (section, begin, end) in enumerate(objects.sections(original)):
        damaged = bytearray(original)
        damaged[(begin + end) // 2] ^= 1 << turn % 8
        yield section, bytes(damaged)
    for what, damaged in [
        ("empty", b""),
        ("half", original[: len(original) // 2]),
        ("last byte lost", original[:-1]),
        ("a byte more", original + b"\0"),
    ]:
        yield what, damaged


def said_by(answer):
    """What a read says, but for its cost."""
    said = answer.json()
    said.pop("performance", None)
    return said


def assert_named(varve, key, truth):
    """Each read says what it said before, or fails with one line that names the object; fsck
    names it always."""
    for name, arguments in READS.items():
        answer = varve.run(*arguments, "-o", "json")
        if answer.code == 0:
            assert said_by(answer) == truth[name], name
        else:
            answer.assert_failed(1, key)
    checked = varve.run("fsck", INDEX, "-o", "json")
    assert checked.code == 1, checked.err
    if checked.err:
        checked.assert_failed(1, key)
    else:
        assert key in {finding["object"] for finding in checked.json()["findings"]}


def test_damaged_directions_are_named_and_never_answered(tmp_path):
    """Rows that lie along few directions, whose codes keep their error along these."""
    random = np.random.default_rng(5)
    values = random.normal(size=(1500, 12)) @ random.normal(size=(12, 256))
    path = tmp_path / "rows.npy"
    np.save(path, values.astype("<f4"))
    varve = command.Varve(tmp_path / "store")
    varve.ok("index", "create", INDEX, "--dim", 256, "--metric", "euclidean", "--code-bits", 3)
    varve.ok("import", INDEX, path)
    query = ["query", INDEX, "--vector", json.dumps(values[7].tolist()), "--codes-only"]
    truth = said_by(varve.ok(*query, "-o", "json"))
    [(key, path)] = objects_of(varve, "directions")
    original = path.read_bytes()
    for what, damaged in damages(original):
        path.write_bytes(damaged)
        answer = varve.run(*query, "-o", "json")
        if answer.code == 0:
            assert said_by(answer) == truth, what
        else:
            answer.assert_failed(1, key)
        checked = varve.run("fsck", INDEX, "-o", "json")
        assert checked.code == 1, what
        assert key in checked.out + checked.err, what
    path.write_bytes(original)
    assert said_by(varve.ok(*query, "-o", "json")) == truth


@pytest.mark.parametrize("kind", [kind for kind in objects.KINDS if kind != "directions"])
def test_damage_is_named_and_never_answered(sound, kind):
    truth = {name: said_by(sound.ok(*READS[name], "-o", "json")) for name in READS}
    before = sound.state(INDEX)
    found = objects_of(sound, kind)
    assert found
    for key, path in found:
        original = path.read_bytes()
        for what, damaged in damages(original):
            try:
                path.write_bytes(damaged)
                assert_named(sound, key, truth)
            except AssertionError as error:
                raise AssertionError(f"{key}: {what}: {error}") from error
            finally:
                path.write_bytes(original)
    assert sound.state(INDEX) == before

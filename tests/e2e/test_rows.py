"""Put, get, list, delete, query, fsck, compact on a few rows."""

import json

import numpy as np
import pytest

import datasets


def row(i, **more):
    return {"key": f"k{i:04}", "vector": [i, -i, 0.5], **more}


@pytest.fixture
def index(varve):
    varve.create("demo/rows", 3)
    return "demo/rows"


def test_put_acknowledges_and_everything_reads_back(varve, index):
    metadata = {"text": "läks \"quoted\"", "n": 1.5, "deep": {"list": [1, None, True]}}
    rows = [row(i, metadata=metadata) for i in range(1200)]
    acks = varve.put(index, rows)
    assert [key for ack in acks for key in ack["keys"]] == [r["key"] for r in rows]
    assert all(len(ack["keys"]) <= 500 for ack in acks)
    lsns = [tuple(map(int, ack["lsn"].split("."))) for ack in acks]
    assert lsns == sorted(set(lsns))
    assert varve.keys(index) == [r["key"] for r in rows]
    stored = varve.ok("get", index, "k0007", "k1199", "-o", "jsonl").lines()
    assert [s["key"] for s in stored] == ["k0007", "k1199"]
    assert stored[0]["vector"] == [7, -7, 0.5]
    assert stored[0]["metadata"] == metadata
    assert varve.json("index", "info", index)["vectors"] == 1200


def test_put_replaces_and_delete_removes(varve, index):
    varve.put(index, [row(1), row(2), row(3)])
    before = varve.state(index)
    varve.put(index, [{"key": "k0002", "vector": [9, 9, 9]}])
    assert varve.json("get", index, "k0002")["vectors"][0]["vector"] == [9, 9, 9]
    assert varve.state(index) != before
    varve.put(index, [row(2)])
    assert varve.state(index) == before
    acks = varve.ok("delete", index, "k0001", "nosuch", "-o", "jsonl").lines()
    assert acks[0]["keys"] == ["k0001", "nosuch"]
    assert varve.keys(index) == ["k0002", "k0003"]
    hits = varve.json("query", index, "--vector", "[1,-1,0.5]", "--exact")["hits"]
    assert [hit["key"] for hit in hits] == ["k0002", "k0003"]


def test_delete_takes_what_list_prints(varve, index):
    varve.put(index, [row(i) for i in range(700)])
    listed = varve.ok("list", index, "-o", "jsonl", "--limit", "600").out
    acks = varve.ok("delete", index, "--keys-file", "-", "-o", "jsonl", stdin=listed).lines()
    assert sum(len(ack["keys"]) for ack in acks) == 600
    assert len(varve.keys(index)) == 100
    plain = "".join(f"k{i:04}\n" for i in range(650, 700))
    varve.ok("delete", index, "--keys-file", "-", stdin=plain)
    assert len(varve.keys(index)) == 50


def test_a_key_in_brackets_is_one_key(varve, index):
    keys = ["[a,b]", "[a]", "a", "b", "[]", "-x", "{a}"]
    varve.put(index, [{"key": key, "vector": [1, 2, 3]} for key in keys])
    found = varve.ok("-o", "jsonl", "get", index, "--", *keys).lines()
    assert [row["key"] for row in found] == keys
    varve.ok("delete", index, "[a,b]", "[a]", "[]")
    assert varve.keys(index) == sorted(["a", "b", "-x", "{a}"])


def test_list_pages(varve, index):
    varve.put(index, [row(i) for i in range(10)])
    answer = varve.json("list", index, "--start-after", "k0003", "--limit", "2")
    assert answer["keys"] == ["k0004", "k0005"]
    assert varve.ok("list", index, "--limit", "2").out == "k0000\nk0001\n"


def test_survives_fold_and_compact(varve, index):
    varve.put(index, [row(i) for i in range(400)])
    varve.ok("delete", index, *[f"k{i:04}" for i in range(100)])
    before = varve.state(index)
    varve.ok("index", "compact", index)
    info = varve.json("index", "info", index)
    assert (info["vectors"], info["tail_ops"], info["stale_rows"]) == (300, 0, 0)
    assert varve.state(index) == before
    assert len(varve.keys(index)) == 300


def test_streams_acknowledgements(varve, index):
    """A writer that waits for each acknowledgement gets it without closing its end."""
    writer = varve.start("put", index, "-o", "jsonl")
    for i in range(20):
        writer.stdin.write((json.dumps(row(i)) + "\n").encode())
        writer.stdin.flush()
        assert json.loads(writer.stdout.readline())["keys"] == [f"k{i:04}"]
    writer.kill()
    writer.wait()
    assert len(varve.keys(index)) == 20


def test_a_bad_row_keeps_what_was_acknowledged(varve, index):
    rows = "".join(json.dumps(row(i)) + "\n" for i in range(600)) + "{}\n"
    answer = varve.run("put", index, "-", "-o", "jsonl", stdin=rows)
    assert answer.code == 5
    assert "line 601" in answer.err
    acknowledged = [key for ack in answer.lines() for key in ack["keys"]]
    assert varve.keys(index) == acknowledged
    assert len(acknowledged) >= 500


def test_query_forms(varve, index, tmp_path):
    varve.put(index, [row(i, metadata={"n": i}) for i in range(50)])
    expected = varve.json("query", index, "--vector", "[7,-7,0.5]", "-k", "3")
    assert expected["hits"][0] == {"key": "k0007", "distance": 0, "metadata": {"n": 7}}
    for name in "total_us snapshot_us rank_us scan_us finish_us nprobe rows_scanned".split():
        assert expected["performance"][name] >= 0
    np.save(tmp_path / "q.npy", np.array([7, -7, 0.5]))
    (tmp_path / "q.fvecs").write_bytes(datasets.to_fvecs(np.array([[7, -7, 0.5]])))
    for form, stdin in [
        (f"@{tmp_path}/q.npy", ""),
        (f"@{tmp_path}/q.fvecs", ""),
        ("@-", "[7, -7, 0.5]\n"),
    ]:
        answer = varve.json("query", index, "--vector", form, "-k", "3", stdin=stdin)
        assert answer["hits"] == expected["hits"]
    like = varve.json("query", index, "--like", "k0007", "-k", "2")["hits"]
    assert [hit["key"] for hit in like] == [hit["key"] for hit in expected["hits"][1:]]


def test_import_forms(varve, index, tmp_path):
    rows = np.arange(30, dtype="<f4").reshape(10, 3)
    np.save(tmp_path / "rows.npy", rows.astype("f8"))
    (tmp_path / "keys.txt").write_text("".join(f"key {i}\n" for i in range(10)))
    report = varve.json(
        "import", index, tmp_path / "rows.npy", "--keys-from", tmp_path / "keys.txt"
    )
    assert report["vectors"] == 10 and report["replaced"] == 0
    assert varve.json("get", index, "key 3")["vectors"][0]["vector"] == [9, 10, 11]
    report = varve.json(
        "import", index, tmp_path / "rows.npy", "--keys-from", tmp_path / "keys.txt"
    )
    assert report["replaced"] == 10
    (tmp_path / "rows.bin").write_bytes(datasets.to_fvecs(rows[:2]))
    varve.ok("import", index, tmp_path / "rows.bin", "--format", "fvecs")
    assert "0" in varve.keys(index) and len(varve.keys(index)) == 12


def test_two_processes_on_one_store(varve, index):
    """Both write through processes of their own that live at the same time."""
    writers = [varve.start("put", index, "-o", "jsonl") for _ in range(2)]
    acknowledged = []
    for i in range(30):
        for number, writer in enumerate(writers):
            key = f"w{number}-{i}"
            line = json.dumps({"key": key, "vector": [number, i, 1]}) + "\n"
            writer.stdin.write(line.encode())
            writer.stdin.flush()
            acknowledged += json.loads(writer.stdout.readline())["keys"]
            if i % 10 == 0:
                assert key in varve.keys(index)
    for writer in writers:
        _, errors = writer.communicate()
        assert writer.returncode == 0, errors
    assert varve.keys(index) == sorted(acknowledged)
    assert len(acknowledged) == 60
    varve.state(index)

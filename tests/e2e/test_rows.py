"""Put, get, list, delete, query, fsck, compact on a few rows."""

import gzip
import json
import os
import pathlib
import subprocess

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


def test_a_key_may_look_like_a_flag(varve, index):
    varve.put(index, [{"key": key, "vector": [1, 2, 3]} for key in ["--k", "-x", "a"]])
    varve.ok("delete", index, "--", "--k", "-x")
    assert varve.keys(index) == ["a"]


def test_delete_refuses_half_a_line(varve, index):
    line = '{"key":"k0001","vector":[1'
    varve.put(index, [row(1), {"key": line, "vector": [1, 2, 3]}])
    for bad in [line, ' {"key": 7}', '{"Key":"k0001"}', "{a}"]:
        varve.fails(2, "delete", index, "--keys-file", "-", stdin=f"\n{bad}\n", says="line 2")
    assert len(varve.keys(index)) == 2
    summary = varve.ok("delete", index, "--keys-file", "-", stdin=json.dumps({"key": line}))
    assert summary.err == "1 keys given in 1 batches\n"
    spaced = '  {"vector": [1], "key": "k0001"}\n'
    varve.ok("delete", index, "--keys-file", "-", stdin=spaced)
    assert varve.keys(index) == []


def test_what_get_prints_can_be_put(varve, index):
    varve.put(index, [row(1), row(2, metadata={"n": 2})])
    before = varve.state(index)
    printed = varve.ok("get", index, "k0001", "k0002", "-o", "jsonl").out
    assert '"metadata":null' in printed
    varve.ok("delete", index, "k0001", "k0002")
    varve.ok("put", index, stdin=printed)
    assert varve.state(index) == before


def test_compressed_rows_come_through_a_pipe(varve, index):
    rows = "".join(json.dumps(row(i)) + "\n" for i in range(1000)).encode()
    varve.ok("put", index, "-", stdin=gzip.compress(rows))
    assert len(varve.keys(index)) == 1000
    keys = b"".join(b"k%04d\n" % i for i in range(999))
    varve.ok("delete", index, "--keys-file", "-", stdin=gzip.compress(keys))
    assert varve.keys(index) == ["k0999"]
    cut = gzip.compress(json.dumps(row(1)).encode())[:-9]
    varve.fails(2, "put", index, "-", stdin=cut, says="cut short")


def test_rows_of_equal_keys_are_counted(varve, index, tmp_path):
    lines = [{"key": "a", "vector": [1, 2, 3]}, {"key": "b", "vector": [4, 5, 6]}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines * 3))
    report = varve.run("import", index, tmp_path / "rows.jsonl", "-o", "json")
    assert report.json()["vectors"] == 2 and report.json()["duplicates"] == 4
    assert "left out 4 rows" in report.err
    np.save(tmp_path / "rows.npy", np.arange(9, dtype="<f4").reshape(3, 3))
    (tmp_path / "keys.txt").write_text("x\ny\nx\n")
    report = varve.json(
        "import", index, tmp_path / "rows.npy", "--keys-from", tmp_path / "keys.txt"
    )
    assert report["vectors"] == 2 and report["duplicates"] == 1
    assert varve.json("get", index, "x")["vectors"][0]["vector"] == [6, 7, 8]
    assert varve.json("import", index, tmp_path / "rows.npy")["duplicates"] == 0


@pytest.mark.parametrize("first", ["", '"key":"0",'])
def test_an_import_has_all_keys_or_none(varve, index, tmp_path, first):
    second = "" if first else '"key":"0",'
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{{first}"vector":[1,2,3]}}\n\n{{{second}"vector":[4,5,6]}}\n')
    varve.fails(2, "import", index, path, says="line 3")
    assert varve.keys(index) == []


def test_clusters_are_chosen_once(varve, index, tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(3000, dtype="<f4").reshape(1000, 3))
    first = varve.run("import", index, tmp_path / "rows.npy", "--clusters", "7")
    assert "--clusters" not in first.err
    second = varve.run("import", index, tmp_path / "rows.npy", "--clusters", "9")
    assert second.code == 0 and "--clusters 9 has no effect" in second.err


def test_stored_bytes_include_the_log(varve, index):
    varve.put(index, [row(i) for i in range(500)])
    info = varve.json("index", "info", index)
    assert info["stored_bytes"] >= info["log_bytes"] >= 500 * 12
    checked = varve.json("fsck", index)
    on_disk = sum(p.stat().st_size for p in pathlib.Path(varve.store, "v1", "i").rglob("*") if p.is_file())
    assert checked["bytes"] == on_disk
    varve.ok("index", "compact", index)
    info = varve.json("index", "info", index)
    assert info["log_bytes"] == 0 and info["stored_bytes"] >= 500 * 2


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


def test_streams_acknowledgements_of_a_named_pipe(varve, index, tmp_path):
    os.mkfifo(tmp_path / "rows.jsonl")
    command_line = varve.arguments("put", index, tmp_path / "rows.jsonl", "-o", "jsonl")
    with subprocess.Popen(command_line, stdout=subprocess.PIPE) as writer:
        with open(tmp_path / "rows.jsonl", "w", encoding="utf-8") as rows:
            for i in range(5):
                rows.write(json.dumps(row(i)) + "\n")
                rows.flush()
                assert json.loads(writer.stdout.readline())["keys"] == [f"k{i:04}"]
        assert writer.wait() == 0


def test_put_says_what_failed_in_the_background(varve, index):
    """A rebuild of clusters needs temporary files; the rows are safe without it."""
    rows = "".join(json.dumps(row(i)) + "\n" for i in range(6000))
    answer = varve.run("--fold-ops", "5000", "put", index, stdin=rows, TMPDIR="/none/x")
    assert answer.code == 0
    assert "background failed" in answer.err and "/none/x" in answer.err
    assert len(varve.keys(index)) == 6000


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

"""Folders of text: ingest, search, what happens when files change; retrieval on Cranfield."""

import gzip
import json
import math
import os
import signal

import pytest


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "lake.md").write_text("# Lakes\n\nIn winter the lake is frozen and fine clay sinks.\n")
    (folder / "deep" / "bread.txt").write_text("Rye bread is baked for an hour.\n")
    (folder / "page.html").write_text("<h1>Tides</h1><p>The moon pulls the sea.</p>")
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    return folder


def files(answer):
    return [hit["metadata"]["file"].rsplit("/", 1)[-1] for hit in answer["hits"]]


def test_a_folder_can_be_searched(varve, notes):
    report = varve.json("ingest", "demo/notes", notes)
    assert (report["files"], report["chunks_written"]) == (3, 3)
    assert [entry["file"].endswith("image.png") for entry in report["skipped"]] == [True]
    for question, name in [
        ("frozen lakes", "lake.md"),
        ("baking bread", "bread.txt"),
        ("what does the moon pull", "page.html"),
    ]:
        answer = varve.json("search", "demo/notes", question, "-k", "3")
        assert files(answer)[0] == name
    hit = varve.json("search", "demo/notes", "frozen lake")["hits"][0]
    assert hit["key"].endswith("lake.md#0")
    assert hit["metadata"]["title"] == "Lakes" and "clay" in hit["metadata"]["text"]
    assert "lake.md#0" in varve.ok("search", "demo/notes", "frozen lake").out
    varve.fails(2, "search", "demo/notes", "...")


def test_only_changed_files_are_done_again(varve, notes):
    varve.ok("ingest", "demo/notes", notes)
    before = varve.state("demo/notes")
    report = varve.json("ingest", "demo/notes", notes)
    assert (report["files_unchanged"], report["chunks_written"]) == (3, 0)
    assert varve.state("demo/notes") == before

    long = "\n\n".join(f"Paragraph {i} about sediment. " + "words " * 120 for i in range(20))
    (notes / "lake.md").write_text(long)
    report = varve.json("ingest", "demo/notes", notes)
    assert (report["files_unchanged"], report["chunks_written"]) == (2, 20)
    (notes / "lake.md").write_text("# Lakes\n\nIn winter the lake is frozen and fine clay sinks.\n")
    report = varve.json("ingest", "demo/notes", notes)
    assert (report["chunks_written"], report["chunks_removed"]) == (1, 19)
    assert varve.state("demo/notes") == before
    varve.fails(2, "ingest", "demo/notes", notes, "--recreate", says="needs --yes")
    assert varve.state("demo/notes") == before
    report = varve.json("ingest", "demo/notes", notes, "--recreate", "--yes")
    assert report["chunks_written"] == 3
    assert varve.state("demo/notes") == before
    varve.ok("ingest", "demo/fresh", notes, "--recreate")


def test_ingest_chooses_and_reports(varve, notes):
    (notes / "empty.md").write_text("")
    (notes / "binary.txt").write_bytes(b"\0\1\2")
    answer = varve.run("ingest", "demo/notes", notes, "--include", "*.md", "-o", "json")
    assert answer.code == 5
    report = json.loads(answer.out)
    assert report["chunks_written"] == 1
    assert [entry["reason"] for entry in report["failed"]] == ["holds no words to embed"]
    skipped = varve.json("ingest", "demo/other", notes / "binary.txt", notes / "lake.md")["skipped"]
    assert [entry["reason"] for entry in skipped] == ["binary, not text"]
    for flags in [("--chunk", "50"), ("--overlap", "700"), ("--embedder", "magic")]:
        varve.fails(2, "ingest", "demo/other", notes, *flags)


def test_what_is_gone_from_disk_goes_from_the_index(varve, notes):
    varve.ok("ingest", "demo/notes", notes)
    (notes / "lake.md").write_text("")
    answer = varve.run("ingest", "demo/notes", notes, "-o", "json")
    assert answer.code == 5 and answer.json()["chunks_removed"] == 1
    assert "lake.md" not in files(varve.json("search", "demo/notes", "frozen lake"))
    (notes / "page.html").unlink()
    (notes / "lake.md").unlink()
    varve.ok("ingest", "demo/notes", notes)
    assert "page.html" in files(varve.json("search", "demo/notes", "the moon pulls the sea"))
    report = varve.json("ingest", "demo/notes", notes, "--prune")
    assert (report["files_pruned"], report["chunks_removed"]) == (1, 1)
    assert [key.rsplit("/", 1)[-1] for key in varve.keys("demo/notes")] == ["bread.txt#0"]


def test_an_odd_file_fails_alone(varve, notes):
    os.rename(notes / "lake.md", os.fsencode(notes) + b"/l\xe4ke.md")
    (notes / "heading.md").write_text("# " + "word " * 12000 + "\n\ntext\n")
    for _ in range(2):
        answer = varve.run("ingest", "demo/notes", notes, "-o", "json")
        assert answer.code == 5
        failed = answer.json()["failed"]
        assert [entry["reason"] for entry in failed] == ["its name is not UTF-8"]
        assert "l\\xe4ke.md': its name is not UTF-8" in answer.err
        assert len(varve.keys("demo/notes")) > 10


def test_the_embedder_of_an_index_is_named(varve, notes):
    varve.ok("ingest", "demo/small", notes, "--embedder", "hash:64")
    varve.fails(2, "search", "demo/small", "bread", says="(hint: --embedder hash:64)")
    varve.fails(4, "ingest", "demo/small", notes, says="(hint: --embedder hash:64)")
    varve.create("demo/other", 384, "euclidean")
    varve.fails(2, "search", "demo/other", "bread", says="euclidean")


def test_small_chunks_overlap_little(varve, notes):
    varve.ok("ingest", "demo/small", notes, "--chunk", "150")
    varve.fails(2, "ingest", "demo/small", notes, "--chunk", "150", "--overlap", "100")


def blocked_ingest(varve, tmp_path):
    """An ingest of three files that waits within the second, and the end to write it to."""
    for name in ["a.md", "c.md"]:
        (tmp_path / name).write_text(f"text of {name}")
    os.mkfifo(tmp_path / "b.md")
    paths = [tmp_path / name for name in ["a.md", "b.md", "c.md"]]
    process = varve.start("ingest", "demo/notes", *paths)
    return process, open(tmp_path / "b.md", "w", encoding="utf-8")


def test_the_first_signal_ends_ingest_behind_the_file_under_way(varve, tmp_path):
    process, fifo = blocked_ingest(varve, tmp_path)
    process.send_signal(signal.SIGINT)
    fifo.write("text of b.md")
    fifo.close()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [key.rsplit("/", 1)[-1] for key in varve.keys("demo/notes")] == ["a.md#0", "b.md#0"]


def test_the_second_signal_ends_ingest_at_once(varve, tmp_path):
    process, fifo = blocked_ingest(varve, tmp_path)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    fifo.close()
    assert process.wait() == 130
    assert varve.keys("demo/notes") == []
    process.communicate()


def test_demo_takes_files(varve, notes, tmp_path):
    varve.ok("demo")
    answer = varve.ok("demo", notes)
    assert "bread.txt" in answer.out and "backups.md" not in answer.out
    assert "skipped" in answer.err and "image.png" in answer.err
    assert f"varve --store {varve.store} search demo/files" in answer.err
    (tmp_path / "nothing").mkdir()
    assert varve.run("demo", tmp_path / "nothing").code == 2
    (notes / "dots.md").write_text("...")
    assert varve.run("demo", notes).code == 5


def test_demo_shows_a_search(varve):
    answer = varve.ok("demo")
    assert "backups.md#0" in answer.out.splitlines()[0]
    assert "next:" in answer.err
    varve.ok("demo")


def test_cranfield_is_found(varve, data, tmp_path):
    """nDCG@10 over the 225 judged questions; the hashing embedder reaches 0.41."""
    collection = data / "ir-cranfield"

    def load(name):
        return json.loads(gzip.decompress((collection / name).read_bytes()))

    folder = tmp_path / "docs"
    folder.mkdir()
    for document in load("cranfield_docs.json.gz"):
        text = f"# {document['title']}\n\n{document['body']}\n"
        (folder / f"{document['id']}.md").write_text(text)
    # One chunk for each abstract, as the judgements are about documents.
    flags = ["--chunk", "8000"]
    report = varve.run("ingest", "demo/cranfield", folder, *flags, "-o", "json").json()
    assert report["chunks_written"] >= 1390
    varve.ok("index", "compact", "demo/cranfield")

    relevant = {}
    for judgement in load("cranfield_qrels.json.gz"):
        question = relevant.setdefault(int(judgement["query_num"]), {})
        question[int(judgement["id"])] = max(0, 5 - judgement["position"])
    scores = []
    for entry in load("cranfield_queries.json.gz"):
        grades = relevant.get(entry["query number"])
        if grades is None:
            continue
        answer = varve.json("search", "demo/cranfield", entry["query"], "-k", "10", "--exact")
        found = [int(name.split(".")[0]) for name in files(answer)]
        gain = sum(grades.get(d, 0) / math.log2(i + 2) for i, d in enumerate(found))
        best = sorted(grades.values(), reverse=True)[:10]
        scores.append(gain / sum(g / math.log2(i + 2) for i, g in enumerate(best)))
    print(f"Cranfield: nDCG@10 {sum(scores) / len(scores):.3f} over {len(scores)} questions")
    assert sum(scores) / len(scores) >= 0.40

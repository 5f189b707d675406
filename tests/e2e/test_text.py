"""Folders of text: ingest, search, what happens when files change; retrieval on Cranfield."""

import gzip
import json
import math

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
    assert varve.json("ingest", "demo/notes", notes, "--recreate")["chunks_written"] == 3
    assert varve.state("demo/notes") == before


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

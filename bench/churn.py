"""Deletes 30 %, overwrites 30 %, inserts 30 % new, compacts, and compares with a fresh build.

Throughout, every hit must be a live key with the distance of its newest vector.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np

import measure
from fashion import DIM, SIDE, TEST, TRAIN, images

CHURNED, FRESH = "bench/churned", "bench/fresh"
SHARE = 0.3
K = 10
RECALL_GAP_MAX = 0.01
SPACE_RATIO_MAX = 1.2


class Model:
    """What the index must hold: key to vector."""

    def __init__(self, rows):
        self.vectors = {str(i): row for i, row in enumerate(rows)}

    def upsert(self, keys, rows):
        self.vectors.update(zip(keys, rows))

    def delete(self, keys):
        for key in keys:
            del self.vectors[key]

    def stale_hits(self, query, hits):
        """Hits of a key that is gone or of a vector that was replaced."""
        stale = []
        for hit in hits:
            vector = self.vectors.get(hit["key"])
            difference = None if vector is None else vector.astype(np.float64) - query
            if vector is None or float(difference @ difference) != hit["distance"]:
                stale.append(hit)
        return stale


class Churn:
    """One index under change, its model, and the queries that watch it."""

    def __init__(self, varve, report, model, queries, step):
        self.varve = varve
        self.report = report
        self.model = model
        self.queries = queries
        self.step = step
        self.checked = 0
        self.asked = 0

    def check(self, moment):
        """Asks a few queries and looks for stale hits, default and exact."""
        for flags in [(), ("--exact",)]:
            for _ in range(self.step):
                query = self.queries[self.asked % len(self.queries)]
                self.asked += 1
                vector = json.dumps([float(x) for x in query])
                answer = self.varve.json("query", CHURNED, "--vector", vector, "-k", K, *flags)
                stale = self.model.stale_hits(query.astype(np.float64), answer["hits"])
                self.checked += len(answer["hits"])
                self.report.require(not stale, f"{moment} {flags}: stale hits {stale}")
                self.report.require(len(answer["hits"]) == K, f"{moment}: too few hits")

    def delete(self, keys):
        text = "".join(f"{key}\n" for key in keys)
        with measure.seconds() as took:
            self.varve.ok("delete", CHURNED, "--keys-file", "-", stdin=text)
        self.model.delete(keys)
        return took[0]

    def put(self, keys, rows):
        """Writes rows through the log; returns the seconds, start of the process included."""
        lines = (json.dumps({"key": key, "vector": row.tolist()}) for key, row in zip(keys, rows))
        text = "\n".join(lines) + "\n"
        with measure.seconds() as took:
            answer = self.varve.ok("put", CHURNED, "-", "-o", "jsonl", stdin=text)
        acknowledged = [key for line in answer.lines() for key in line["keys"]]
        self.report.require(acknowledged == list(keys), "put did not acknowledge every key in order")
        self.model.upsert(keys, rows)
        return took[0]

    def recall(self, index, file, limit):
        return self.varve.json("recall", index, "--queries", file, "-k", K, "--limit", limit)


def halves(keys):
    middle = len(keys) // 2
    return keys[:middle], keys[middle:]


def change(churn, rows, spare, random):
    """The three kinds of change, each in two steps with checks between; their speeds."""
    count = int(SHARE * len(rows))
    order = [str(i) for i in random.permutation(len(rows))]
    speeds = {}
    took = 0.0
    for part in halves(order[:count]):
        took += churn.delete(part)
        churn.check("after deletes")
    speeds["delete_per_second"] = count / took
    took = 0.0
    for part in halves(order[count : 2 * count]):
        took += churn.put(part, rows[random.integers(0, len(rows), len(part))])
        churn.check("after overwrites")
    speeds["overwrite_per_second"] = count / took
    took = 0.0
    for part in halves(list(range(count))):
        took += churn.put([f"new-{i}" for i in part], spare[part])
        churn.check("after inserts")
    speeds["insert_per_second"] = count / took
    return speeds


def build_fresh(varve, model, scratch):
    """The same final state, imported into an index of its own; bytes that it takes."""
    file, keys = scratch / "final.fvecs", scratch / "final.keys"
    file.write_bytes(measure.datasets.to_fvecs(np.array(list(model.vectors.values()))))
    keys.write_text("".join(f"{key}\n" for key in model.vectors))
    varve.create(FRESH, DIM)
    varve.ok("import", FRESH, file, "--keys-from", keys)


def same_state(churn):
    """Both indexes hold the same keys, and the churned one every newest vector."""
    keys = sorted(churn.model.vectors, key=str.encode)
    churn.report.require(churn.varve.keys(CHURNED) == keys, "the keys are not those of the model")
    findings = churn.varve.json("fsck", CHURNED)["findings"]
    churn.report.require(not findings, f"fsck: {findings}")
    for key in keys[:: max(1, len(keys) // 200)]:
        row = churn.varve.json("get", CHURNED, key)["vectors"][0]["vector"]
        same = np.array_equal(np.array(row, "<f4"), churn.model.vectors[key])
        churn.report.require(same, f"{key} is not its newest vector")


def run(args, report, scratch):
    everything = images(TRAIN)
    rows = everything[: args.rows]
    # New rows are those that no other row came from; past the end of the set, mirrored images.
    spare = everything[args.rows :]
    if len(spare) < SHARE * len(rows):
        spare = everything.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(-1, DIM)
    queries = images(TEST)
    query_file = scratch / "queries.fvecs"
    query_file.write_bytes(measure.datasets.to_fvecs(queries[: args.limit]))
    base = scratch / "base.fvecs"
    base.write_bytes(measure.datasets.to_fvecs(rows))

    store = measure.command.Varve(scratch / "store")
    fresh_store = measure.command.Varve(scratch / "fresh")
    store.create(CHURNED, DIM)
    store.ok("import", CHURNED, base)
    churn = Churn(store, report, Model(rows), queries, args.checks)
    speeds = change(churn, rows, spare, np.random.default_rng(args.seed))
    before = store.json("index", "info", CHURNED)
    loose = churn.recall(CHURNED, query_file, args.limit)
    before_bytes = measure.folder_bytes(store.store)
    with measure.seconds() as compacted:
        store.ok("index", "compact", CHURNED)
    churn.check("after compact")
    compacted_bytes = measure.folder_bytes(store.store)
    with measure.seconds() as again:
        store.ok("index", "compact", CHURNED)
    churn.check("after the second compact")
    same_state(churn)
    build_fresh(fresh_store, churn.model, scratch)
    churned = churn.recall(CHURNED, query_file, args.limit)
    fresh = fresh_store.json("recall", FRESH, "--queries", query_file, "--limit", args.limit)
    stored = measure.folder_bytes(store.store)
    fresh_stored = measure.folder_bytes(fresh_store.store)
    gap = fresh["recall"] - churned["recall"]
    report.rows.append(
        {
            "rows": len(rows),
            **speeds,
            "tail_ops_before": before["tail_ops"],
            "stale_rows_before": before["stale_rows"],
            "recall_before": loose["recall"],
            "rows_scanned_before": loose["rows_scanned"],
            "bytes_before": before_bytes,
            "compact_seconds": compacted[0],
            "second_compact_seconds": again[0],
            "recall": churned["recall"],
            "fresh_recall": fresh["recall"],
            "rows_scanned": churned["rows_scanned"],
            "fresh_rows_scanned": fresh["rows_scanned"],
            "bytes_after_first": compacted_bytes,
            "bytes_after_second": stored,
            "fresh_bytes": fresh_stored,
            "space_ratio_after_first": compacted_bytes / fresh_stored,
            "space_ratio_after_second": stored / fresh_stored,
            "hits_checked": churn.checked,
        }
    )
    report.require(gap <= RECALL_GAP_MAX, f"recall is {gap:.4f} below a fresh build")
    report.require(loose["recall"] >= fresh["recall"] - RECALL_GAP_MAX, "recall sinks before compact")
    largest = max(stored, compacted_bytes)
    report.require(largest <= SPACE_RATIO_MAX * fresh_stored, "space is not reclaimed")


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--limit", type=int, default=1000, help="queries for recall")
    parser.add_argument("--checks", type=int, default=10, help="queries at each check and mode")
    args = parser.parse_args()
    report = measure.Report("churn")
    with tempfile.TemporaryDirectory(prefix="varve-bench-", dir=args.scratch) as scratch:
        run(args, report, pathlib.Path(scratch))
    return report.finish(args.output)


if __name__ == "__main__":
    sys.exit(main())

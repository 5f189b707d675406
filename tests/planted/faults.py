"""The faults that tests/planted/run plants: which rule goes, and which checks must notice."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    name: str
    file: str
    edits: tuple  # (text that stands once in the file, what replaces it); must compile cleanly
    checks: tuple  # "sim", or a test binary and one of its tests


FAULTS = (
    # Whatever stands in the slot counts as one's own.
    Fault("nonce-check", "src/engine/put_once.cc",
          (("if (envelope->identity.nonce == nonce) return",
            "if (nonce != base::Nonce{}) return"),),
          ("sim", "engine_test PutOnce.TheNonceDecidesWhateverTheStoreAnswers")),
    # A change of HEAD whose answer was lost counts as lost itself.
    Fault("head-nonce", "src/engine/head_io.cc",
          (("if (now->head.nonce == nonce) return", "if (nonce == base::Nonce{}) return"),),
          ("engine_test SwapHead.AChangeWhoseAnswerIsLostIsMadeOnce",)),
    # The same, once others have built on it.
    Fault("head-parents", "src/engine/head_io.cc",
          (("if (contains(now->head.parents, nonce))",
            "if (now->head.parents.empty() && contains({}, nonce))"),),
          ("engine_test SwapHead.AChangeWhoseAnswerIsLostIsMadeOnceThoughOthersBuiltOnIt",)),
    # A take-over does not end the older epochs in the store.
    Fault("seal", "src/engine/writer.cc",
          (("VARVE_CHECK(put_once(env_, key, format::encode_seal(seal, index_, key), index_, "
            "seal.nonce));",
            "static_cast<void>(seal), tail.enter_next_epoch();"),),
          ("sim", "engine_test Seeds/ModelTest.*")),
    # Writes are acknowledged although their outcome is not known.
    Fault("early-ack", "src/engine/writer.cc",
          (("if (!is_definite_failure(outcome.error())) disown();",
            "if (!is_definite_failure(outcome.error())) return std::optional(position);"),),
          ("sim",)),
    # An empty slot ends the log, whatever happened to HEAD meanwhile.
    Fault("trust-empty-slot", "src/engine/reader.cc",
          (("if (after.head.version != head.version) return std::nullopt;", ""),),
          ("sim",)),
    # Rows of clusters win over newer operations in the tail.
    Fault("newest-lsn", "src/engine/search.cc",
          (("if (view_.tail_count > 0 && view_.tail->newest(key, view_.tail_count))",
            "if (view_.tail_count > 1000000 && view_.tail->newest(key, view_.tail_count))"),),
          ("sim", "engine_test Seeds/ModelTest.*")),
    # A fold marks no row as replaced.
    Fault("newest-lsn-fold", "src/engine/fold.cc",
          (("stale[part.slot->ref.id].add(locations[i]->row);", "static_cast<void>(part);"),),
          ("sim", "engine_test Seeds/ModelTest.*")),
    # Collection removes seals.
    Fault("collect-seals", "src/engine/collect.cc",
          (("if (is_last && position->epoch < head.fold.epoch) continue;",
            "static_cast<void>(is_last);"),
           ("if (!seal) victims.push_back(entry);",
            "static_cast<void>(seal), victims.push_back(entry);"),),
          ("sim",)),
    # A failed job removes its objects although it may have committed.
    Fault("discard-committed", "src/engine/collect.cc",
          (("if (!listed || !*listed) return;", "if (!listed) return;"),),
          ("engine_test Jobs.AFailedJobThatCommittedKeepsItsObjects",)),
    # A job commits although it was taken off the list.
    Fault("commit-aborted-job", "src/engine/jobs.cc",
          (("if (!is_listed(head, job.id)) {", "if (!is_listed(head, job.id) && job.id == 0) {"),),
          ("sim", "engine_test Jobs.AJobThatWasTakenOffTheListDoesNotCommit")),
)

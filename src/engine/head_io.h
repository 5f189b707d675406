// Reads HEAD and changes it by compare-and-swap, with an answer that can be relied on.
#pragma once

#include <functional>
#include <optional>

#include "base/result.h"
#include "engine/env.h"
#include "engine/names.h"
#include "format/head.h"
#include "store/object_store.h"

namespace varve::engine {

struct StoredHead {
  format::Head head;
  store::Etag etag;
};

// `corrupt`: there is no HEAD, though one is never removed, or it fails verification.
Result<StoredHead> read_head(const Env& env, const Names& names, const format::Uuid& index);

// Why an object that HEAD `version` reaches is missing. Ok: a newer version replaced it, start
// over. `missing`: the index was dropped. `corrupt`: it is lost.
Status explain_missing(const Env& env, const Names& names, const format::Uuid& index,
                       std::uint64_t version, const Error& missing);

// One change of HEAD.
struct CasOutcome {
  enum class Verdict { committed, lost };
  Verdict verdict = Verdict::committed;
  StoredHead now;  // what stands there: the new head, or the one that won
};

// Replaces `base` by `next`; version, nonce and parents of `next` are set here. When lost, the
// change never happened and never will: rebase and try again. Errors `unavailable` and `cancelled`:
// not known, so every object that `next` refers to must be kept. `overloaded`, `invalid`: refused
// for certain.
Result<CasOutcome> swap_head(const Env& env, const Names& names, const format::Uuid& index,
                             const StoredHead& base, format::Head next);

// Reads, applies `change`, swaps; starts over when lost. `change` sees a fresh head each time and
// may refuse with an error, which ends the loop. `overloaded`: it lost for as long as Env::timeout.
using HeadChange = std::function<Status(format::Head&)>;
Result<StoredHead> update_head(const Env& env, const Names& names, const format::Uuid& index,
                               const HeadChange& change);

}  // namespace varve::engine

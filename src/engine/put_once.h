// Writes one slot of the log so that its outcome is known, whatever the store answers.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "engine/env.h"
#include "format/uuid.h"

namespace varve::engine {

struct PutOutcome {
  enum class Verdict {
    mine,  // these very bytes stand in the slot
    lost,  // other bytes do, for ever
  };
  Verdict verdict = Verdict::mine;
  base::Bytes other;  // the whole object, when lost
};

// Creates `key` with `object`, which carries `nonce`. The status of a conditional write is only a
// hint (an answer may be lost, a retry may meet its own object): the nonce that is read back
// decides. While the slot reads empty the same bytes go to the same key again, since the first
// attempt may still land.
//
// Errors: `unavailable` or `cancelled`: the outcome is unknown and may stay open for ever, nothing
// may be concluded. `overloaded`, `invalid`: the store refused for certain, nothing was written.
Result<PutOutcome> put_once(const Env& env, std::string_view key, const base::Bytes& object,
                            const format::Uuid& index, base::Nonce nonce);

// True if the failed write certainly did not and will not happen.
bool is_definite_failure(const Error& error);

// Sleeps a random time up to min(5 s, 10 ms * 2^attempt).
void back_off(const Env& env, unsigned attempt);

}  // namespace varve::engine

// A shared server, Redis or Valkey, as a tier.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "varve/cache/tier.h"
#include "varve/result.h"

namespace varve::base {
class Clock;
}

namespace varve::cache {

// When the tier stops asking a server that fails, and when it tries again.
struct BreakerOptions {
  // Of all threads together. One is forgotten after 64 successes, so that a server which fails now
  // and then, but often enough to be felt, is left alone too.
  std::uint32_t failures_to_open = 3;
  // The n-th wait is uniform between half and all of min(wait_max, wait_min * 2^n), n from 0.
  std::chrono::milliseconds wait_min{250};
  std::chrono::milliseconds wait_max{10'000};
};

struct RedisOptions {
  // redis://[[user]:password@]host[:port][/db] or unix:///path[?db=N]. User and password with
  // %20 for a space and so on. No TLS.
  std::string url;
  // Begins every key; 1 to 128 bytes.
  std::string name_space;
  // No call that names one key takes longer. Batches: each part of up to 256 keys or 1 MiB, by the
  // sizes of what was read lately; as long as values come in, a part may take ten times as long.
  std::chrono::milliseconds timeout{20};
  std::uint32_t connections_max = 4;
  // Larger ones are not kept: they would not come in time. Also of the value before compression, so
  // that no record of a few bytes on the server can make us allocate more.
  std::uint64_t value_bytes_max = std::uint64_t{8} << 20;

  // True: a key names one value for ever, for example because it holds the hash of the value. Then
  // several processes share the entries and find them again after a restart; an entry whose removal
  // failed may be found once more.
  //
  // False: values change. Then entries are of this tier object alone, under a random epoch: no
  // other process may know which of them a lost write has left stale. Epochs that were left vanish
  // by `stay_max`.
  bool shared_immutable = false;
  // How long an entry stays at most if not `shared_immutable`. REQUIRES: > 0.
  std::chrono::milliseconds stay_max = std::chrono::hours(24);

  BreakerOptions breaker;
  // Judges expiry and the waits of the breaker; outlives the tier. Null: the real one. Time-outs
  // are real always.
  base::Clock* clock = nullptr;
};

// `invalid`: a field of the options is wrong; the message names it. A server that cannot be reached
// is no error: the tier starts switched off and comes back.
//
// Every value is a record with a checksum that names its key, so that a server that answers wrong
// bytes is a miss. A value that is older than the last write which this tier tried is never
// returned, whatever became of the write. While the breaker is open each call is a miss at once;
// one call at a time tries the server again. A host name is looked up here and by maintain(), never
// by other calls.
//
// The server decides what it evicts: pin() is false, the capacity is not ours, entries that leave
// are not reported, items and bytes are not counted. each() walks the whole key space of the
// server and may see an entry twice.
Result<std::unique_ptr<Tier>> open_redis_tier(RedisOptions options);

}  // namespace varve::cache

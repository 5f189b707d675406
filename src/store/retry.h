// Calls that may be repeated are repeated while the far side fails.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "store/object_store.h"

namespace varve::store {

struct RetryOptions {
  std::uint32_t tries_max = 8;  // the first call included
  // The n-th wait is uniform in [0, min(wait_max, wait_min * 2^n)], n from 0: full jitter spreads
  // callers that failed together (M. Brooker, "Exponential Backoff And Jitter").
  base::Duration wait_min = std::chrono::milliseconds(50);
  base::Duration wait_max = std::chrono::seconds(5);
};

// Repeats get, read, list and remove on `unavailable` until they succeed, the tries are used up or
// the next wait would reach the deadline; then the last error comes back, with the number of tries.
//
// Never repeats create and replace: after `unavailable` nobody knows whether they happened, and a
// repeated replace would take its own success for a conflict. Who knows the bytes settles that by
// reading the key back.
//
// A repeated remove may reach an object that was created meanwhile under the same key; callers
// never use a key again. Thread-safe. `clock` and `random` outlive the store and its batches.
class RetryStore final : public ObjectStore {
 public:
  RetryStore(std::shared_ptr<ObjectStore> inner, base::Clock& clock, base::Random& random,
             const RetryOptions& options = {});

  Result<std::optional<Object>> get(std::string_view key, base::Deadline deadline) override;
  // Results of reads that failed come last, after their repetition.
  std::unique_ptr<ReadBatch> read(std::span<const ReadRequest> requests,
                                  base::Deadline deadline) override;
  Result<Etag> create(std::string_view key, base::ByteSpan bytes, base::Deadline deadline) override;
  Result<Etag> replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                       base::Deadline deadline) override;
  Result<ListPage> list(std::string_view prefix, std::string_view start_after, std::uint32_t limit,
                        base::Deadline deadline) override;
  Status remove(std::span<const std::string> keys, base::Deadline deadline) override;

 private:
  class Backoff;
  class Batch;

  std::shared_ptr<ObjectStore> inner_;
  base::Clock& clock_;
  base::Random& random_;
  RetryOptions options_;
};

}  // namespace varve::store

// Objects in process memory: for tests, simulation and databases that need not last.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/sync.h"
#include "store/object_store.h"

namespace varve::store {

// Thread-safe. Reads share the stored bytes, nothing is copied. Etags count upwards, never repeat.
class MemoryStore final : public ObjectStore {
 public:
  // `clock` judges deadlines and outlives the store.
  explicit MemoryStore(base::Clock& clock = base::system_clock()) : clock_(clock) {}

  Result<std::optional<Object>> get(std::string_view key, base::Deadline deadline) override;
  std::unique_ptr<ReadBatch> read(std::span<const ReadRequest> requests,
                                  base::Deadline deadline) override;
  Result<Etag> create(std::string_view key, base::ByteSpan bytes, base::Deadline deadline) override;
  Result<Etag> replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                       base::Deadline deadline) override;
  Result<ListPage> list(std::string_view prefix, std::string_view start_after, std::uint32_t limit,
                        base::Deadline deadline) override;
  Status remove(std::span<const std::string> keys, base::Deadline deadline) override;

  // An independent store with the same objects and etags.
  std::shared_ptr<MemoryStore> copy() const;
  // All objects by key, at one moment.
  std::map<std::string, Object, std::less<>> objects() const;

 private:
  // REQUIRES: mutex_ is held.
  Etag next_etag();

  base::Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Object, std::less<>> objects_ VARVE_GUARDED_BY(mutex_);
  std::uint64_t writes_ VARVE_GUARDED_BY(mutex_) = 0;
};

std::shared_ptr<MemoryStore> make_memory_store(base::Clock& clock = base::system_clock());

}  // namespace varve::store

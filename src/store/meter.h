// Counts what a store is asked and what it moves: the bill.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "store/object_store.h"

namespace varve::store {

// Running totals, or the difference of two.
struct Usage {
  std::uint64_t gets = 0;
  std::uint64_t reads = 0;  // ranges, not batches
  std::uint64_t creates = 0;
  std::uint64_t replaces = 0;
  std::uint64_t lists = 0;
  std::uint64_t removes = 0;              // keys, not calls
  std::uint64_t bytes_in = 0;             // of gets and reads that succeeded
  std::uint64_t bytes_out = 0;            // sent by creates and replaces, whatever the answer
  std::array<std::uint64_t, 8> errors{};  // by ErrorKind

  std::uint64_t errors_of(ErrorKind kind) const { return errors[static_cast<std::size_t>(kind)]; }
  std::uint64_t requests() const { return gets + reads + creates + replaces + lists + removes; }
  bool operator==(const Usage&) const = default;
};

// What happened between the snapshot `before` and the later `after`.
Usage operator-(const Usage& after, const Usage& before);

// Passes everything on unchanged. Thread-safe. A read counts when it is asked for, its bytes when
// they are pulled, also after the meter is gone.
class MeterStore final : public ObjectStore {
 public:
  explicit MeterStore(std::shared_ptr<ObjectStore> inner);

  // Running totals of what the calling thread asked of all meters and pulled from their batches:
  // the difference of two is the cost of what it did in between, whatever other threads do. Without
  // errors.
  static Usage of_this_thread();

  // Each counter is exact; together they are not one moment while other threads go on.
  Usage usage() const;

  Result<std::optional<Object>> get(std::string_view key, base::Deadline deadline) override;
  std::unique_ptr<ReadBatch> read(std::span<const ReadRequest> requests,
                                  base::Deadline deadline) override;
  Result<Etag> create(std::string_view key, base::ByteSpan bytes, base::Deadline deadline) override;
  Result<Etag> replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                       base::Deadline deadline) override;
  Result<ListPage> list(std::string_view prefix, std::string_view start_after, std::uint32_t limit,
                        base::Deadline deadline) override;
  Status remove(std::span<const std::string> keys, base::Deadline deadline) override;

 private:
  struct Counters;
  class Batch;

  std::shared_ptr<ObjectStore> inner_;
  std::shared_ptr<Counters> counters_;
};

}  // namespace varve::store

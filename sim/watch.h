// Sees every change of the objects at the moment when it takes effect and checks what must hold at
// each step.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/names.h"
#include "format/envelope.h"
#include "format/head.h"
#include "format/manifest.h"
#include "store/memory_store.h"

namespace varve::sim {

// Wraps the objects themselves, below the faults. Used by the threads of a scheduler only.
class WatchStore final : public store::ObjectStore {
 public:
  // `report` is told each violation.
  WatchStore(std::shared_ptr<store::MemoryStore> inner, std::function<void(std::string)> report)
      : inner_(std::move(inner)), report_(std::move(report)) {}

  // From now on the objects of this index are watched.
  void watch(const format::Uuid& index);
  // I1: what is acknowledged now stands in the log, or is folded.
  void check_acked(const Lsn& lsn);

  Result<std::optional<store::Object>> get(std::string_view key, base::Deadline deadline) override;
  std::unique_ptr<store::ReadBatch> read(std::span<const store::ReadRequest> requests,
                                         base::Deadline deadline) override;
  Result<store::Etag> create(std::string_view key, base::ByteSpan bytes,
                             base::Deadline deadline) override;
  Result<store::Etag> replace(std::string_view key, base::ByteSpan bytes,
                              const store::Etag& expected, base::Deadline deadline) override;
  Result<store::ListPage> list(std::string_view prefix, std::string_view start_after,
                               std::uint32_t limit, base::Deadline deadline) override;
  Status remove(std::span<const std::string> keys, base::Deadline deadline) override;

 private:
  std::optional<base::Bytes> object(std::string_view key);
  std::optional<format::Head> head();
  std::optional<format::Kind> kind_of(std::string_view key);
  void check_created(std::string_view key);
  void check_head(const format::Head& before, const format::Head& after);
  void check_removal(const std::string& key, const format::Head& now,
                     const format::Manifest& manifest);

  std::shared_ptr<store::MemoryStore> inner_;
  std::function<void(std::string)> report_;
  std::optional<format::Uuid> index_;
  std::optional<engine::Names> names_;
  // Those that ended an epoch. A stalled take-over may leave others in slots that were folded.
  std::set<std::string, std::less<>> seals_;
};

}  // namespace varve::sim

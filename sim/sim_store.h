// The store as one simulated process sees it: each call is a seam, and the process may die at any.
#pragma once

#include <memory>
#include <string>

#include "sim/scheduler.h"
#include "store/object_store.h"

namespace varve::sim {

// One life of a process. When it has crashed, its store answers nothing but `cancelled`: no request
// of it leaves any more, those under way may still arrive.
struct Life {
  bool crashed = false;
  std::uint64_t calls_left = 0;  // to the crash; 0: none is planned
  bool crash_after = false;      // the call that it dies in, before or after it took effect
};

class SimStore final : public store::ObjectStore {
 public:
  SimStore(std::shared_ptr<store::ObjectStore> inner, Scheduler& scheduler,
           std::shared_ptr<Life> life)
      : inner_(std::move(inner)), scheduler_(scheduler), life_(std::move(life)) {}

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
  class Batch;
  // A seam. False: the process is dead.
  bool pass(std::string_view what, std::string_view key, bool before);
  template <typename Answer>
  Answer finish(std::string_view what, std::string_view key, Answer answer);

  std::shared_ptr<store::ObjectStore> inner_;
  Scheduler& scheduler_;
  std::shared_ptr<Life> life_;
};

}  // namespace varve::sim

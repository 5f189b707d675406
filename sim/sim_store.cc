#include "sim/sim_store.h"

namespace varve::sim {
namespace {

tl::unexpected<Error> dead() { return fail(ErrorKind::cancelled, "the simulated process crashed"); }

}  // namespace

class SimStore::Batch final : public store::ReadBatch {
 public:
  Batch(SimStore& store, std::unique_ptr<store::ReadBatch> inner)
      : store_(store), inner_(std::move(inner)) {}

  std::optional<store::ReadResult> next() override {
    auto result = inner_->next();
    if (!result) return result;
    result->bytes = store_.finish("read", "", std::move(result->bytes));
    return result;
  }

 private:
  SimStore& store_;
  std::unique_ptr<store::ReadBatch> inner_;
};

bool SimStore::pass(std::string_view what, std::string_view key, bool before) {
  if (before) scheduler_.tell(what, key, "...");
  scheduler_.spend(std::chrono::microseconds(20));
  scheduler_.yield();
  if (before && life_->calls_left > 0 && --life_->calls_left == 0) {
    life_->crashed = !life_->crash_after;
  } else if (!before && life_->crash_after && life_->calls_left == 0) {
    life_->crashed = true;
  }
  return !life_->crashed;
}

template <typename Answer>
Answer SimStore::finish(std::string_view what, std::string_view key, Answer answer) {
  scheduler_.tell(what, key, answer ? "ok" : answer.error().message);
  if (!pass(what, key, false)) return dead();
  return answer;
}

Result<std::optional<store::Object>> SimStore::get(std::string_view key, base::Deadline deadline) {
  if (!pass("get", key, true)) return dead();
  return finish("got", key, inner_->get(key, deadline));
}

std::unique_ptr<store::ReadBatch> SimStore::read(std::span<const store::ReadRequest> requests,
                                                 base::Deadline deadline) {
  for (const auto& request : requests) {
    pass("read", request.key, true);
    scheduler_.mix(request.offset);
    scheduler_.mix(request.size);
  }
  return std::make_unique<Batch>(*this, inner_->read(requests, deadline));
}

Result<store::Etag> SimStore::create(std::string_view key, base::ByteSpan bytes,
                                     base::Deadline deadline) {
  if (!pass("create", key, true)) return dead();
  scheduler_.mix(base::as_text(bytes));
  return finish("created", key, inner_->create(key, bytes, deadline));
}

Result<store::Etag> SimStore::replace(std::string_view key, base::ByteSpan bytes,
                                      const store::Etag& expected, base::Deadline deadline) {
  if (!pass("replace", key, true)) return dead();
  scheduler_.mix(base::as_text(bytes));
  return finish("replaced", key, inner_->replace(key, bytes, expected, deadline));
}

Result<store::ListPage> SimStore::list(std::string_view prefix, std::string_view start_after,
                                       std::uint32_t limit, base::Deadline deadline) {
  if (!pass("list", prefix, true)) return dead();
  return finish("listed", prefix, inner_->list(prefix, start_after, limit, deadline));
}

Status SimStore::remove(std::span<const std::string> keys, base::Deadline deadline) {
  for (const auto& key : keys) scheduler_.mix(key);
  if (!pass("remove", keys.empty() ? std::string_view() : keys.front(), true)) return dead();
  return finish("removed", "", inner_->remove(keys, deadline));
}

}  // namespace varve::sim

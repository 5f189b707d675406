#include "store/meter.h"

namespace varve::store {
namespace {

thread_local Usage usage_of_this_thread;

}  // namespace

Usage MeterStore::of_this_thread() { return usage_of_this_thread; }

struct MeterStore::Counters {
  using Counter = std::atomic<std::uint64_t>;

  Counter gets = 0, reads = 0, creates = 0, replaces = 0, lists = 0, removes = 0;
  Counter bytes_in = 0, bytes_out = 0;
  std::array<Counter, 8> errors{};

  void add(Counter Counters::*counter, std::uint64_t Usage::*of_thread, std::uint64_t count) {
    (this->*counter).fetch_add(count, std::memory_order_relaxed);
    usage_of_this_thread.*of_thread += count;
  }

  // Counts the error, if there is one, and hands the result on.
  template <typename T>
  Result<T> seen(Result<T> result) {
    if (!result) ++errors[static_cast<std::size_t>(result.error().kind)];
    return result;
  }
};

class MeterStore::Batch final : public ReadBatch {
 public:
  Batch(std::unique_ptr<ReadBatch> inner, std::shared_ptr<Counters> counters)
      : inner_(std::move(inner)), counters_(std::move(counters)) {}

  std::optional<ReadResult> next() override {
    auto result = inner_->next();
    if (!result) return result;
    result->bytes = counters_->seen(std::move(result->bytes));
    if (result->bytes) counters_->add(&Counters::bytes_in, &Usage::bytes_in, result->bytes->size());
    return result;
  }

 private:
  std::unique_ptr<ReadBatch> inner_;
  std::shared_ptr<Counters> counters_;
};

MeterStore::MeterStore(std::shared_ptr<ObjectStore> inner)
    : inner_(std::move(inner)), counters_(std::make_shared<Counters>()) {}

Usage MeterStore::usage() const {
  Usage usage;
  usage.gets = counters_->gets;
  usage.reads = counters_->reads;
  usage.creates = counters_->creates;
  usage.replaces = counters_->replaces;
  usage.lists = counters_->lists;
  usage.removes = counters_->removes;
  usage.bytes_in = counters_->bytes_in;
  usage.bytes_out = counters_->bytes_out;
  for (std::size_t i = 0; i < usage.errors.size(); ++i) usage.errors[i] = counters_->errors[i];
  return usage;
}

Usage operator-(const Usage& after, const Usage& before) {
  Usage change;
  change.gets = after.gets - before.gets;
  change.reads = after.reads - before.reads;
  change.creates = after.creates - before.creates;
  change.replaces = after.replaces - before.replaces;
  change.lists = after.lists - before.lists;
  change.removes = after.removes - before.removes;
  change.bytes_in = after.bytes_in - before.bytes_in;
  change.bytes_out = after.bytes_out - before.bytes_out;
  for (std::size_t i = 0; i < change.errors.size(); ++i) {
    change.errors[i] = after.errors[i] - before.errors[i];
  }
  return change;
}

Result<std::optional<Object>> MeterStore::get(std::string_view key, base::Deadline deadline) {
  counters_->add(&Counters::gets, &Usage::gets, 1);
  auto object = counters_->seen(inner_->get(key, deadline));
  if (object && *object)
    counters_->add(&Counters::bytes_in, &Usage::bytes_in, (*object)->bytes.size());
  return object;
}

std::unique_ptr<ReadBatch> MeterStore::read(std::span<const ReadRequest> requests,
                                            base::Deadline deadline) {
  counters_->add(&Counters::reads, &Usage::reads, requests.size());
  return std::make_unique<Batch>(inner_->read(requests, deadline), counters_);
}

Result<Etag> MeterStore::create(std::string_view key, base::ByteSpan bytes,
                                base::Deadline deadline) {
  counters_->add(&Counters::creates, &Usage::creates, 1);
  counters_->add(&Counters::bytes_out, &Usage::bytes_out, bytes.size());
  return counters_->seen(inner_->create(key, bytes, deadline));
}

Result<Etag> MeterStore::replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                                 base::Deadline deadline) {
  counters_->add(&Counters::replaces, &Usage::replaces, 1);
  counters_->add(&Counters::bytes_out, &Usage::bytes_out, bytes.size());
  return counters_->seen(inner_->replace(key, bytes, expected, deadline));
}

Result<ListPage> MeterStore::list(std::string_view prefix, std::string_view start_after,
                                  std::uint32_t limit, base::Deadline deadline) {
  counters_->add(&Counters::lists, &Usage::lists, 1);
  return counters_->seen(inner_->list(prefix, start_after, limit, deadline));
}

Status MeterStore::remove(std::span<const std::string> keys, base::Deadline deadline) {
  counters_->add(&Counters::removes, &Usage::removes, keys.size());
  return counters_->seen(inner_->remove(keys, deadline));
}

}  // namespace varve::store

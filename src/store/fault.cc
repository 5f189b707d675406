#include "store/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace varve::store {
namespace {

tl::unexpected<Error> injected(std::string_view what, std::string_view key) {
  return fail(ErrorKind::unavailable, fmt::format("injected fault: {}, object {}", what, key));
}

}  // namespace

// Results of reads that were never sent come first.
class FaultStore::Batch final : public ReadBatch {
 public:
  Batch(FaultStore& store, std::span<const ReadRequest> requests, base::Deadline deadline)
      : store_(store), requests_(requests.begin(), requests.end()) {
    std::vector<ReadRequest> sent;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      fates_.push_back(store_.begin(Request::get, requests_[i].key));
      if (fates_[i].fault == Fault::fail_before) {
        failed_.push_back(i);
        continue;
      }
      sent.push_back(requests_[i]);
      // The index, since callers may use a tag twice.
      sent.back().tag = i;
    }
    inner_ = store_.inner_->read(sent, deadline);
  }

  std::optional<ReadResult> next() override {
    if (!failed_.empty()) {
      const auto& request = requests_[failed_.back()];
      failed_.pop_back();
      return ReadResult{request.tag, injected("read not sent", request.key)};
    }
    auto result = inner_->next();
    if (!result) return result;
    const std::size_t index = result->tag;
    const auto& request = requests_[index];
    return ReadResult{request.tag,
                      store_.spoil(std::move(result->bytes), fates_[index], request.key)};
  }

 private:
  FaultStore& store_;
  std::vector<ReadRequest> requests_;
  std::vector<Fate> fates_;
  std::vector<std::size_t> failed_;
  std::unique_ptr<ReadBatch> inner_;
};

FaultStore::FaultStore(std::shared_ptr<ObjectStore> inner, base::Clock& clock, std::uint64_t seed,
                       FaultPlan plan)
    : inner_(std::move(inner)), clock_(clock), random_(seed), plan_(std::move(plan)) {}

FaultCounts FaultStore::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

void FaultStore::set_plan(FaultPlan plan) {
  std::lock_guard lock(mutex_);
  plan_ = std::move(plan);
}

void FaultStore::count(std::uint64_t FaultCounts::*counter) {
  std::lock_guard lock(mutex_);
  ++(counts_.*counter);
}

FaultStore::Fate FaultStore::begin(Request request, std::string_view key) {
  Fate fate;
  base::Duration delay{0};
  std::vector<Late> due;
  {
    std::lock_guard lock(mutex_);
    due = take_due(++requests_);
    // The same draws for every request, so that a change of the plan moves no later fault.
    const double delayed = random_.unit();
    const double chosen = random_.unit();
    fate.random = random_.next();
    if (!plan_.applies_to || plan_.applies_to(key)) {
      fate.fault = decide(request, chosen);
      if (delayed < plan_.delay) {
        delay = base::Duration(static_cast<std::int64_t>(
            delayed / plan_.delay * static_cast<double>(plan_.delay_max.count())));
        ++counts_.delayed;
      }
      if (fate.fault == Fault::fail_before) ++counts_.failed_before;
    }
  }
  land(due);
  if (delay > base::Duration{0}) clock_.sleep_for(delay);
  return fate;
}

FaultStore::Fault FaultStore::decide(Request request, double chosen) const {
  const bool reads = request == Request::get;
  const bool writes = request == Request::write;
  const bool removes = request == Request::remove;
  const struct {
    Fault fault;
    double probability;
  } choices[] = {
      {Fault::fail_before, plan_.fail_before},
      {Fault::lose_answer, writes || removes ? plan_.lose_answer : 0},
      {Fault::land_late, writes ? plan_.land_late : 0},
      {Fault::partial_remove, removes ? plan_.partial_remove : 0},
      {Fault::corrupt, reads ? plan_.corrupt_read : 0},
      {Fault::truncate, reads ? plan_.truncate_read : 0},
  };
  for (const auto& choice : choices) {
    if (chosen < choice.probability) return choice.fault;
    chosen -= choice.probability;
  }
  return Fault::none;
}

std::vector<FaultStore::Late> FaultStore::take_due(std::uint64_t request_number) {
  const auto first_due = std::stable_partition(
      late_.begin(), late_.end(),
      [request_number](const Late& late) { return late.due_request > request_number; });
  std::vector<Late> due(std::make_move_iterator(first_due), std::make_move_iterator(late_.end()));
  late_.erase(first_due, late_.end());
  return due;
}

void FaultStore::land(const std::vector<Late>& requests) {
  for (const auto& late : requests) {
    const auto result =
        late.expected
            ? inner_->replace(late.key, late.bytes, *late.expected, base::Deadline::never())
            : inner_->create(late.key, late.bytes, base::Deadline::never());
    count(result ? &FaultCounts::landed_late : &FaultCounts::refused_late);
  }
}

void FaultStore::flush_late() {
  std::vector<Late> due;
  {
    std::lock_guard lock(mutex_);
    due.swap(late_);
  }
  land(due);
}

void FaultStore::hold(Late late, std::uint64_t random) {
  std::lock_guard lock(mutex_);
  const std::uint64_t most = std::max(plan_.late_requests_max, 1U);
  late.due_request = requests_ + 1 + random % most;
  late_.push_back(std::move(late));
  ++counts_.held_late;
}

Result<base::Bytes> FaultStore::spoil(Result<base::Bytes> bytes, const Fate& fate,
                                      std::string_view key) {
  if (!bytes || bytes->empty()) return bytes;
  if (fate.fault == Fault::truncate) {
    count(&FaultCounts::truncated);
    return injected(fmt::format("connection closed after {} of {} bytes",
                                fate.random % bytes->size(), bytes->size()),
                    key);
  }
  if (fate.fault != Fault::corrupt) return bytes;
  count(&FaultCounts::corrupted);
  base::Buffer spoiled(bytes->size());
  std::copy(bytes->data(), bytes->data() + bytes->size(), spoiled.data());
  const std::uint64_t bit = fate.random % (std::uint64_t{bytes->size()} * 8);
  spoiled.data()[bit / 8] ^= std::byte{1} << (bit % 8);
  return base::Bytes(std::move(spoiled));
}

Result<std::optional<Object>> FaultStore::get(std::string_view key, base::Deadline deadline) {
  const Fate fate = begin(Request::get, key);
  if (fate.fault == Fault::fail_before) return injected("get not sent", key);
  VARVE_TRY(auto object, inner_->get(key, deadline));
  if (!object) return object;
  VARVE_TRY(object->bytes, spoil(std::move(object->bytes), fate, key));
  return object;
}

std::unique_ptr<ReadBatch> FaultStore::read(std::span<const ReadRequest> requests,
                                            base::Deadline deadline) {
  return std::make_unique<Batch>(*this, requests, deadline);
}

template <typename Apply>
Result<Etag> FaultStore::write(std::string_view key, const Apply& apply, base::ByteSpan bytes,
                               const Etag* expected) {
  const Fate fate = begin(Request::write, key);
  if (fate.fault == Fault::fail_before) return injected("write not sent", key);
  if (fate.fault == Fault::land_late) {
    Late late{std::string(key), base::Bytes::copy_of(bytes), std::nullopt, 0};
    if (expected) late.expected = *expected;
    hold(std::move(late), fate.random);
    return injected("no answer to write", key);
  }
  auto result = apply();
  if (fate.fault != Fault::lose_answer) return result;
  count(&FaultCounts::lost_answers);
  return injected("no answer to write", key);
}

Result<Etag> FaultStore::create(std::string_view key, base::ByteSpan bytes,
                                base::Deadline deadline) {
  return write(
      key, [&] { return inner_->create(key, bytes, deadline); }, bytes, nullptr);
}

Result<Etag> FaultStore::replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                                 base::Deadline deadline) {
  return write(
      key, [&] { return inner_->replace(key, bytes, expected, deadline); }, bytes, &expected);
}

Result<ListPage> FaultStore::list(std::string_view prefix, std::string_view start_after,
                                  std::uint32_t limit, base::Deadline deadline) {
  const Fate fate = begin(Request::list, prefix);
  if (fate.fault == Fault::fail_before) return injected("list not sent", prefix);
  return inner_->list(prefix, start_after, limit, deadline);
}

Status FaultStore::remove(std::span<const std::string> keys, base::Deadline deadline) {
  const std::string_view key = keys.empty() ? std::string_view() : keys.front();
  const Fate fate = begin(Request::remove, key);
  if (fate.fault == Fault::fail_before) return injected("remove not sent", key);
  const bool partial = fate.fault == Fault::partial_remove && !keys.empty();
  auto status = inner_->remove(partial ? keys.first(fate.random % keys.size()) : keys, deadline);
  if (!partial && fate.fault != Fault::lose_answer) return status;
  count(partial ? &FaultCounts::partial_removes : &FaultCounts::lost_answers);
  return injected(partial ? "remove broke off" : "no answer to remove", key);
}

}  // namespace varve::store

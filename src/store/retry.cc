#include "store/retry.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::store {

// The waits of one call.
class RetryStore::Backoff {
 public:
  Backoff(base::Clock& clock, base::Random& random, const RetryOptions& options,
          base::Deadline deadline)
      : clock_(clock), random_(random), options_(options), deadline_(deadline) {}

  // Waits before the next try. False if there is none: the tries or the time are used up.
  bool wait() {
    if (++tries_ >= options_.tries_max) return false;
    const auto wait = base::Duration(
        static_cast<std::int64_t>(random_.unit() * static_cast<double>(ceiling().count())));
    const bool in_time =
        deadline_.at() == base::TimePoint::max() || clock_.now() < deadline_.at() - wait;
    if (in_time) clock_.sleep_for(wait);
    return in_time;
  }

  Error last(const Error& error) const {
    return tries_ > 1 ? error.with_context(fmt::format("after {} tries", tries_)) : error;
  }

 private:
  // min(wait_max, wait_min * 2^n).
  base::Duration ceiling() const {
    auto wait = options_.wait_min;
    for (std::uint32_t n = 1; n < tries_ && wait < options_.wait_max; ++n) wait *= 2;
    return std::min(wait, options_.wait_max);
  }

  base::Clock& clock_;
  base::Random& random_;
  const RetryOptions& options_;
  base::Deadline deadline_;
  std::uint32_t tries_ = 0;
};

namespace {

bool may_retry(const Error& error) { return error.kind == ErrorKind::unavailable; }

// Ends: `backoff` allows finitely many tries.
template <typename Backoff, typename Call>
auto repeat(Backoff backoff, const Call& call) -> decltype(call()) {
  for (;;) {
    auto result = call();
    if (result || !may_retry(result.error())) return result;
    if (!backoff.wait()) return tl::unexpected(backoff.last(result.error()));
  }
}

}  // namespace

class RetryStore::Batch final : public ReadBatch {
 public:
  Batch(std::shared_ptr<ObjectStore> inner, std::span<const ReadRequest> requests,
        base::Deadline deadline, const RetryOptions& options, base::Clock& clock,
        base::Random& random)
      : inner_(std::move(inner)),
        requests_(requests.begin(), requests.end()),
        deadline_(deadline),
        options_(options),
        backoff_(clock, random, options_, deadline) {
    for (std::size_t i = 0; i < requests_.size(); ++i) failed_.push_back({i, {}});
    start();
  }

  std::optional<ReadResult> next() override {
    for (;;) {
      if (auto result = batch_->next()) {
        const std::size_t index = result->tag;
        if (!result->bytes && may_retry(result->bytes.error())) {
          failed_.push_back({index, result->bytes.error()});
          continue;
        }
        result->tag = requests_[index].tag;
        return result;
      }
      if (failed_.empty()) return std::nullopt;
      // Once waiting is refused it stays refused, so each turn hands one error out.
      gave_up_ = gave_up_ || !backoff_.wait();
      if (gave_up_) return give_up_one();
      start();
    }
  }

 private:
  struct Failed {
    std::size_t index;
    Error error;
  };

  // Asks for what has failed; the index stands in for the tag, which callers may use twice.
  void start() {
    std::vector<ReadRequest> again;
    for (const auto& failed : failed_) {
      again.push_back(requests_[failed.index]);
      again.back().tag = failed.index;
    }
    failed_.clear();
    batch_ = inner_->read(again, deadline_);
  }

  ReadResult give_up_one() {
    Failed failed = std::move(failed_.back());
    failed_.pop_back();
    return {requests_[failed.index].tag, tl::unexpected(backoff_.last(failed.error))};
  }

  std::shared_ptr<ObjectStore> inner_;
  std::vector<ReadRequest> requests_;
  base::Deadline deadline_;
  RetryOptions options_;
  Backoff backoff_;
  std::vector<Failed> failed_;
  bool gave_up_ = false;
  std::unique_ptr<ReadBatch> batch_;
};

RetryStore::RetryStore(std::shared_ptr<ObjectStore> inner, base::Clock& clock, base::Random& random,
                       const RetryOptions& options)
    : inner_(std::move(inner)), clock_(clock), random_(random), options_(options) {}

Result<std::optional<Object>> RetryStore::get(std::string_view key, base::Deadline deadline) {
  return repeat(Backoff(clock_, random_, options_, deadline),
                [&] { return inner_->get(key, deadline); });
}

std::unique_ptr<ReadBatch> RetryStore::read(std::span<const ReadRequest> requests,
                                            base::Deadline deadline) {
  return std::make_unique<Batch>(inner_, requests, deadline, options_, clock_, random_);
}

Result<Etag> RetryStore::create(std::string_view key, base::ByteSpan bytes,
                                base::Deadline deadline) {
  return inner_->create(key, bytes, deadline);
}

Result<Etag> RetryStore::replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                                 base::Deadline deadline) {
  return inner_->replace(key, bytes, expected, deadline);
}

Result<ListPage> RetryStore::list(std::string_view prefix, std::string_view start_after,
                                  std::uint32_t limit, base::Deadline deadline) {
  return repeat(Backoff(clock_, random_, options_, deadline),
                [&] { return inner_->list(prefix, start_after, limit, deadline); });
}

Status RetryStore::remove(std::span<const std::string> keys, base::Deadline deadline) {
  return repeat(Backoff(clock_, random_, options_, deadline),
                [&] { return inner_->remove(keys, deadline); });
}

}  // namespace varve::store

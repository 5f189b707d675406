#include "engine/background.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/compact.h"
#include "engine/fold.h"
#include "engine/section_cache.h"
#include "engine/warm.h"

namespace varve::engine {
namespace {

// The n-th wait after failures in a row is 1 s * 2^n: a fold that cannot succeed does not run at
// each write.
constexpr std::chrono::seconds kWaitMin{1};
constexpr std::chrono::seconds kWaitMax{300};

base::Duration wait_after(unsigned failures) {
  const auto wait = kWaitMin * (1LL << std::min(failures, 20U));
  return std::min<base::Duration>(wait, kWaitMax);
}

std::string text_of(const Error& error) {
  return fmt::format("{}: {}", to_string(error.kind), error.message);
}

}  // namespace

bool Background::is_due() const {
  const Env& env = core_.env;
  if (env.background == nullptr || env.fold_ops_min == 0) return false;
  const Tail::Size tail = core_.reader.tail_size();
  return tail.ops >= std::min(env.fold_ops_min, env.tail_ops_max) ||
         tail.bytes >= std::min(env.fold_bytes_min, env.tail_bytes_max) ||
         tail.objects >= env.fold_objects_min;
}

void Background::consider() {
  if (!is_due()) return;
  {
    std::lock_guard lock(mutex_);
    if (running_ || closed_ || core_.env.clock->now() < fold_.not_before) return;
    running_ = true;
  }
  // close() waits for the run, so `this` lives as long.
  const bool posted = core_.env.background->post([this] { run(); });
  if (!posted) finish(fail(ErrorKind::overloaded, "the queue of background work is full"), {});
}

void Background::run() {
  const auto folded = fold(core_);
  bool may_keep_up = false;
  {
    std::lock_guard lock(mutex_);
    may_keep_up = folded.has_value() && core_.env.clock->now() >= upkeep_.not_before;
  }
  const Status kept_up = may_keep_up ? after_fold(core_) : Status{};
  // A failure leaves the tail as it is: queries stay right.
  finish(folded ? Status{} : tl::unexpected(folded.error()), kept_up);
}

void Background::finish(const Status& folded, const Status& kept_up) {
  // An import that holds the fold pointer is no failure, and the next write need not ask again.
  const bool in_vain = is_due();
  const auto now = core_.env.clock->now();
  std::lock_guard lock(mutex_);
  fold_.failures = folded ? 0 : fold_.failures + 1;
  if (!folded || in_vain) fold_.not_before = now + wait_after(fold_.failures);
  upkeep_.failures = kept_up ? 0 : upkeep_.failures + 1;
  if (!kept_up) upkeep_.not_before = now + wait_after(upkeep_.failures);
  const Status& failed = folded ? kept_up : folded;
  last_error_ = failed ? "" : text_of(failed.error());
  running_ = false;
  // Under the lock: once it is free, close() may return and this object be gone.
  finished_.notify_all();
}

void Background::follow_pin(const View& view) {
  const Env& env = core_.env;
  if (!env.sections->pins().find(core_.index, env.clock->wall_ms())) {
    // The time of the pin is over.
    if (view.resident != nullptr) view.generation->set_resident(nullptr);
    return;
  }
  if (env.background == nullptr) return;
  {
    std::lock_guard lock(mutex_);
    if (pinning_ || closed_ || pinned_manifest_ == view.generation->manifest_name()) return;
    pinning_ = true;
    pinned_manifest_ = view.generation->manifest_name();
  }
  // close() waits for it, so `this` lives as long.
  const bool posted =
      env.background->post([this, view] { finish_pin(engine::follow_pin(core_, view)); });
  if (!posted) finish_pin(fail(ErrorKind::overloaded, "the queue of background work is full"));
}

void Background::finish_pin(const Status& pinned) {
  std::lock_guard lock(mutex_);
  if (!pinned) last_error_ = text_of(pinned.error());
  pinning_ = false;
  // Under the lock, as in `finish`.
  finished_.notify_all();
}

std::string Background::last_error() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

void Background::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  while (running_ || pinning_) finished_.wait(lock);
}

}  // namespace varve::engine

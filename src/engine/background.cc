#include "engine/background.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/collect.h"
#include "engine/compact.h"
#include "engine/fold.h"

namespace varve::engine {
namespace {

// For queries that still read what a fold replaced.
constexpr std::chrono::minutes kGrace{10};
// The n-th wait after failures in a row is 1 s * 2^n: a fold that cannot succeed does not run at
// each write.
constexpr std::chrono::seconds kWaitMin{1};
constexpr std::chrono::seconds kWaitMax{300};

base::Duration wait_after(unsigned failures) {
  const auto wait = kWaitMin * (1LL << std::min(failures, 20U));
  return std::min<base::Duration>(wait, kWaitMax);
}

}  // namespace

bool Background::is_due() const {
  const Env& env = core_.env;
  if (env.background == nullptr || env.fold_ops_min == 0) return false;
  const Tail::Size tail = core_.reader.tail_size();
  return tail.ops >= env.fold_ops_min || tail.bytes >= env.fold_bytes_min ||
         tail.objects >= env.fold_objects_min;
}

void Background::consider() {
  if (!is_due()) return;
  {
    std::lock_guard lock(mutex_);
    if (running_ || closed_ || core_.env.clock->now() < not_before_) return;
    running_ = true;
  }
  // close() waits for the run, so `this` lives as long.
  const bool posted = core_.env.background->post([this] { run(); });
  if (!posted) finish(fail(ErrorKind::overloaded, "the queue of background work is full"));
}

void Background::run() { finish(fold_and_rebuild()); }

// A failure leaves the tail as it is: queries stay right.
Status Background::fold_and_rebuild() {
  VARVE_CHECK(fold(core_));
  VARVE_CHECK(collect_retired(core_, kGrace));
  VARVE_TRY(const bool outgrown, needs_rebuild(core_));
  if (!outgrown) return {};
  base::Turn::Held held(core_.maintenance);
  VARVE_CHECK(rebuild_held(core_, {}));
  return {};
}

void Background::finish(const Status& done) {
  // An import that holds the fold pointer is no failure, and the next write need not ask again.
  const bool in_vain = is_due();
  std::lock_guard lock(mutex_);
  failures_ = done ? 0 : failures_ + 1;
  last_error_ =
      done ? "" : fmt::format("{}: {}", to_string(done.error().kind), done.error().message);
  if (!done || in_vain) not_before_ = core_.env.clock->now() + wait_after(failures_);
  running_ = false;
  // Under the lock: once it is free, close() may return and this object be gone.
  finished_.notify_all();
}

std::string Background::last_error() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

void Background::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  while (running_) finished_.wait(lock);
}

}  // namespace varve::engine

#include "sim/process.h"

#include <fmt/format.h>

#include "engine/database.h"
#include "store/retry.h"

namespace varve::sim {
namespace {

constexpr unsigned kOpenAttempts = 300;

}  // namespace

std::shared_ptr<Instance> Process::make() {
  auto life = std::make_shared<Life>();
  if (random_.unit() < options_.crashes) {
    life->calls_left = 10 + random_.below(300);
    life->crash_after = random_.below(2) == 0;
  }
  auto instance = std::make_shared<Instance>(life, random_.next());
  engine::Env& env = instance->env;
  env.store = std::make_shared<SimStore>(store_, scheduler_, life);
  // As in Database::open(); without it more failures reach the engine.
  if (random_.below(2) == 0) {
    env.store = std::make_shared<store::RetryStore>(env.store, clock_, instance->random);
  }
  env.clock = &clock_;
  env.random = &instance->random;
  env.compute = instance->pool.get();
  env.timeout = std::chrono::seconds(10);
  env.resolve_timeout = std::chrono::seconds(2);
  env.owner = fmt::format("{}:{}", options_.name, ++lives_);
  // Others may outlive this object.
  if (options_.suspects > 0) {
    env.owner_is_gone = [this](const std::string&) { return takes_for_gone(); };
  }
  instance->database = engine::make_database(env);
  return instance;
}

// Whether it is right or wrong: a job that was taken off the list can do no harm.
bool Process::takes_for_gone() {
  const bool gone = random_.unit() < options_.suspects;
  owners_given_up_ += gone;
  return gone;
}

std::shared_ptr<Instance> Process::alive() {
  base::Turn::Held held(starting_);
  while (instance_ == nullptr || instance_->life->crashed) {
    if (instance_ != nullptr) ++crashes_;
    instance_ = nullptr;
    auto next = make();
    for (unsigned attempt = 0; !next->life->crashed; ++attempt) {
      if (attempt == kOpenAttempts) return nullptr;
      auto opened = next->database->open_index(kIndexName);
      if (opened) {
        next->index = std::move(*opened);
        break;
      }
      clock_.sleep_for(std::chrono::milliseconds(20));
    }
    instance_ = std::move(next);
  }
  return instance_;
}

}  // namespace varve::sim

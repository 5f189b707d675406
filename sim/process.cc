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
  // As the stores behind an address are; without it more failures reach the engine.
  if (random_.below(2) == 0) {
    env.store = std::make_shared<store::RetryStore>(env.store, clock_, instance->random);
  }
  env.clock = &clock_;
  env.random = &instance->random;
  env.compute = instance->pool.get();
  env.timeout = std::chrono::seconds(10);
  env.resolve_timeout = std::chrono::seconds(2);
  // A process id that process_is_gone() does not ask the operating system about.
  env.owner = fmt::format("{}:{}:0", options_.name, ++lives_);
  instance->database = engine::make_database(env);
  return instance;
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

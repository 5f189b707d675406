// The simulated processes: each has its own database on the shared store, and restarts when it
// has crashed.
#pragma once

#include <memory>
#include <string>

#include "base/pool.h"
#include "engine/env.h"
#include "sim/scheduler.h"
#include "sim/sim_store.h"
#include "varve/database.h"

namespace varve::sim {

inline const IndexName kIndexName{"sim", "index"};

// One life of a process and what it holds in memory. Members that others use stand first.
struct Instance {
  std::shared_ptr<Life> life;
  base::Random random;
  std::unique_ptr<base::Pool> pool = base::make_inline_pool();
  engine::Env env;
  std::unique_ptr<Database> database;
  std::shared_ptr<Index> index;

  Instance(std::shared_ptr<Life> its_life, std::uint64_t seed)
      : life(std::move(its_life)), random(seed) {}
};

struct ProcessOptions {
  std::string name;
  double crashes = 0;   // share of its lives that end in a crash
  double suspects = 0;  // share of the owners of jobs that it takes for gone
  std::uint64_t seed = 0;
};

// Used by the threads of a scheduler only.
class Process {
 public:
  Process(Scheduler& scheduler, SimClock& clock, std::shared_ptr<store::ObjectStore> store,
          ProcessOptions options)
      : scheduler_(scheduler),
        clock_(clock),
        store_(std::move(store)),
        options_(std::move(options)),
        random_(options_.seed) {}

  // A life with a database and no index.
  std::shared_ptr<Instance> make();
  // The life under way with the index open; a new one after a crash. Null: it could not be
  // opened, however often it tried.
  std::shared_ptr<Instance> alive();

  std::uint64_t crashes() const { return crashes_; }
  // How often it took the owner of a job for gone.
  std::uint64_t owners_given_up() const { return owners_given_up_; }

 private:
  bool takes_for_gone();

  Scheduler& scheduler_;
  SimClock& clock_;
  std::shared_ptr<store::ObjectStore> store_;
  const ProcessOptions options_;
  base::Random random_;
  base::Turn starting_;
  std::shared_ptr<Instance> instance_;
  std::uint64_t lives_ = 0;
  std::uint64_t crashes_ = 0;
  std::uint64_t owners_given_up_ = 0;
};

}  // namespace varve::sim

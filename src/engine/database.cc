#include "varve/database.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <unordered_map>

#include "base/random.h"
#include "engine/answer_cache.h"
#include "engine/catalog.h"
#include "engine/core.h"
#include "engine/database.h"
#include "engine/env.h"
#include "engine/fsck.h"
#include "engine/index.h"
#include "engine/owner.h"
#include "engine/put_once.h"
#include "engine/section_layers.h"
#include "engine/validate.h"
#include "store/meter.h"
#include "store/open.h"
#include "store/retry.h"

namespace varve {
namespace engine {
namespace {

Error no_index(const IndexName& name) {
  return {ErrorKind::not_found, fmt::format("index '{}' not found", name.str()), "varve index ls"};
}

class StoredDatabase final : public Database {
 public:
  explicit StoredDatabase(Env env) : env_(std::move(env)) {}

  Result<std::shared_ptr<Index>> create_index(const IndexName& name, const IndexConfig& config,
                                              bool exist_ok) override {
    VARVE_CHECK(validate_name(name));
    VARVE_CHECK(validate_config(config));
    VARVE_TRY(const auto existing, find_index(env_, name));
    if (existing && existing->state == format::CatalogState::deleting) {
      VARVE_CHECK(finish_drop(name, existing->uuid));
    } else if (existing) {
      return open_existing(name, config, exist_ok);
    }
    const auto uuid = format::Uuid::random(*env_.random);
    VARVE_CHECK(create_index_objects(env_, uuid, name, config));
    auto added = add_index(env_, name, uuid);
    if (!added) {
      const bool raced = added.error().kind == ErrorKind::conflict;
      // Unless that is certain, the catalog may name the objects, or do so later.
      const bool certain = raced || is_definite_failure(added.error());
      if (certain) static_cast<void>(drop_index_objects(env_, uuid));
      if (raced && exist_ok) return open_existing(name, config, exist_ok);
      return tl::unexpected(added.error());
    }
    return open_with(uuid, name);
  }

  Result<std::shared_ptr<Index>> open_index(const IndexName& name) override {
    VARVE_CHECK(validate_name(name));
    VARVE_TRY(const auto entry, find_index(env_, name));
    if (!entry || entry->state == format::CatalogState::deleting) {
      return tl::unexpected(no_index(name));
    }
    return open_with(entry->uuid, name);
  }

  Result<FsckReport> fsck_index(const IndexName& name, const ProgressSink& progress) override {
    VARVE_CHECK(validate_name(name));
    VARVE_TRY(const auto entry, find_index(env_, name));
    if (!entry || entry->state == format::CatalogState::deleting) {
      return tl::unexpected(no_index(name));
    }
    Core core(env_, entry->uuid);
    return fsck(core, progress);
  }

  Status drop_index(const IndexName& name) override {
    VARVE_CHECK(validate_name(name));
    VARVE_TRY(const auto entry, find_index(env_, name));
    if (!entry) return tl::unexpected(no_index(name));
    VARVE_CHECK(mark_deleting(env_, name, entry->uuid));
    return finish_drop(name, entry->uuid);
  }

  Result<std::vector<IndexName>> list_indexes() override { return engine::list_indexes(env_); }

  Result<CacheStatus> cache_status(bool indexes) override {
    CacheStatus status = status_of(env_.sections->layers());
    status.clusters_prefetched = env_.sections->clusters_prefetched();
    if (env_.answers != nullptr) {
      status.answers = status_of("answers", env_.answers->stats(), env_.answers->bytes_max());
    }
    if (!indexes) return status;
    VARVE_TRY(const auto names, list_indexes());
    std::vector<std::unordered_map<std::string, std::uint64_t>> tiers;
    for (std::size_t tier = 0; tier < status.tiers.size(); ++tier) {
      tiers.push_back(env_.sections->bytes_by_index(tier));
    }
    for (const IndexName& name : names) {
      const auto entry = find_index(env_, name);
      // One that cannot be read is no reason to say nothing of the others.
      if (!entry || !*entry) continue;
      CacheStatus::OfIndex of{name, {}};
      for (auto& tier : tiers) of.bytes.push_back(tier[section_key_prefix((*entry)->uuid)]);
      status.indexes.push_back(std::move(of));
    }
    return status;
  }

 private:
  Status finish_drop(const IndexName& name, const format::Uuid& uuid) {
    VARVE_CHECK(drop_index_objects(env_, uuid));
    // Without effect on what the store has: a failure leaves garbage, and an index that is gone
    // pinned.
    static_cast<void>(env_.sections->forget(uuid));
    return remove_index(env_, name, uuid);
  }

  Result<std::shared_ptr<Index>> open_with(const format::Uuid& uuid, const IndexName& name) {
    auto index = open_.open(env_, uuid, name);
    const bool gone = !index && index.error().kind == ErrorKind::not_found;
    if (gone) return tl::unexpected(no_index(name));
    return index;
  }

  Result<std::shared_ptr<Index>> open_existing(const IndexName& name, const IndexConfig& config,
                                               bool exist_ok) {
    VARVE_TRY(auto index, open_index(name));
    const IndexConfig& found = index->config();
    const bool same = found.dim == config.dim && found.metric == config.metric &&
                      extra_words_of(found) == extra_words_of(config) &&
                      found.order == config.order;
    if (exist_ok && same) return index;
    return fail(
        ErrorKind::conflict,
        fmt::format("index '{}' exists{}", name.str(),
                    same ? "" : " with another dimension, metric, order or number of code bits"));
  }

  const Env env_;
  OpenIndexes open_;
};

// What an Env points to. The pools go first: they wait for work that uses the rest.
struct Parts {
  base::Random random = base::Random::from_entropy();
  std::unique_ptr<base::Pool> compute;
  std::unique_ptr<base::Pool> background;
  std::unique_ptr<base::Pool> moves;  // between tiers: these must not wait for a rebuild
};

Result<Env> make_env(std::shared_ptr<store::ObjectStore> store, const DatabaseOptions& options) {
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t width = options.compute_threads > 0 ? options.compute_threads : cores;
  auto parts = std::make_shared<Parts>();
  parts->compute = base::make_thread_pool(width - 1);
  parts->background = base::make_thread_pool(1);
  parts->moves = base::make_thread_pool(1);
  Env env;
  env.owned = parts;
  env.meter = std::make_shared<store::MeterStore>(std::move(store));
  env.store = std::make_shared<store::RetryStore>(env.meter, base::system_clock(), parts->random);
  env.clock = &base::system_clock();
  env.random = &parts->random;
  env.compute = parts->compute.get();
  env.background = parts->background.get();
  env.timeout = options.timeout;
  env.resolve_timeout = std::min<std::chrono::milliseconds>(env.resolve_timeout, options.timeout);
  env.spool_dir = options.spool_dir;
  env.fold_ops_min = options.fold_ops_min;
  env.owner = process_identity();
  env.owner_is_gone = [](const std::string& owner) { return process_is_gone(owner); };
  if (options.cache.answers_bytes_max > 0) {
    env.answers = std::make_shared<AnswerCache>(options.cache.answers_bytes_max);
  }
  VARVE_TRY(env.sections, make_section_cache(options.cache, *env.clock, parts->moves.get()));
  return env;
}

}  // namespace

std::unique_ptr<Database> make_database(Env env) {
  if (env.sections == nullptr) env.sections = make_section_cache_in_memory(*env.clock);
  return std::make_unique<StoredDatabase>(std::move(env));
}

}  // namespace engine

Result<std::unique_ptr<Database>> Database::open(const std::string& uri,
                                                 const DatabaseOptions& options) {
  VARVE_TRY(auto store, store::open_store(uri, {.create_if_missing = options.create_if_missing}));
  VARVE_TRY(auto env, engine::make_env(std::move(store), options));
  return engine::make_database(std::move(env));
}

}  // namespace varve

// What engine tests share: an Env on a store, and a plain model of what an index should hold.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/manual_clock.h"
#include "base/pool.h"
#include "base/random.h"
#include "engine/database.h"
#include "engine/env.h"
#include "store/memory_store.h"

namespace varve::engine {

// One time for stores and processes; waits cost nothing.
inline base::ManualClock& test_clock() {
  static base::ManualClock clock;
  return clock;
}

// One "process": its own randomness and pools over a store that several may share.
class Process {
 public:
  Process(std::shared_ptr<store::ObjectStore> store, std::uint64_t seed,
          const std::function<void(Env&)>& adjust = {})
      : random_(seed), pool_(base::make_thread_pool(1)) {
    env_.store = std::move(store);
    env_.clock = &test_clock();
    env_.random = &random_;
    env_.compute = pool_.get();
    env_.owner = "test:boot:" + std::to_string(seed);
    if (adjust) adjust(env_);
    database_ = make_database(env_);
  }

  Database& database() { return *database_; }
  const Env& env() const { return env_; }

 private:
  base::Random random_;
  std::unique_ptr<base::Pool> pool_;
  Env env_;
  std::unique_ptr<Database> database_;
};

// A store that calls `before` with the name of each method and its (first) key or prefix: what
// others do at that moment. Calls from within `before` are passed on without it.
class HookStore final : public store::ObjectStore {
 public:
  using Hook = std::function<void(std::string_view method, std::string_view key)>;
  explicit HookStore(std::shared_ptr<store::ObjectStore> inner) : inner_(std::move(inner)) {}
  Hook before;

  Result<std::optional<store::Object>> get(std::string_view key, base::Deadline at) override {
    call("get", key);
    return inner_->get(key, at);
  }
  std::unique_ptr<store::ReadBatch> read(std::span<const store::ReadRequest> requests,
                                         base::Deadline at) override {
    call("read", requests.empty() ? "" : std::string_view(requests[0].key));
    return inner_->read(requests, at);
  }
  Result<store::Etag> create(std::string_view key, base::ByteSpan bytes,
                             base::Deadline at) override {
    call("create", key);
    return inner_->create(key, bytes, at);
  }
  Result<store::Etag> replace(std::string_view key, base::ByteSpan bytes,
                              const store::Etag& expected, base::Deadline at) override {
    call("replace", key);
    return inner_->replace(key, bytes, expected, at);
  }
  Result<store::ListPage> list(std::string_view prefix, std::string_view after, std::uint32_t limit,
                               base::Deadline at) override {
    call("list", prefix);
    return inner_->list(prefix, after, limit, at);
  }
  Status remove(std::span<const std::string> keys, base::Deadline at) override {
    call("remove", keys.empty() ? "" : std::string_view(keys[0]));
    return inner_->remove(keys, at);
  }

 private:
  void call(std::string_view method, std::string_view key) {
    if (before == nullptr || inside_) return;
    inside_ = true;
    before(method, key);
    inside_ = false;
  }

  std::shared_ptr<store::ObjectStore> inner_;
  bool inside_ = false;
};

inline std::vector<float> random_vector(base::Random& random, std::uint32_t dim) {
  std::vector<float> vector(dim);
  for (float& value : vector) value = static_cast<float>(random.unit() * 2.0 - 1.0);
  return vector;
}

inline QueryOptions exact_query(std::uint32_t k = 10) {
  QueryOptions options;
  options.k = k;
  options.exact = true;
  return options;
}
inline QueryOptions recall_query(double recall) {
  QueryOptions options;
  options.recall = recall;
  return options;
}

// In double, in the plainest way.
inline double distance_between(Metric metric, const std::vector<float>& a,
                               const std::vector<float>& b) {
  double squared = 0, dot = 0, norm_a = 0, norm_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    squared += (x - y) * (x - y);
    dot += x * y;
    norm_a += x * x;
    norm_b += y * y;
  }
  return metric == Metric::euclidean ? squared
                                     : 1.0 - dot / (std::sqrt(norm_a) * std::sqrt(norm_b));
}

// A map is all that an index is, seen from outside.
class Model {
 public:
  explicit Model(Metric metric) : metric_(metric) {}

  std::map<std::string, VectorRecord> records;

  std::vector<std::pair<double, std::string>> nearest(const std::vector<float>& query,
                                                      std::size_t k) const {
    std::vector<std::pair<double, std::string>> all;
    for (const auto& [key, record] : records)
      all.emplace_back(distance_between(metric_, query, record.vector), key);
    std::sort(all.begin(), all.end());
    all.resize(std::min(k, all.size()));
    return all;
  }

 private:
  Metric metric_;
};

// Rows from memory, for import.
class VectorSource final : public RowSource {
 public:
  explicit VectorSource(std::vector<VectorRecord> records) : records_(std::move(records)) {}
  std::uint64_t size_hint() const override { return records_.size(); }
  Result<bool> next(VectorRecord& record) override {
    if (position_ == records_.size()) return false;
    record = records_[position_++];
    return true;
  }

 private:
  std::vector<VectorRecord> records_;
  std::size_t position_ = 0;
};

}  // namespace varve::engine

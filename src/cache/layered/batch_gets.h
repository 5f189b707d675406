// A batch of gets under way.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "cache/layered/layered_cache.h"

namespace varve::cache {

Status check_key(std::string_view key);

class BatchGets final : public Gets {
 public:
  // With `looks` into the tiers before it loads.
  BatchGets(StackedCache& cache, std::span<const std::string_view> keys, Source& source,
            bool looks);
  // Loads that were not pulled are handed to those who wait for them.
  ~BatchGets() override;

  std::optional<Got> next() override;
  const ReadCounts& counts() const override { return counts_; }

 private:
  struct Wanted {
    std::size_t index = 0;
    std::string key;
    std::uint64_t hash = 0;
    std::shared_ptr<Flight> flight;
    std::uint64_t version = 0;
    bool is_done = false;
    bool is_load = true;  // false: known to be absent

    Key as_key() const { return Key(key, hash); }
  };

  void join_flights(std::span<const Key> keys, const std::vector<Handle>& found);
  void start_loads();
  std::optional<Got> next_loaded();
  std::optional<Loads::Loaded> missing_result() const;
  // Answers at least one of `shared_`, or begins loads that do.
  void wait_for_shared();
  void take_over_rest(bool is_impatient);
  void take_over(Wanted wanted);
  void receive(const Wanted& wanted, const Handle& value);

  StackedCache& cache_;
  Source& source_;
  const base::TimePoint deadline_;
  std::optional<base::TimePoint> patience_;  // with the loads of others; unset before the first
  ReadCounts counts_;
  std::deque<Got> ready_;
  std::deque<Wanted> own_;     // loads that this batch leads
  std::deque<Wanted> shared_;  // loads of others
  std::unique_ptr<Loads> loading_;
};

}  // namespace varve::cache

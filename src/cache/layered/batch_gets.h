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

    Key as_key() const { return Key(key, hash); }
  };

  void join_flights(std::span<const Key> keys, const std::vector<Handle>& found);
  void start_loads();
  std::optional<Got> next_loaded();
  std::optional<Loads::Loaded> missing_result() const;
  std::optional<Got> next_shared();

  StackedCache& cache_;
  Source& source_;
  ReadCounts counts_;
  std::deque<Got> ready_;
  std::vector<Wanted> own_;     // loads that this batch leads
  std::vector<Wanted> shared_;  // loads of others
  std::size_t next_shared_ = 0;
  std::unique_ptr<Loads> loading_;
};

}  // namespace varve::cache

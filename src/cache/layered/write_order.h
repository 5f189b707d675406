// What keeps an old value from coming back: for each key, whether it was written since.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/sync.h"
#include "varve/cache/tier.h"

namespace varve::cache {

// Keys share versions and turns by hash; a collision only makes a move be given up, or wait.
//
// Who brings a value that was read earlier (a load, a promotion, a demotion) notes the version
// before reading, takes the turn, and keeps the value only if the version is still the same.
// Writers change the version both when they begin and when they end: a value that left a tier while
// a writer was between two tiers has the version of the middle, and is not kept either.
class WriteOrder {
 public:
  std::uint64_t version(std::uint64_t hash) const {
    return versions_[hash % kVersions].load(std::memory_order_acquire);
  }

  // For a writer.
  class Writing {
   public:
    Writing(WriteOrder& order, std::uint64_t hash)
        : held_(order.turn(hash)), order_(order), hash_(hash) {
      order_.bump(hash_);
    }
    ~Writing() { order_.bump(hash_); }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    base::Turn::Held held_;
    WriteOrder& order_;
    const std::uint64_t hash_;
  };

  // For a writer of several keys at once. Takes turns in one order, so that two of them cannot wait
  // for each other.
  class WritingAll {
   public:
    WritingAll(WriteOrder& order, std::span<const Key> keys) : order_(order) {
      std::vector<std::size_t> turns;
      for (const Key& key : keys) {
        turns.push_back(key.hash % kTurns);
        hashes_.push_back(key.hash);
      }
      std::sort(turns.begin(), turns.end());
      turns.erase(std::unique(turns.begin(), turns.end()), turns.end());
      for (const std::size_t turn : turns) {
        held_.push_back(std::make_unique<base::Turn::Held>(order_.turns_[turn]));
      }
      bump_all();
    }
    ~WritingAll() { bump_all(); }
    WritingAll(const WritingAll&) = delete;
    WritingAll& operator=(const WritingAll&) = delete;

   private:
    void bump_all() {
      for (const std::uint64_t hash : hashes_) order_.bump(hash);
    }

    std::vector<std::unique_ptr<base::Turn::Held>> held_;
    WriteOrder& order_;
    std::vector<std::uint64_t> hashes_;
  };

  // For who brings an earlier value.
  class Bringing {
   public:
    Bringing(WriteOrder& order, std::uint64_t hash, std::uint64_t version)
        : held_(order.turn(hash)), is_current_(order.version(hash) == version) {}
    bool is_current() const { return is_current_; }

   private:
    base::Turn::Held held_;
    const bool is_current_;
  };

 private:
  static constexpr std::size_t kVersions = 8192;
  static constexpr std::size_t kTurns = 128;

  base::Turn& turn(std::uint64_t hash) { return turns_[hash % kTurns]; }
  void bump(std::uint64_t hash) {
    versions_[hash % kVersions].fetch_add(1, std::memory_order_acq_rel);
  }

  std::array<std::atomic<std::uint64_t>, kVersions> versions_{};
  std::array<base::Turn, kTurns> turns_;
};

}  // namespace varve::cache

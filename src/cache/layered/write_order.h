// What keeps an old value from coming back: for each key, whether it was written since.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/assert.h"
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

  // While a thread has turns. It must not wait for more: if it is the same one, the wait never
  // ends.
  class InTurn {
   public:
    explicit InTurn(const WriteOrder& order) : order_(&order), outer_(innermost_) {
      innermost_ = this;
    }
    ~InTurn() { innermost_ = outer_; }
    InTurn(const InTurn&) = delete;
    InTurn& operator=(const InTurn&) = delete;

    // For who is going to wait.
    static void check(const WriteOrder& order) {
      const bool callback_uses_its_cache = is_within(order);
      VARVE_ASSERT(!callback_uses_its_cache);
    }

   private:
    static bool is_within(const WriteOrder& order) {
      const InTurn* each = innermost_;
      while (each != nullptr && each->order_ != &order) each = each->outer_;
      return each != nullptr;
    }

    inline static thread_local const InTurn* innermost_ = nullptr;

    const WriteOrder* const order_;
    const InTurn* const outer_;
  };

  // Whether a writer was between begin and end when `version` was noted.
  static bool is_under_way(std::uint64_t version) { return version >= kUnderWay; }

  // For a writer.
  class Writing {
   public:
    Writing(WriteOrder& order, std::uint64_t hash)
        : held_(order.turn_to_wait_for(hash)), mark_(order), order_(order), hash_(hash) {
      order_.begin(hash_);
    }
    ~Writing() { order_.end(hash_); }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    base::Turn::Held held_;
    const InTurn mark_;
    WriteOrder& order_;
    const std::uint64_t hash_;
  };

  // For a writer of several keys at once. Takes turns in one order, so that two of them cannot wait
  // for each other.
  class WritingAll {
   public:
    WritingAll(WriteOrder& order, std::span<const Key> keys) : order_(order) {
      InTurn::check(order);
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
      mark_.emplace(order);
      for (const std::uint64_t hash : hashes_) order_.begin(hash);
    }
    ~WritingAll() {
      for (const std::uint64_t hash : hashes_) order_.end(hash);
    }
    WritingAll(const WritingAll&) = delete;
    WritingAll& operator=(const WritingAll&) = delete;

   private:
    std::vector<std::unique_ptr<base::Turn::Held>> held_;
    std::optional<InTurn> mark_;
    WriteOrder& order_;
    std::vector<std::uint64_t> hashes_;
  };

  // For who brings an earlier value.
  class Bringing {
   public:
    // Waits for the turn until then.
    Bringing(WriteOrder& order, std::uint64_t hash, std::uint64_t version, const base::Clock& clock,
             base::TimePoint until)
        : turn_(order.turn_to_wait_for(hash)),
          is_held_(turn_.take_until(clock, until)),
          is_current_(order.version(hash) == version),
          mark_(order) {}
    ~Bringing() {
      if (is_held_) turn_.give();
    }
    Bringing(const Bringing&) = delete;
    Bringing& operator=(const Bringing&) = delete;

    bool is_held() const { return is_held_; }
    // Whether no write of the key has begun since. REQUIRES: is_held(), for it to stay so.
    bool is_current() const { return is_current_; }

   private:
    base::Turn& turn_;
    const bool is_held_;
    const bool is_current_;
    const InTurn mark_;
  };

 private:
  static constexpr std::size_t kVersions = 8192;
  static constexpr std::size_t kTurns = 128;
  // Writers under way are counted above the steps of the version.
  static constexpr std::uint64_t kUnderWay = std::uint64_t{1} << 48;

  base::Turn& turn(std::uint64_t hash) { return turns_[hash % kTurns]; }
  base::Turn& turn_to_wait_for(std::uint64_t hash) {
    InTurn::check(*this);
    return turn(hash);
  }
  void begin(std::uint64_t hash) { add(hash, kUnderWay + 1); }
  void end(std::uint64_t hash) { add(hash, std::uint64_t{1} - kUnderWay); }
  void add(std::uint64_t hash, std::uint64_t steps) {
    versions_[hash % kVersions].fetch_add(steps, std::memory_order_acq_rel);
  }

  std::array<std::atomic<std::uint64_t>, kVersions> versions_{};
  std::array<base::Turn, kTurns> turns_;
};

}  // namespace varve::cache

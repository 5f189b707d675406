// Times of operations that are faster than reading the clock.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "cli/recall.h"

namespace varve::cli::cache_bench {

inline constexpr std::size_t kGetsPerBatch = 64;

using SteadyClock = std::chrono::steady_clock;

inline double nanoseconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double, std::nano>(SteadyClock::now() - start).count();
}

// Percentiles over batches, of one operation.
class Times {
 public:
  void add(double nanoseconds) { all_.push_back(nanoseconds); }
  // What follows is a turn of its own.
  void begin_turn() { turns_.push_back(all_.size()); }

  double at(double share) const { return percentile_of(0, all_.size(), share); }
  double p99() const { return at(0.99); }
  // Of the quietest turn: what else the machine does, and what shares its caches, only ever adds.
  double p50() const {
    double least = turns_.empty() ? at(0.50) : std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < turns_.size(); ++i) {
      const std::size_t end = i + 1 < turns_.size() ? turns_[i + 1] : all_.size();
      least = std::min(least, percentile_of(turns_[i], end, 0.50));
    }
    return least;
  }

 private:
  double percentile_of(std::size_t begin, std::size_t end, double share) const {
    std::vector<double> sorted(all_.begin() + static_cast<std::ptrdiff_t>(begin),
                               all_.begin() + static_cast<std::ptrdiff_t>(end));
    std::sort(sorted.begin(), sorted.end());
    return percentile(sorted, share);
  }

  std::vector<double> all_;
  std::vector<std::size_t> turns_;  // where each begins
};

// Keys in the order in which they are asked for, one after the other in memory: what is measured is
// the cache, not the search for the next key. Keys are uniform and random, and short enough that
// the std::string of a peer needs no memory for them. Two threads, each with its own, share no
// cache line.
class alignas(128) KeyStream {
 public:
  static constexpr std::size_t kKeyBytes = 12;
  static constexpr std::size_t kAccesses = std::size_t{1} << 17;

  explicit KeyStream(std::size_t keys) {
    std::mt19937_64 random(1);
    bytes_.resize(kAccesses * kKeyBytes);
    for (std::size_t i = 0; i < kAccesses; ++i) {
      const std::string key = key_of(random() % keys);
      std::copy(key.begin(), key.end(), bytes_.begin() + static_cast<long>(i * kKeyBytes));
    }
  }
  static std::string key_of(std::size_t number) { return fmt::format("vec/{:08}", number); }
  std::string_view next() {
    const std::string_view key(bytes_.data() + next_ * kKeyBytes, kKeyBytes);
    next_ = (next_ + 1) & (kAccesses - 1);
    return key;
  }

 private:
  std::string bytes_;
  std::size_t next_ = 0;
};

// How operations of two caches take turns.
struct Turns {
  std::size_t turns = 0;
  std::size_t batches = 0;  // timed in each turn
  std::size_t untimed = 0;  // operations before them: the other left its things in the processor's
                            // caches
};

template <typename Get>
void time_batches(Times& times, const Turns& turns, const Get& get) {
  times.begin_turn();
  for (std::size_t i = 0; i < turns.untimed; ++i) get();
  for (std::size_t batch = 0; batch < turns.batches; ++batch) {
    const auto start = SteadyClock::now();
    for (std::size_t i = 0; i < kGetsPerBatch; ++i) get();
    times.add(nanoseconds_since(start) / kGetsPerBatch);
  }
}

// Both by turns, so that what else the machine does hits both.
template <typename Ours, typename Peer>
void time_by_turns(Times& ours, const Ours& get_ours, Times& peers, const Peer& get_peer,
                   const Turns& turns) {
  for (std::size_t turn = 0; turn < turns.turns; ++turn) {
    time_batches(ours, turns, get_ours);
    time_batches(peers, turns, get_peer);
  }
}

}  // namespace varve::cli::cache_bench

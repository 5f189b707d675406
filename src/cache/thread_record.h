// What the cache keeps for each thread: a lane of counters and the words that say which entries its
// handles need.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace varve::cache {

struct Pinned;

// What two threads write lies at least so far apart: processors fetch cache lines in pairs.
inline constexpr std::size_t kApart = 128;

// Lives for ever and passes to another thread when its own ends, so that handles may be let go of
// by any thread at any time.
struct alignas(kApart) ThreadRecord {
  static constexpr std::size_t kWords = 8;
  static constexpr std::size_t kLanes = 32;

  std::array<std::atomic<Pinned*>, kWords> words{};
  // Number among the records, from 0; kLanes - 1 for all that come late.
  std::size_t lane = 0;
  std::atomic<bool> taken{true};
  ThreadRecord* next = nullptr;

  bool has_lane_alone() const { return lane != kLanes - 1; }
  // A word that no handle uses; null: there is none. Acquires what another thread did with a handle
  // that it let go of.
  std::atomic<Pinned*>* free_word() {
    for (auto& word : words) {
      if (word.load(std::memory_order_acquire) == nullptr) return &word;
    }
    return nullptr;
  }
};

extern constinit thread_local ThreadRecord* known_record __attribute__((tls_model("initial-exec")));
ThreadRecord& find_record();
// Of the calling thread.
inline ThreadRecord& this_thread_record() {
  ThreadRecord* known = known_record;
  return known != nullptr ? *known : find_record();
}
// All records that were ever made.
ThreadRecord* first_thread_record();

}  // namespace varve::cache

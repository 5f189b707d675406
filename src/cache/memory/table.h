// Hashes to slots: open addressing that readers search without a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/policy.h"

namespace varve::cache {

// A cell is the upper half of a hash and a slot. One writer at a time. A search beside a writer may
// miss an entry that moves; `changes` tells, and the searcher asks again under the writer's lock.
class Table {
 public:
  Table() { tables_.push_back(make(kCellsMin)), current_.store(tables_.back().get()); }

  // Calls `matches(slot)` for each slot whose cell fits `hash` until it returns true, and returns
  // whether it did.
  template <typename Matches>
  bool search(std::uint64_t hash, const Matches& matches) const {
    const Cells& cells = *current_.load(std::memory_order_acquire);
    // Ends: at most three quarters of the cells are full.
    for (std::size_t i = hash & cells.mask;; i = (i + 1) & cells.mask) {
      const std::uint64_t cell = cells.at[i].load(std::memory_order_acquire);
      if (cell == 0) return false;
      if ((cell ^ hash) >> 32 == 0 && matches(slot_in(cell))) return true;
    }
  }
  // Odd while a writer is at work.
  std::uint32_t changes() const { return changes_.load(std::memory_order_acquire); }

  // Writer. REQUIRES: `slot` is not in it. `hash_of(slot)` gives the hash of any slot in it.
  template <typename HashOf>
  void insert(std::uint64_t hash, SlotId slot, const HashOf& hash_of) {
    const Change change(changes_);
    if (4 * (count_ + 1) > 3 * (current_.load()->mask + 1)) grow(hash_of);
    place(*current_.load(), hash, slot);
    ++count_;
  }
  // Writer. Puts `now` where `before` stands; both have `hash`.
  void replace(std::uint64_t hash, SlotId before, SlotId now) {
    Cells& cells = *current_.load();
    cells.at[find(cells, hash, before)].store(cell_of(hash, now), std::memory_order_release);
  }
  // Writer. REQUIRES: `slot` is in it with `hash`.
  template <typename HashOf>
  void remove(std::uint64_t hash, SlotId slot, const HashOf& hash_of) {
    const Change change(changes_);
    Cells& cells = *current_.load();
    std::size_t hole = find(cells, hash, slot);
    // Entries behind the hole move up if that is nearer to where they belong (Knuth 6.4, R).
    for (std::size_t i = (hole + 1) & cells.mask;; i = (i + 1) & cells.mask) {
      const std::uint64_t cell = cells.at[i].load(std::memory_order_relaxed);
      if (cell == 0) break;
      const std::size_t home = hash_of(slot_in(cell)) & cells.mask;
      if (((i - home) & cells.mask) < ((i - hole) & cells.mask)) continue;
      cells.at[hole].store(cell, std::memory_order_release);
      hole = i;
    }
    cells.at[hole].store(0, std::memory_order_release);
    --count_;
  }

  std::size_t size() const { return count_; }
  // Tables that were outgrown stay for readers that still search them: together less than the
  // current one.
  std::size_t resident_bytes() const { return 2 * 8 * (current_.load()->mask + 1); }

 private:
  static constexpr std::size_t kCellsMin = 64;

  struct Cells {
    std::size_t mask = 0;
    std::unique_ptr<std::atomic<std::uint64_t>[]> at;
  };
  class Change {
   public:
    explicit Change(std::atomic<std::uint32_t>& count) : count_(count) { count_.fetch_add(1); }
    ~Change() { count_.fetch_add(1, std::memory_order_release); }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    std::atomic<std::uint32_t>& count_;
  };

  static std::unique_ptr<Cells> make(std::size_t count) {
    auto cells = std::make_unique<Cells>();
    cells->mask = count - 1;
    cells->at = std::make_unique<std::atomic<std::uint64_t>[]>(count);
    return cells;
  }
  static std::uint64_t cell_of(std::uint64_t hash, SlotId slot) {
    return (hash >> 32 << 32) | (std::uint64_t{slot} + 1);
  }
  static SlotId slot_in(std::uint64_t cell) { return static_cast<SlotId>(cell) - 1; }
  static void place(Cells& cells, std::uint64_t hash, SlotId slot) {
    std::size_t i = hash & cells.mask;
    while (cells.at[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & cells.mask;
    cells.at[i].store(cell_of(hash, slot), std::memory_order_release);
  }
  static std::size_t find(const Cells& cells, std::uint64_t hash, SlotId slot) {
    std::size_t i = hash & cells.mask;
    while (cells.at[i].load(std::memory_order_relaxed) != cell_of(hash, slot)) {
      i = (i + 1) & cells.mask;
    }
    return i;
  }
  template <typename HashOf>
  void grow(const HashOf& hash_of) {
    const Cells& old = *current_.load();
    tables_.push_back(make(2 * (old.mask + 1)));
    for (std::size_t i = 0; i <= old.mask; ++i) {
      const std::uint64_t cell = old.at[i].load(std::memory_order_relaxed);
      if (cell != 0) place(*tables_.back(), hash_of(slot_in(cell)), slot_in(cell));
    }
    current_.store(tables_.back().get(), std::memory_order_release);
  }

  std::atomic<Cells*> current_{nullptr};
  std::atomic<std::uint32_t> changes_{0};
  std::size_t count_ = 0;
  std::vector<std::unique_ptr<Cells>> tables_;
};

}  // namespace varve::cache

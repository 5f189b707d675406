// Hashes to entries, searched by readers without a lock.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "cache/memory/entry.h"
#include "cache/memory/huge_pages.h"

namespace varve::cache {

// Buckets of half a cache line: a word with six tags (one byte of the hash each, 0: empty) and the
// number of entries that found the bucket full and went on to the next; the places of six entries
// in their slab, which take half as much as addresses would. Nothing moves while a table lasts, so
// a search misses what is there only while it is replaced or while the table grows; `changes`
// tells, and the searcher asks again under the writer's lock. One writer at a time.
class Table {
 public:
  explicit Table(const Slab& slab) : slab_(slab) {
    tables_.push_back(std::make_unique<Buckets>(kBucketsMin));
    current_.store(tables_.back().get());
  }

  // The first entry of the bucket of `hash` whose tag fits: nearly always the one that is sought,
  // if it is there. Null: there is none.
  Entry* likely(std::uint64_t hash) const {
    const Buckets& buckets = *current_.load(std::memory_order_acquire);
    const Bucket& bucket = buckets.at[hash & buckets.mask];
    const std::uint64_t fits =
        cells_that_fit(bucket.word.load(std::memory_order_acquire), kOnes * tag_of(hash));
    if (fits == 0) return nullptr;
    return slab_.entry_at(
        bucket.places.data()[std::countr_zero(fits) / 8].load(std::memory_order_acquire));
  }

  // Calls `matches(entry)` for entries whose tag fits `hash` until it returns true, and returns
  // whether it did.
  template <typename Matches>
  bool search(std::uint64_t hash, const Matches& matches) const {
    const Buckets& buckets = *current_.load(std::memory_order_acquire);
    const std::uint64_t tags = kOnes * tag_of(hash);
    // Keys chosen to collide can overrun every bucket: ends after one round.
    std::size_t i = hash & buckets.mask;
    for (std::size_t looked = 0; looked <= buckets.mask; ++looked, i = (i + 1) & buckets.mask) {
      const Bucket& bucket = buckets.at[i];
      const std::uint64_t word = bucket.word.load(std::memory_order_acquire);
      std::uint64_t fits = cells_that_fit(word, tags);
      for (; fits != 0; fits &= fits - 1) {
        const unsigned cell = static_cast<unsigned>(std::countr_zero(fits)) / 8;
        Entry* entry = slab_.entry_at(bucket.places[cell].load(std::memory_order_acquire));
        if (entry != nullptr && matches(*entry)) return true;
      }
      if (word >> kOverranShift == 0) return false;
    }
    return false;
  }
  // Odd while a search may miss what is there.
  std::uint32_t changes() const { return changes_.load(std::memory_order_acquire); }

  // Writer. REQUIRES: not in it.
  void insert(Entry& entry) {
    if (count_ + 1 > kFill * (current_.load()->mask + 1)) grow();
    place(*current_.load(), entry);
    ++count_;
  }
  // Writer. Puts `now` where `before` stands; they have the same hash.
  void replace(const Entry& before, Entry& now) {
    const Change change(changes_);
    Buckets& buckets = *current_.load();
    for (std::size_t i = now.hash() & buckets.mask;; i = (i + 1) & buckets.mask) {
      const unsigned cell = cell_with(buckets.at[i], before);
      if (cell == kCells) continue;
      buckets.at[i].places[cell].store(Slab::place_of(now.slot()), std::memory_order_release);
      return;
    }
  }
  // Writer. REQUIRES: in it.
  void remove(const Entry& entry) {
    Buckets& buckets = *current_.load();
    --count_;
    for (std::size_t i = entry.hash() & buckets.mask;; i = (i + 1) & buckets.mask) {
      Bucket& bucket = buckets.at[i];
      const unsigned cell = cell_with(bucket, entry);
      const std::uint64_t word = bucket.word.load(std::memory_order_relaxed);
      if (cell < kCells) {
        bucket.word.store(word & ~(std::uint64_t{0xFF} << 8 * cell), std::memory_order_release);
        // A search may take an empty cell for one with tag 1.
        bucket.places[cell].store(0, std::memory_order_release);
        return;
      }
      // One entry less that went past here; so many that they cannot be counted stay for ever.
      if (word >> kOverranShift == kOverranMax) continue;
      bucket.word.store(word - kOverranOne, std::memory_order_release);
    }
  }
  // Writer. Every entry in it.
  template <typename Take>
  void each(const Take& take) const {
    each_of(*current_.load(), take);
  }

  std::size_t size() const { return count_; }
  // Tables that were outgrown stay for readers that still search them: together less than the
  // current one.
  std::size_t resident_bytes() const { return 2 * sizeof(Bucket) * (current_.load()->mask + 1); }

 private:
  static constexpr unsigned kCells = 6;
  static constexpr std::size_t kFill = 4;  // entries a bucket, before the table grows
  static constexpr std::size_t kBucketsMin = 16;
  static constexpr std::size_t kLineBytes = 64;
  static constexpr std::uint64_t kOnes = 0x0000010101010101;  // one in each tag
  static constexpr int kOverranShift = 48;
  static constexpr std::uint64_t kOverranOne = std::uint64_t{1} << kOverranShift;
  static constexpr std::uint64_t kOverranMax = 0xFFFF;

  struct alignas(32) Bucket {
    std::atomic<std::uint64_t> word{0};
    std::array<std::atomic<EntryPlace>, kCells> places{};  // 0 in a cell that is empty
  };
  static_assert(sizeof(Bucket) == 32);
  struct Buckets {
    explicit Buckets(std::size_t count)
        : mask(count - 1),
          align{std::max(kLineBytes, std::min(count * sizeof(Bucket), kHugePageBytes))},
          at(static_cast<Bucket*>(::operator new(count * sizeof(Bucket), align))) {
      wish_for_huge_pages(at, count * sizeof(Bucket));
      std::uninitialized_default_construct_n(at, count);
    }
    ~Buckets() { ::operator delete(at, align); }
    Buckets(const Buckets&) = delete;
    Buckets& operator=(const Buckets&) = delete;

    const std::size_t mask;
    const std::align_val_t align;
    Bucket* const at;
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

  // From bits that choose neither the bucket nor the shard.
  static std::uint64_t tag_of(std::uint64_t hash) {
    const std::uint64_t tag = hash >> 40 & 0xFF;
    return tag == 0 ? 1 : tag;
  }
  // The highest bit of each byte that equals the tag, and now and then of one above it.
  static std::uint64_t cells_that_fit(std::uint64_t word, std::uint64_t tags) {
    const std::uint64_t different = word ^ tags;
    return (different - kOnes) & ~different & kOnes << 7;
  }
  static unsigned cell_with(const Bucket& bucket, const Entry& entry) {
    const std::uint64_t word = bucket.word.load(std::memory_order_relaxed);
    const EntryPlace place = Slab::place_of(entry.slot());
    unsigned cell = 0;
    while (cell < kCells && ((word >> 8 * cell & 0xFF) == 0 ||
                             bucket.places[cell].load(std::memory_order_relaxed) != place)) {
      ++cell;
    }
    return cell;
  }
  static void place(Buckets& buckets, Entry& entry) {
    for (std::size_t i = entry.hash() & buckets.mask;; i = (i + 1) & buckets.mask) {
      Bucket& bucket = buckets.at[i];
      const std::uint64_t word = bucket.word.load(std::memory_order_relaxed);
      for (unsigned cell = 0; cell < kCells; ++cell) {
        if ((word >> 8 * cell & 0xFF) != 0) continue;
        bucket.places[cell].store(Slab::place_of(entry.slot()), std::memory_order_release);
        bucket.word.store(word | tag_of(entry.hash()) << 8 * cell, std::memory_order_release);
        return;
      }
      if (word >> kOverranShift == kOverranMax) continue;
      bucket.word.store(word + kOverranOne, std::memory_order_release);
    }
  }
  template <typename Take>
  void each_of(const Buckets& buckets, const Take& take) const {
    for (std::size_t i = 0; i <= buckets.mask; ++i) {
      const Bucket& bucket = buckets.at[i];
      const std::uint64_t word = bucket.word.load(std::memory_order_relaxed);
      for (unsigned cell = 0; cell < kCells; ++cell) {
        if ((word >> 8 * cell & 0xFF) != 0) take(*slab_.entry_at(bucket.places[cell].load()));
      }
    }
  }
  void grow() {
    const Change change(changes_);
    const Buckets& old = *current_.load();
    auto larger = std::make_unique<Buckets>(2 * (old.mask + 1));
    each_of(old, [&](Entry& entry) { place(*larger, entry); });
    current_.store(larger.get(), std::memory_order_release);
    tables_.push_back(std::move(larger));
  }

  const Slab& slab_;
  std::atomic<Buckets*> current_{nullptr};
  std::atomic<std::uint32_t> changes_{0};
  std::size_t count_ = 0;
  std::vector<std::unique_ptr<Buckets>> tables_;
};

}  // namespace varve::cache

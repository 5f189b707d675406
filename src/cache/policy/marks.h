// One byte a slot that hits write without a lock.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "varve/cache/policy.h"

namespace varve::cache {

// Bytes by slot in chunks that double, so that growth never moves a byte that a hit may be writing.
// raise() may be called by any thread at any time; everything else by one at a time. All accesses
// are relaxed: a mark is a hint, and of two that collide one may be lost.
class Marks {
 public:
  Marks() = default;
  ~Marks() {
    for (std::size_t width = 1; width < zeros_.size(); ++width) {
      if (zeros_[width] != 0) delete[] mark_at(zeros_[width], first_of(width));
    }
  }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  // Makes room for `slot` and sets its mark.
  void insert(SlotId slot, std::uint8_t mark) {
    const std::uint64_t place = place_of(slot);
    const auto width = static_cast<std::size_t>(std::bit_width(place));
    if (zeros_[width].load(std::memory_order_relaxed) == 0) {
      const std::size_t size = first_of(width);
      const auto begin = reinterpret_cast<std::uintptr_t>(std::make_unique<Mark[]>(size).release());
      resident_bytes_ += size;
      zeros_[width].store(begin - first_of(width) * sizeof(Mark), std::memory_order_release);
    }
    set(slot, mark);
  }

  // Adds one up to `most`; writes only what changes, so that cores can share hot marks.
  // No effect on a slot that was never inserted; harmless on one that is gone.
  void raise(SlotId slot, std::uint8_t most) {
    const std::uint64_t place = place_of(slot);
    const std::uintptr_t zero =
        zeros_.data()[std::bit_width(place)].load(std::memory_order_acquire);
    if (zero == 0) return;
    Mark& mark = *mark_at(zero, place);
    const std::uint8_t value = mark.load(std::memory_order_relaxed);
    if (value < most) mark.store(static_cast<std::uint8_t>(value + 1), std::memory_order_relaxed);
  }

  // REQUIRES: `slot` was inserted.
  std::uint8_t get(SlotId slot) const { return at(slot).load(std::memory_order_relaxed); }
  void set(SlotId slot, std::uint8_t mark) { at(slot).store(mark, std::memory_order_relaxed); }

  std::size_t resident_bytes() const { return resident_bytes_; }

 private:
  using Mark = std::atomic<std::uint8_t>;

  static constexpr std::uint64_t kFirstChunk = 64;

  // No place is below the size of the first chunk; places whose numbers have as many bits are one
  // chunk.
  static std::uint64_t place_of(SlotId slot) { return slot + kFirstChunk; }
  // Also how many there are. REQUIRES: width > 0.
  static std::uint64_t first_of(std::size_t width) { return std::uint64_t{1} << (width - 1); }
  static Mark* mark_at(std::uintptr_t zero, std::uint64_t place) {
    return reinterpret_cast<Mark*>(zero + place * sizeof(Mark));
  }
  Mark& at(SlotId slot) const {
    const std::uint64_t place = place_of(slot);
    return *mark_at(zeros_.data()[std::bit_width(place)].load(std::memory_order_relaxed), place);
  }

  // Of each chunk, where place 0 would lie if it went on to there; 0: there is no such chunk.
  // Enough for every SlotId.
  std::array<std::atomic<std::uintptr_t>, std::numeric_limits<SlotId>::digits + 2> zeros_{};
  std::size_t resident_bytes_ = 0;
};

}  // namespace varve::cache

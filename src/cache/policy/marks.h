// One byte a slot that hits write without a lock.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
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
    for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
  }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  // Makes room for `slot` and sets its mark.
  void insert(SlotId slot, std::uint8_t mark) {
    const Place place = place_of(slot);
    if (chunks_[place.chunk].load(std::memory_order_relaxed) == nullptr) {
      auto chunk = std::make_unique<Mark[]>(chunk_size(place.chunk));
      resident_bytes_ += chunk_size(place.chunk);
      chunks_[place.chunk].store(chunk.release(), std::memory_order_release);
    }
    set(slot, mark);
  }

  // Adds one up to `most`; writes only what changes, so that cores can share hot marks.
  // No effect on a slot that was never inserted; harmless on one that is gone.
  void raise(SlotId slot, std::uint8_t most) {
    const Place place = place_of(slot);
    Mark* const chunk = chunks_[place.chunk].load(std::memory_order_acquire);
    if (chunk == nullptr) return;
    Mark& mark = chunk[place.offset];
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
  static constexpr int kFirstWidth = std::bit_width(kFirstChunk);

  struct Place {
    std::size_t chunk, offset;
  };

  static std::size_t chunk_size(std::size_t chunk) { return kFirstChunk << chunk; }
  // Chunk n begins at slot (2^n - 1) * kFirstChunk.
  static Place place_of(SlotId slot) {
    const std::uint64_t shifted = slot + kFirstChunk;
    const auto chunk = static_cast<std::size_t>(std::bit_width(shifted) - kFirstWidth);
    return {chunk, shifted - chunk_size(chunk)};
  }
  Mark& at(SlotId slot) const {
    const Place place = place_of(slot);
    return chunks_[place.chunk].load(std::memory_order_relaxed)[place.offset];
  }

  // Enough for every SlotId.
  std::array<std::atomic<Mark*>, 33 - kFirstWidth + 1> chunks_{};
  std::size_t resident_bytes_ = 0;
};

}  // namespace varve::cache

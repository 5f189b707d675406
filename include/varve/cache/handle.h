// A value that a cache keeps, borrowed without a copy.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <utility>

namespace varve::cache {

// What keeps the bytes of a handle alive: a count and flags in one word. The lowest 25 bits count
// pins.
// Live: in its tier, pinning is allowed. Dying: taken out and needed by counted handles only, to be
// given back by whoever lets go last. Neither: free, being filled, or taken out a moment ago; pins
// that come then are mistakes of readers without a lock and go away again.
struct Pinned {
  static constexpr std::uint32_t kLive = std::uint32_t{1} << 31;
  static constexpr std::uint32_t kDying = std::uint32_t{1} << 30;
  // Belongs to handles only: given back by deleting it, not by a tier.
  static constexpr std::uint32_t kAlone = std::uint32_t{1} << 29;
  // For tiers; they mean nothing here.
  static constexpr std::uint32_t kMarkOne = std::uint32_t{1} << 25;
  static constexpr std::uint32_t kMarks = 15 * kMarkOne;

  std::atomic<std::uint32_t> state{0};

  // REQUIRES: the caller holds a pin already.
  void pin_again() { count_pin(std::memory_order_relaxed); }
  // Ends the process long before the count runs over: the handles alone would take most of a
  // gigabyte.
  void count_pin(std::memory_order order) {
    constexpr std::uint32_t kPinsMax = kMarkOne / 2;
    if ((state.fetch_add(1, order) & (kMarkOne - 1)) >= kPinsMax) std::abort();
  }
  // Whoever takes the last pin of a dying one off makes it free in the same step; nobody else
  // touches it afterwards.
  void unpin() {
    constexpr std::uint32_t kStays = kAlone | kMarks;
    std::uint32_t seen = state.load(std::memory_order_relaxed);
    while (true) {
      const bool last = (seen & ~kStays) == (kDying | 1);
      const std::uint32_t next = last ? seen & kStays : seen - 1;
      if (!state.compare_exchange_weak(seen, next, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
        continue;
      }
      if (last) give_back();
      return;
    }
  }
  // Of one that was taken out. True: no counted handle needs it and it is free now; false: the last
  // of them makes it so.
  bool start_dying() {
    std::uint32_t seen = state.fetch_or(kDying, std::memory_order_acq_rel) | kDying;
    while ((seen & ~kMarks) == kDying) {
      if (state.compare_exchange_weak(seen, seen & kMarks, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

 private:
  void give_back();
};

// Immutable bytes with shared ownership. They stay as they are while the handle lives, also when
// the entry is evicted, replaced or removed, and when the tier it came from is gone. Copying
// shares. Not for two threads at once; copies of it are.
class Handle {
 public:
  Handle() = default;  // empty: a miss
  // Copies.
  static Handle copy_of(std::span<const std::byte> bytes);
  // Borrows from `owner`, which keeps `bytes` alive.
  static Handle borrow(std::shared_ptr<const void> owner, std::span<const std::byte> bytes);
  // A block of `bytes` on a 64-byte boundary for the caller to fill before it shares the handle.
  static Handle make(std::size_t bytes, std::span<std::byte>& to_fill);

  // For tiers: `pin` is handed over. `method` and `raw_bytes` as below. With a `word`, the entry is
  // announced there (cache/memory/hazard.h) instead of being counted.
  Handle(Pinned* pin, std::span<const std::byte> bytes, std::uint8_t method,
         std::uint64_t raw_bytes, std::atomic<Pinned*>* word = nullptr, std::int64_t expires_ms = 0)
      : pin_(pin),
        word_(word),
        data_(bytes.data()),
        size_(bytes.size()),
        raw_size_(raw_bytes),
        expires_ms_(expires_ms),
        method_(method) {}

  Handle(const Handle& other)
      : pin_(other.pin_),
        data_(other.data_),
        size_(other.size_),
        raw_size_(other.raw_size_),
        expires_ms_(other.expires_ms_),
        method_(other.method_) {
    if (pin_ != nullptr) pin_->pin_again();
  }
  Handle(Handle&& other) noexcept
      : pin_(std::exchange(other.pin_, nullptr)),
        word_(std::exchange(other.word_, nullptr)),
        data_(other.data_),
        size_(other.size_),
        raw_size_(other.raw_size_),
        expires_ms_(other.expires_ms_),
        method_(other.method_) {}
  Handle& operator=(const Handle& other) {
    if (this != &other) *this = Handle(other);
    return *this;
  }
  Handle& operator=(Handle&& other) noexcept {
    if (this == &other) return *this;
    let_go();
    pin_ = std::exchange(other.pin_, nullptr);
    word_ = std::exchange(other.word_, nullptr);
    data_ = other.data_;
    size_ = other.size_;
    raw_size_ = other.raw_size_;
    expires_ms_ = other.expires_ms_;
    method_ = other.method_;
    return *this;
  }
  ~Handle() { let_go(); }

  explicit operator bool() const { return pin_ != nullptr; }
  Pinned* pinned() const { return pin_; }  // for tiers
  // As stored: the value itself, or what codec::Method `method()` made of its raw_bytes() bytes.
  // What LayeredCache returns is always the value itself.
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::uint8_t method() const { return method_; }  // 0: the value itself
  std::uint64_t raw_bytes() const { return raw_size_; }
  // When the value stops counting, in milliseconds since 1970; 0: never.
  std::int64_t expires_ms() const { return expires_ms_; }
  void set_expires_ms(std::int64_t at) { expires_ms_ = at; }
  void set_encoding(std::uint8_t method, std::uint64_t raw_bytes) {
    method_ = method;
    raw_size_ = raw_bytes;
  }
  // Narrows the handle to a part of its bytes, which becomes the value itself.
  // REQUIRES: offset + size <= bytes().size().
  void keep_part(std::size_t offset, std::size_t size) {
    data_ += offset;
    size_ = size;
    raw_size_ = size;
    method_ = 0;
  }

 private:
  void let_go() {
    if (word_ != nullptr) {
      word_->store(nullptr, std::memory_order_release);
    } else if (pin_ != nullptr) {
      pin_->unpin();
    }
  }

  Pinned* pin_ = nullptr;
  std::atomic<Pinned*>* word_ = nullptr;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t raw_size_ = 0;
  std::int64_t expires_ms_ = 0;
  std::uint8_t method_ = 0;
};

}  // namespace varve::cache

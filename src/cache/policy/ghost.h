// Hashes of entries that were evicted not long ago.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace varve::cache {

// Holds about the last `capacity` hashes added, each with a note, in 8 bytes each: buckets of
// eight, newest first, in which the oldest gives way. Knows 32 bits of a hash: among a million, one
// in 4,000 strangers is taken for an acquaintance. One thread.
class Ghost {
 public:
  struct Note {
    bool from_main = false;
    std::uint32_t stamp = 0;  // 30 bits
  };
  static constexpr std::uint32_t kStampMask = (1U << 30) - 1;

  // Keeps what fits. Follows in steps of a quarter, so that it can be called at each addition.
  void set_capacity(std::size_t capacity) {
    const std::size_t room = buckets_.size() * kWays;
    if (capacity <= room && capacity >= room / 2) return;
    std::vector<Bucket> old((capacity + capacity / 4) / kWays + 1);
    old.swap(buckets_);
    for (const Bucket& bucket : old) {
      for (std::size_t i = kWays; i-- > 0;) {
        if (bucket[i].held()) place(bucket[i]);
      }
    }
  }

  // REQUIRES: set_capacity() was called.
  void add(std::uint64_t hash, Note note) {
    const std::uint32_t bits = note.stamp << 2 | (note.from_main ? 2U : 0U) | 1U;
    place({static_cast<std::uint32_t>(hash), bits});
  }

  // Its note if it was held; it is not afterwards.
  std::optional<Note> take(std::uint64_t hash) {
    const auto known = static_cast<std::uint32_t>(hash);
    if (buckets_.empty()) return std::nullopt;
    Bucket& bucket = bucket_of(known);
    const auto found = std::find_if(bucket.begin(), bucket.end(), [known](const Item& item) {
      return item.held() && item.hash == known;
    });
    if (found == bucket.end()) return std::nullopt;
    const Note note{(found->note & 2) != 0, found->note >> 2};
    std::move(found + 1, bucket.end(), found);
    bucket.back() = Item{};
    return note;
  }

  std::size_t resident_bytes() const { return buckets_.capacity() * sizeof(Bucket); }

 private:
  static constexpr std::size_t kWays = 8;

  struct Item {
    std::uint32_t hash = 0;
    std::uint32_t note = 0;  // stamp, from_main, 1; 0: empty

    bool held() const { return note != 0; }
  };
  using Bucket = std::array<Item, kWays>;

  Bucket& bucket_of(std::uint32_t hash) {
    return buckets_[static_cast<std::size_t>(std::uint64_t{hash} * buckets_.size() >> 32)];
  }
  void place(const Item& item) {
    Bucket& bucket = bucket_of(item.hash);
    std::move_backward(bucket.begin(), bucket.end() - 1, bucket.end());
    bucket.front() = item;
  }

  std::vector<Bucket> buckets_;
};

}  // namespace varve::cache

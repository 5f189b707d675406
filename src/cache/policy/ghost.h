// Hashes of entries that were evicted not long ago.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace varve::cache {

// Holds about the last `capacity` hashes added: buckets of four with the time of adding (counted in
// adds); in a full bucket the oldest gives way. 32 to 64 bytes for each hash of the capacity.
class Ghost {
 public:
  // Keeps what fits; cheap while the power of two stays that the capacity is rounded up to.
  void set_capacity(std::size_t capacity) {
    capacity_ = capacity;
    const std::size_t buckets = std::bit_ceil(std::max<std::size_t>(1, capacity / 2));
    if (buckets == buckets_.size()) return;
    std::vector<Bucket> old(buckets);
    old.swap(buckets_);
    for (const Bucket& bucket : old) {
      for (const Item& item : bucket.items) {
        if (item.time != 0) place(item);
      }
    }
  }

  void add(std::uint64_t hash) {
    if (capacity_ == 0) return;
    place({hash, ++now_});
  }

  // Whether it was held; it is not afterwards.
  bool take(std::uint64_t hash) {
    if (capacity_ == 0) return false;
    for (Item& item : bucket_of(hash).items) {
      if (item.time == 0 || item.hash != hash) continue;
      const bool recent = now_ - item.time < capacity_;
      item.time = 0;
      return recent;
    }
    return false;
  }

  std::size_t resident_bytes() const { return buckets_.capacity() * sizeof(Bucket); }

 private:
  struct Item {
    std::uint64_t hash = 0;
    std::uint64_t time = 0;  // 0: empty
  };
  struct Bucket {
    Item items[4];
  };

  Bucket& bucket_of(std::uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }
  void place(const Item& item) {
    Bucket& bucket = bucket_of(item.hash);
    *std::min_element(std::begin(bucket.items), std::end(bucket.items),
                      [](const Item& a, const Item& b) { return a.time < b.time; }) = item;
  }

  std::vector<Bucket> buckets_;
  std::size_t capacity_ = 0;
  std::uint64_t now_ = 0;
};

}  // namespace varve::cache

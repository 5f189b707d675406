// How often keys were asked for of late, in four bits a counter.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace varve::cache {

// Count-min sketch of four rows with conservative bounds of 15; all counters are halved after
// some uses an entry, so that what was popular fades (Einziger et al., TinyLFU, ACM TOS 2017).
// Eight bytes an entry. One thread.
class FrequencySketch {
 public:
  explicit FrequencySketch(std::size_t uses_per_halving = 10)
      : uses_per_halving_(uses_per_halving), halve_after_(uses_per_halving * 8) {}

  // Grows to `entries`; what is known stays.
  void reserve(std::size_t entries) {
    const std::size_t words = std::bit_ceil(std::max<std::size_t>(8, entries));
    if (words <= words_.size()) return;
    const std::size_t old = words_.size();
    words_.resize(words);
    // A key's word is the low bits of its hash: each new half starts as a copy of the old.
    for (std::size_t i = old; old > 0 && i < words; ++i) words_[i] = words_[i & (old - 1)];
    halve_after_ = uses_per_halving_ * words;
  }

  void add(std::uint64_t hash) {
    bool added = false;
    for (unsigned row = 0; row < kRows; ++row) added |= raise(place_of(hash, row));
    if (added && ++uses_ >= halve_after_) halve();
  }

  unsigned estimate(std::uint64_t hash) const {
    unsigned least = 15;
    for (unsigned row = 0; row < kRows; ++row) {
      const Place place = place_of(hash, row);
      least = std::min(least, static_cast<unsigned>(words_[place.word] >> place.shift & 15));
    }
    return least;
  }

  std::size_t resident_bytes() const { return words_.capacity() * sizeof(std::uint64_t); }

 private:
  static constexpr unsigned kRows = 4;
  static constexpr std::array<std::uint64_t, kRows> kSeeds = {
      0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F, 0xCBF29CE484222325};

  struct Place {
    std::size_t word;
    unsigned shift;
  };

  Place place_of(std::uint64_t hash, unsigned row) const {
    const std::uint64_t mixed = (hash + kSeeds[row]) * kSeeds[row];
    const std::uint64_t spread = mixed ^ mixed >> 32;
    // Four of the 16 counters of a word belong to each row.
    return {static_cast<std::size_t>(spread & (words_.size() - 1)),
            (row * 4 + static_cast<unsigned>(mixed >> 62)) * 4};
  }
  bool raise(const Place& place) {
    if ((words_[place.word] >> place.shift & 15) == 15) return false;
    words_[place.word] += std::uint64_t{1} << place.shift;
    return true;
  }
  void halve() {
    for (std::uint64_t& word : words_) word = word >> 1 & 0x7777777777777777;
    uses_ /= 2;
  }

  std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>(8);
  std::size_t uses_per_halving_;
  std::size_t halve_after_;
  std::size_t uses_ = 0;
};

}  // namespace varve::cache

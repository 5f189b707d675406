// Which keys a segment may hold: a split-block Bloom filter.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace varve::cache {

// Blocks of 256 bits, one bit in each of eight words: the layout of Apache Parquet. About 12 bits a
// key, of which 0.5 % of the others pass. A look-up reads one cache line.
class BlockFilter {
 public:
  using Block = std::array<std::uint32_t, 8>;

  BlockFilter() = default;
  explicit BlockFilter(std::size_t keys) : blocks_(blocks_for(keys)) {}
  explicit BlockFilter(std::vector<Block> blocks) : blocks_(std::move(blocks)) {}

  static constexpr std::size_t kBitsPerKey = 12;
  static std::size_t blocks_for(std::size_t keys) { return (keys * kBitsPerKey + 255) / 256; }

  // REQUIRES: made for at least one key.
  void add(std::uint64_t hash) {
    Block& block = blocks_[place_of(hash)];
    for (std::size_t i = 0; i < block.size(); ++i) block[i] |= bit_of(hash, i);
  }
  bool may_contain(std::uint64_t hash) const {
    if (blocks_.empty()) return false;
    const Block& block = blocks_[place_of(hash)];
    std::uint32_t missing = 0;
    for (std::size_t i = 0; i < block.size(); ++i) missing |= ~block[i] & bit_of(hash, i);
    return missing == 0;
  }
  const std::vector<Block>& blocks() const { return blocks_; }

 private:
  static constexpr std::array<std::uint32_t, 8> kSalts = {0x47b6137b, 0x44974d91, 0x8824ad5b,
                                                          0xa2b7289d, 0x705495c7, 0x2df1424b,
                                                          0x9efc4947, 0x5c6bfb31};

  std::size_t place_of(std::uint64_t hash) const {
    return static_cast<std::size_t>((hash >> 32) * blocks_.size() >> 32);
  }
  static std::uint32_t bit_of(std::uint64_t hash, std::size_t word) {
    return std::uint32_t{1} << (static_cast<std::uint32_t>(hash) * kSalts[word] >> 27);
  }

  std::vector<Block> blocks_;
};

}  // namespace varve::cache

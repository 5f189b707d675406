// One bit a dimension: the signs of a rotated row about the centroid of its cluster, with a few
// numbers that turn them into an estimate of a distance and a bound of its error (RaBitQ: Gao and
// Long, SIGMOD 2024). Rows stand in blocks of 32, so that byte shuffles look four dimensions of all
// of them up at once (Andre, Kermarrec and Le Scouarnec, VLDB 2015).
//
// A block is padded_dim / 4 groups of 16 bytes: byte i of a group holds four dimensions of row i in
// its low half and of row i + 16 in its high half, bit j set where dimension 4 * group + j is not
// below 0. Then 32 float32 `add`, 32 bf16 `rescale`, 32 bf16 `error`. A block for two steps goes on
// with the same three of the first sign_first_dim() dimensions alone: most blocks hold no row that
// these leave within the bounds, so that the rest of their codes is not read. The bytes are stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace varve::kernels {

inline constexpr std::size_t kSignBlockRows = 32;

// In how many steps a block can be looked at.
enum class SignSteps : std::uint8_t { one = 1, two = 2 };

// Dimensions of the first of two steps. Blocks for two are of 128 dimensions or more.
constexpr std::uint32_t sign_first_dim(std::uint32_t padded_dim) { return padded_dim / 128 * 64; }

inline constexpr std::size_t kSignFactorBytes = kSignBlockRows * 8;

// `padded_dim`: a multiple of 64, up to 4096.
constexpr std::size_t sign_block_bytes(std::uint32_t padded_dim, SignSteps steps = SignSteps::one) {
  return std::size_t{padded_dim} * 4 + kSignFactorBytes * static_cast<std::size_t>(steps);
}

// Puts a row into place `place` of `block`, which was zeroed before its first row. `rotated` is the
// rotated difference of row and centroid, `rotated_centroid` what its name says; padded_dim values
// each. A row that equals its centroid is no special case.
void encode_signs(const float* rotated, const float* rotated_centroid, std::uint32_t padded_dim,
                  std::size_t place, std::byte* block, SignSteps steps = SignSteps::one);

// Puts `count` rows, padded_dim values each, into blocks for one step from the first place on. The
// blocks were zeroed. The same bytes on every target.
void encode_sign_rows(const float* rotated, std::size_t count, const float* rotated_centroid,
                      std::uint32_t padded_dim, std::byte* blocks);

// Eight entries of a table fit into a byte. More steps would not help: the estimate of a row is ten
// times as far off as these.
inline constexpr float kSignEntryMax = 31;

// What one query needs to estimate distances to rows of any cluster. One thread; kept from query to
// query for its memory.
class SignTable {
 public:
  // `rotated`: the rotated query, padded_dim values.
  void set(const float* rotated, std::uint32_t padded_dim);

  std::uint32_t padded_dim() const { return padded_dim_; }
  const std::uint8_t* entries() const { return entries_.data(); }  // 16 a group
  // sum_j q_j s_j = base() + step() * (sum of entries), within a little more than step() / 2 a
  // group.
  float base() const { return base_; }
  float step() const { return step_; }
  // base() of the first sign_first_dim() dimensions.
  float first_base() const { return first_base_; }

 private:
  std::uint32_t padded_dim_ = 0;
  float base_ = 0, first_base_ = 0, step_ = 0;
  std::vector<std::uint8_t> entries_;
};

// A row whose distance may be at most the limit. What overflows float32 has the bounds -infinity
// and infinity.
struct SignHit {
  float lower;     // of the squared distance, but for a few in a thousand
  float estimate;  // of the squared distance
  std::uint32_t row;

  float upper() const { return estimate + (estimate - lower); }
};

// Looks at `rows` rows in the blocks from `blocks` on, which is 64-byte aligned, and writes those
// with lower <= limit to `hits`, in order; there must be room for all. Returns how many.
// `to_centroid`: the squared distance from the query to the centroid.
std::size_t scan_signs(const SignTable& table, const std::byte* blocks, std::size_t rows,
                       float to_centroid, float limit, SignHit* hits);

// Estimates and lower bounds of `rows` rows, rounded up to whole blocks; both arrays have room for
// that. What lies beyond the rows says nothing; what overflows float32 may be NaN.
void estimate_signs(const SignTable& table, const std::byte* blocks, std::size_t rows,
                    float to_centroid, float* estimates, float* lowers);

// The least upper bounds seen so far: a row whose lower bound is beyond the k-th is not among the k
// nearest, as far as bounds hold. One thread; kept from query to query for its memory, k floats.
class UpperBounds {
 public:
  // Forgets all. REQUIRES: k > 0.
  void reset(std::size_t k) {
    limit_ = std::numeric_limits<float>::infinity();
    bounds_.assign(k, limit_);
  }
  float limit() const { return limit_; }
  void add(float upper) {
    if (!(upper < limit_)) return;
    if (bounds_.size() > kSortedMax) return replace_largest(upper);
    std::size_t at = bounds_.size() - 1;
    for (; at > 0 && bounds_[at - 1] > upper; --at) bounds_[at] = bounds_[at - 1];
    bounds_[at] = upper;
    limit_ = bounds_.back();
  }

 private:
  // Up to here, moving half of the bounds is cheaper than mending a heap.
  static constexpr std::size_t kSortedMax = 48;

  void replace_largest(float upper);

  float limit_ = std::numeric_limits<float>::infinity();
  std::vector<float> bounds_;  // ascending; a heap, largest first, above kSortedMax
};

// The rows of one cluster.
struct SignCluster {
  const std::byte* blocks = nullptr;  // as scan_signs() takes them
  std::size_t rows = 0;
  float to_centroid = 0;
  std::uint32_t first_row = 0;          // the number of the first
  const std::uint64_t* skip = nullptr;  // a bit for each row that does not count, or null
  const std::byte* next = nullptr;      // blocks that will be looked at next: fetched meanwhile
  SignSteps steps = SignSteps::one;     // that the blocks are for
};

// As scan_signs() with a limit that the rows themselves tighten; blocks all of whose rows are
// skipped are not read. Hits are those whose lower bound
// was within bounds.limit() when their block was looked at. Numbers of hits count from first_row.
std::size_t scan_signs(const SignTable& table, const SignCluster& cluster, UpperBounds& bounds,
                       SignHit* hits);

}  // namespace varve::kernels

#include "kernels/top_k.h"

#include <algorithm>
#include <utility>

#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/top_k.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Bit i: distances[i] <= limit, for 64 of them. False for NaN.
std::uint64_t within(const float* distances, float limit) {
  std::uint64_t mask = 0;
#if HWY_TARGET == HWY_SCALAR
  for (std::size_t i = 0; i < 64; ++i) {
    mask |= static_cast<std::uint64_t>(distances[i] <= limit) << i;
  }
#else
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  const auto limits = hn::Set(d, limit);
  for (std::size_t i = 0; i < 64; i += kLanes) {
    std::uint8_t bits[8] = {};
    hn::StoreMaskBits(d, hn::Le(hn::LoadU(d, distances + i), limits), bits);
    mask |= static_cast<std::uint64_t>(bits[0] | bits[1] << 8) << i;
  }
#endif
  return mask;
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(within);

[[maybe_unused]] const bool kObeyed = obey_environment();

// Below this the buffer is not worth shrinking: compaction of a few entries costs more in calls
// than in work.
constexpr std::size_t kLeastSlack = 32;

std::uint64_t within_tail(const float* distances, std::size_t count, float limit) {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < count; ++i) {
    mask |= static_cast<std::uint64_t>(distances[i] <= limit) << i;
  }
  return mask;
}

}  // namespace

TopK::TopK(std::size_t k) { reset(k); }

void TopK::reset(std::size_t k) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  k_ = k;
  threshold_ = k == 0 ? -kInfinity : kInfinity;
  held_.clear();
}

void TopK::add(float distance, std::uint64_t id) {
  // Written so that NaN, which has no place in the order, never enters.
  if (k_ == 0 || !(distance <= threshold_)) return;
  held_.push_back({distance, id});
  if (held_.size() == k_ || held_.size() >= k_ + std::max(k_, kLeastSlack)) compact();
}

void TopK::compact() {
  if (k_ == 0 || held_.size() < k_) return;
  const auto last = held_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
  std::nth_element(held_.begin(), last, held_.end());
  held_.resize(k_);
  threshold_ = held_.back().distance;
}

void TopK::add_block(const float* distances, std::size_t count, std::uint64_t base_id,
                     const std::uint64_t* skip) {
  const auto find = HWY_DYNAMIC_DISPATCH(within);
  for (std::size_t first = 0; first < count; first += 64) {
    const std::size_t here = std::min<std::size_t>(64, count - first);
    std::uint64_t mask = here == 64 ? find(distances + first, threshold_)
                                    : within_tail(distances + first, here, threshold_);
    if (skip != nullptr) mask &= ~skip[first / 64];
    for (; mask != 0; mask &= mask - 1) {
      const auto i = first + static_cast<std::size_t>(__builtin_ctzll(mask));
      add(distances[i], base_id + i);
    }
  }
}

std::span<const Scored> TopK::sorted() {
  compact();
  std::sort(held_.begin(), held_.end());
  return held_;
}

std::vector<Scored> TopK::take() {
  sorted();
  std::vector<Scored> taken = std::exchange(held_, {});
  reset(k_);
  return taken;
}

std::size_t TopK::size() const { return std::min(held_.size(), k_); }

}  // namespace varve::kernels
#endif  // HWY_ONCE

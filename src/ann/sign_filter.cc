#include "ann/sign_filter.h"

#include <algorithm>
#include <limits>

namespace varve::ann {

void SignFilter::start(std::size_t k) {
  k_ = k;
  limit_ = std::numeric_limits<float>::infinity();
  uppers_.clear();
  survivors_.clear();
}

void SignFilter::add(const kernels::SignTable& table, const std::byte* blocks, std::size_t rows,
                     float to_centroid, std::uint64_t base_id, const std::uint64_t* skip) {
  if (hits_.size() < rows) hits_.resize(rows);
  const std::size_t count =
      kernels::scan_signs(table, blocks, rows, to_centroid, limit_, hits_.data());
  for (std::size_t i = 0; i < count; ++i) {
    const kernels::SignHit& hit = hits_[i];
    if (skip != nullptr && (skip[hit.row / 64] >> (hit.row % 64) & 1) != 0) continue;
    if (!(hit.lower <= limit_)) continue;
    survivors_.push_back({hit.lower, base_id + hit.row});
    offer_upper(2 * hit.estimate - hit.lower);
  }
}

void SignFilter::offer_upper(float upper) {
  if (uppers_.size() < k_) {
    // NaN, of a row without factors, bounds nothing.
    uppers_.push_back(upper == upper ? upper : std::numeric_limits<float>::infinity());
    std::push_heap(uppers_.begin(), uppers_.end());
    if (uppers_.size() == k_) limit_ = uppers_.front();
    return;
  }
  if (!(upper < uppers_.front())) return;
  std::pop_heap(uppers_.begin(), uppers_.end());
  uppers_.back() = upper;
  std::push_heap(uppers_.begin(), uppers_.end());
  limit_ = uppers_.front();
}

std::span<const SignFilter::Survivor> SignFilter::finish() {
  const float limit = limit_;
  std::erase_if(survivors_, [&](const Survivor& one) { return !(one.lower <= limit); });
  std::sort(survivors_.begin(), survivors_.end(), [](const Survivor& a, const Survivor& b) {
    return a.lower != b.lower ? a.lower < b.lower : a.id < b.id;
  });
  return survivors_;
}

}  // namespace varve::ann

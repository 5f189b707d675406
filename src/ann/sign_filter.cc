#include "ann/sign_filter.h"

namespace varve::ann {

void SignFilter::start(std::size_t k) {
  bounds_.reset(k);
  count_ = 0;
  ranges_.clear();
}

void SignFilter::add(const kernels::SignTable& table, const kernels::SignCluster& cluster,
                     std::uint64_t base_id) {
  if (hits_.size() < count_ + cluster.rows) hits_.resize(2 * (count_ + cluster.rows));
  count_ += kernels::scan_signs(table, cluster, bounds_, hits_.data() + count_);
  ranges_.push_back({count_, base_id});
}

std::span<SignFilter::Survivor> SignFilter::finish() {
  survivors_.clear();
  const float limit = bounds_.limit();
  std::size_t at = 0;
  for (const Range& range : ranges_) {
    for (; at < range.end; ++at) {
      const kernels::SignHit& hit = hits_[at];
      if (hit.lower > limit) continue;
      survivors_.push_back({hit.lower, hit.estimate, range.base_id + hit.row});
    }
  }
  return survivors_;
}

}  // namespace varve::ann

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

// Both passes write every hit and keep what belongs there: which ones do cannot be foretold.
void SignFilter::finish(std::vector<Survivor>& out) const {
  const float limit = bounds_.limit();
  std::size_t end = out.size();
  out.resize(end + count_ + 1);
  const auto append = [&](const auto& belongs) {
    std::size_t at = 0;
    for (const Range& range : ranges_) {
      for (; at < range.end; ++at) {
        const kernels::SignHit& hit = hits_[at];
        out[end] = {hit.lower, hit.estimate, range.base_id + hit.row};
        end += static_cast<std::size_t>(belongs(hit));
      }
    }
  };
  append([limit](const kernels::SignHit& hit) { return hit.upper() <= limit; });
  append([limit](const kernels::SignHit& hit) {
    return !(hit.upper() <= limit) && hit.lower <= limit;
  });
  out.resize(end);
}

}  // namespace varve::ann

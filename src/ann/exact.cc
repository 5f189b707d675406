#include "ann/exact.h"

#include <bit>

#include <fmt/format.h>

#include "base/assert.h"

namespace varve::ann {
namespace {

// Within these lengths a product of a row and a unit vector neither overflows nor loses more to
// underflow than float_error allows for.
constexpr double kNormMin = 1e-18;
constexpr double kNormMax = 1e18;

// Without a branch for each value, so that the compiler can look at several at once.
bool all_finite(std::span<const float> values) {
  unsigned bad = 0;
  for (const float value : values) {
    bad |=
        static_cast<unsigned>((std::bit_cast<std::uint32_t>(value) & 0x7F800000U) == 0x7F800000U);
  }
  return bad == 0;
}

}  // namespace

Result<Query> make_query(std::span<const float> values, std::uint32_t dim, Metric metric) {
  if (values.size() != dim) {
    return fail(ErrorKind::invalid,
                fmt::format("query has {} values, the vectors have {}", values.size(), dim));
  }
  if (!all_finite(values)) {
    const auto bad = std::find_if_not(values.begin(), values.end(),
                                      [](float value) { return std::isfinite(value); });
    return fail(ErrorKind::invalid,
                fmt::format("value {} of the query is not finite", bad - values.begin()));
  }
  Query query{metric, {values.begin(), values.end()}, {}, 0};
  if (metric == Metric::euclidean) return query;
  query.norm = std::sqrt(kernels::squared_norm_exact(values.data(), dim));
  if (query.norm == 0) {
    return fail(ErrorKind::invalid, "query is all zeros, which has no cosine");
  }
  query.unit.reserve(values.size());
  for (const float x : values) {
    query.unit.push_back(static_cast<float>(static_cast<double>(x) / query.norm));
  }
  return query;
}

std::vector<float> inverse_norms(const kernels::Rows& rows) {
  std::vector<float> inverse(rows.count);
  for (std::size_t i = 0; i < rows.count; ++i) {
    const double norm = std::sqrt(kernels::squared_norm_exact(rows, i));
    const bool sound = norm == 0 || (norm >= kNormMin && norm <= kNormMax);
    inverse[i] = !sound      ? std::numeric_limits<float>::quiet_NaN()
                 : norm == 0 ? 0.0F
                             : static_cast<float>(1 / norm);
  }
  return inverse;
}

void float_distances(const Query& query, const kernels::Rows& rows, const float* inverse,
                     float* out) {
  if (query.metric == Metric::euclidean) {
    kernels::squared_l2(query.values.data(), rows, out);
    return;
  }
  kernels::inner_product(query.unit.data(), rows, out);
  for (std::size_t i = 0; i < rows.count; ++i) out[i] = 1 - out[i] * inverse[i];
}

double exact_distance(const Query& query, const kernels::Rows& rows, std::size_t row) {
  if (query.metric == Metric::euclidean) {
    return kernels::squared_l2_exact(query.values.data(), rows, row);
  }
  const double norm = std::sqrt(kernels::squared_norm_exact(rows, row));
  if (norm == 0) return 1;
  const double product = kernels::inner_product_exact(query.values.data(), rows, row);
  return std::max(0.0, 1 - product / (query.norm * norm));
}

FloatError float_error(Metric metric, std::uint32_t dim) {
  // Twice the bound of the sum covers the rounding of the terms and of what follows; terms below
  // the smallest normal float may be lost.
  const float relative = 2 * kernels::distance_error(dim);
  const float lost = 2 * static_cast<float>(dim) * std::numeric_limits<float>::min();
  if (metric == Metric::euclidean) return {relative, lost};
  // |product| <= 1, so its error is absolute; the unit query and the inverse are rounded too, and
  // 1 - x may be as large as 2.
  const float rounding = 8 * std::numeric_limits<float>::epsilon();
  return {0, relative + rounding};
}

Contenders::Contenders(std::size_t k, FloatError error) : k_(k), error_(error) {
  VARVE_ASSERT(k > 0);
  shrink_at_ = k < (std::size_t{1} << 40) ? 2 * k + 64 : k;
}

void Contenders::add(float distance, std::uint64_t id) {
  // Not `<=`: a NaN, which says nothing about the row, stays.
  if (distance > limit_ && std::isfinite(distance)) return;
  held_.push_back({distance, id});
  if (held_.size() >= shrink_at_) shrink();
}

void Contenders::add_block(std::span<const float> distances, std::uint64_t base_id,
                           const std::uint64_t* skip) {
  for (std::size_t i = 0; i < distances.size(); ++i) {
    if (distances[i] > limit_ && std::isfinite(distances[i])) continue;
    if (skip != nullptr && (skip[i / 64] >> (i % 64) & 1) != 0) continue;
    add(distances[i], base_id + i);
  }
}

void Contenders::shrink() {
  // Rows that are not finite in float32 may lie anywhere in double, so they are set aside first.
  const auto finite = std::partition(held_.begin(), held_.end(),
                                     [](const Held& h) { return !std::isfinite(h.distance); });
  const auto sound = static_cast<std::size_t>(held_.end() - finite);
  if (sound > k_) {
    const auto kth = finite + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(finite, kth, held_.end(),
                     [](const Held& a, const Held& b) { return a.distance < b.distance; });
    // The k-th nearest is truly no farther than `far`; a row that is truly within `far` scores at
    // most `limit_`. In double, rounded up once.
    const double relative = static_cast<double>(error_.relative);
    const double absolute = static_cast<double>(error_.absolute);
    const double far = (static_cast<double>(kth->distance) + absolute) / (1 - relative);
    const double limit =
        std::min<double>(far * (1 + relative) + absolute, std::numeric_limits<float>::max());
    limit_ = std::nextafter(static_cast<float>(limit), std::numeric_limits<float>::infinity());
    held_.erase(
        std::remove_if(finite, held_.end(), [this](const Held& h) { return h.distance > limit_; }),
        held_.end());
  }
  // Doubling keeps the cost of shrinking constant a row even if nothing can be dropped.
  shrink_at_ = std::max(shrink_at_, 2 * held_.size());
}

std::vector<std::uint64_t> Contenders::take() {
  shrink();
  std::vector<std::uint64_t> ids;
  ids.reserve(held_.size());
  for (const Held& held : held_) ids.push_back(held.id);
  held_.clear();
  limit_ = std::numeric_limits<float>::infinity();
  return ids;
}

}  // namespace varve::ann

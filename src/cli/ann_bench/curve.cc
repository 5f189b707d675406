#include "cli/ann_bench/curve.h"

#include <algorithm>
#include <cmath>

namespace varve::cli::ann_bench {

std::vector<CurvePoint> pareto_front(std::vector<CurvePoint> points) {
  std::erase_if(points, [](const CurvePoint& point) { return !(point.qps > 0); });
  std::sort(points.begin(), points.end(), [](const CurvePoint& a, const CurvePoint& b) {
    return a.recall != b.recall ? a.recall > b.recall : a.qps > b.qps;
  });
  std::vector<CurvePoint> front;
  for (const CurvePoint& point : points) {
    if (front.empty() || point.qps > front.back().qps) front.push_back(point);
  }
  std::reverse(front.begin(), front.end());
  return front;
}

std::optional<double> qps_at(std::span<const CurvePoint> front, double recall) {
  const auto above = std::find_if(front.begin(), front.end(), [recall](const CurvePoint& point) {
    return point.recall >= recall;
  });
  if (above == front.end()) return std::nullopt;
  if (above == front.begin() || above->recall == recall) return above->qps;
  const CurvePoint& below = *std::prev(above);
  const double share = (recall - below.recall) / (above->recall - below.recall);
  return std::exp(std::log(below.qps) + share * (std::log(above->qps) - std::log(below.qps)));
}

}  // namespace varve::cli::ann_bench

// Recall against speed: what is worth having of a sweep, and what it means at a given recall.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace varve::cli::ann_bench {

struct CurvePoint {
  double recall = 0;
  double qps = 0;
};

// The points that no other one equals or beats in both recall and qps, by growing recall, so that
// qps falls. Points without a positive qps are left out.
std::vector<CurvePoint> pareto_front(std::vector<CurvePoint> points);

// Between neighbours the logarithm of qps is linear in recall. Below the first point its qps, since
// that setting finds more than asked; nullopt beyond the last one. `front` as of pareto_front.
std::optional<double> qps_at(std::span<const CurvePoint> front, double recall);

}  // namespace varve::cli::ann_bench

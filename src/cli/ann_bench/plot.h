// The curve that people know from ann-benchmarks, as SVG.
#pragma once

#include <string>
#include <vector>

#include "cli/ann_bench/curve.h"

namespace varve::cli::ann_bench {

struct Series {
  std::string name;
  std::vector<CurvePoint> front;  // as of pareto_front
};

struct Plot {
  std::string title, subtitle;
  std::vector<Series> series;  // the first is drawn thicker
};

// Recall to the right on a scale of what is missing, so that 0.99 and 0.999 lie apart; queries a
// second upwards, logarithmic. Series without points are left out of the picture and of the legend.
std::string plot_svg(const Plot& plot);

}  // namespace varve::cli::ann_bench

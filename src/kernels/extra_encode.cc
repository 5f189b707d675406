#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/assert.h"
#include "kernels/extra_codes.h"
#include "kernels/extra_error.h"
#include "kernels/short_floats.h"
#include "kernels/target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/extra_encode.cc"
// clang-format off
#include "kernels/simd.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

// What all targets share.
#ifndef VARVE_KERNELS_EXTRA_ENCODE_ONCE
#define VARVE_KERNELS_EXTRA_ENCODE_ONCE
namespace varve::kernels {

constexpr std::size_t kExtraDimMax = 4096;
// Sums of this many dimensions fit into 32 bits.
constexpr std::size_t kExtraSumDims = 64;
// Sizes are whole numbers up to this; a scale maps them to steps of the grid.
constexpr std::uint32_t kSizeMax = 65535;
constexpr unsigned kScaleShift = 20;
// Double sums run in this many interleaved lanes on every target.
constexpr std::size_t kExtraLanes = 16;

// All values are whole: twice the middle of a half step. Without the plane of halves it is the
// middle of a step.
struct Grid {
  std::uint32_t steps;  // half steps of a side: 2^(bits + 1)
  std::size_t dim, wider_dims;
};

struct GridSums {
  std::uint64_t product = 0, squares = 0;  // sum of size * value, of value * value
};

// Errors of the grid are whole numbers of this many to their spread, and end at kErrorMax.
constexpr double kErrorSteps = 256;
constexpr double kErrorMax = 32767;

struct FactorSums {
  double squares = 0, with_row = 0, with_centroid = 0;  // r.r, r.v, c.v
};

}  // namespace varve::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace varve::kernels::HWY_NAMESPACE {

// Plain loops over whole numbers, which the compiler turns into vectors of each target: they give
// the same on all.

HWY_INLINE std::uint32_t half_step(std::uint32_t size, std::uint32_t scale, std::uint32_t last) {
  return HWY_MIN((size * scale) >> kScaleShift, last);
}

GridSums sum_grid(const std::uint32_t* sizes, const Grid& grid, std::uint32_t scale) {
  const std::uint32_t last = grid.steps - 1;
  GridSums sums;
  for (std::size_t begin = 0; begin < grid.dim; begin += kExtraSumDims) {
    // 2 h + 1 in the middle of a half step, and of a step where bit 0 is set and 1 is added.
    const std::uint32_t is_coarse = begin < grid.wider_dims ? 0 : 1;
    std::uint32_t product = 0, squares = 0;
    for (std::size_t j = begin; j < begin + kExtraSumDims; ++j) {
      const std::uint32_t half = half_step(sizes[j], scale, last) | is_coarse;
      const std::uint32_t value = 2 * half + 1 - is_coarse;
      product += (sizes[j] >> 2) * value;
      squares += value * value;
    }
    sums.product += product;
    sums.squares += squares;
  }
  return sums;
}

// What is not a number gets the largest size; its factors say that it is none.
void whole_sizes(const float* values, std::size_t dim, float scale, std::uint32_t* sizes) {
  constexpr auto kMax = static_cast<float>(kSizeMax);
  for (std::size_t j = 0; j < dim; ++j) {
    const float size = std::abs(values[j]) * scale;
    sizes[j] = static_cast<std::uint32_t>(static_cast<std::int32_t>(size < kMax ? size : kMax));
  }
}

// Steps counted from below, in halves: sign and bits as one number.
void number_steps(const std::uint32_t* sizes, const float* values, const Grid& grid,
                  std::uint32_t scale, std::uint32_t* numbers) {
  for (std::size_t j = 0; j < grid.dim; ++j) {
    const std::uint32_t half = half_step(sizes[j], scale, grid.steps - 1);
    numbers[j] = values[j] < 0 ? grid.steps - 1 - half : grid.steps + half;
  }
}

// Products of a float32 and a value of the grid are exact in double, and so are squares of float32:
// whether they are fused does not matter.
FactorSums sum_factors(const float* values, const float* centroid, const std::uint32_t* numbers,
                       const Grid& grid) {
  double squares[kExtraLanes] = {}, with_row[kExtraLanes] = {}, with_centroid[kExtraLanes] = {};
  const auto middle = static_cast<std::int32_t>(2 * grid.steps);
  for (std::size_t j = 0; j < grid.dim; j += kExtraLanes) {
    const std::uint32_t is_coarse = j < grid.wider_dims ? 0 : 1;
    for (std::size_t l = 0; l < kExtraLanes; ++l) {
      const std::uint32_t number = 2 * (numbers[j + l] | is_coarse) + 1 - is_coarse;
      const auto value = static_cast<double>(static_cast<std::int32_t>(number) - middle);
      const auto row = static_cast<double>(values[j + l]);
      squares[l] += row * row;
      with_row[l] += row * value;
      with_centroid[l] += static_cast<double>(centroid[j + l]) * value;
    }
  }
  FactorSums sums;
  for (std::size_t l = 0; l < kExtraLanes; ++l) {
    sums.squares += squares[l];
    sums.with_row += with_row[l];
    sums.with_centroid += with_centroid[l];
  }
  return sums;
}

// What the grid leaves of the row, `per_value` steps to one. Products that are added to are exact
// in double.
void whole_errors(const float* values, const std::uint32_t* numbers, const Grid& grid,
                  double rescale, double per_value, std::int16_t* errors) {
  const auto middle = static_cast<std::int32_t>(2 * grid.steps);
  for (std::size_t j = 0; j < grid.dim; ++j) {
    const std::uint32_t is_coarse = j < grid.wider_dims ? 0 : 1;
    const std::uint32_t number = 2 * (numbers[j] | is_coarse) + 1 - is_coarse;
    const auto value = static_cast<double>(static_cast<std::int32_t>(number) - middle);
    const double error = (static_cast<double>(values[j]) - rescale * value) * per_value;
    const double bounded = HWY_MAX(HWY_MIN(error, kErrorMax), -kErrorMax);
    errors[j] = static_cast<std::int16_t>(static_cast<std::int32_t>(bounded));
  }
}

// Bits [shift, shift + width) of the first `dim` numbers.
void pack_plane(const std::uint32_t* numbers, std::size_t dim, unsigned shift, unsigned width,
                std::uint16_t* plane) {
  const std::size_t words = dim * width / 16;
  const std::uint32_t mask = (1U << width) - 1;
  for (std::size_t w = 0; w < words; ++w) plane[w] = 0;
  for (unsigned at = 0; at < 16; at += width, numbers += words) {
    for (std::size_t w = 0; w < words; ++w) {
      plane[w] = static_cast<std::uint16_t>(plane[w] | (numbers[w] >> shift & mask) << at);
    }
  }
}

}  // namespace varve::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve::kernels {
namespace {

HWY_EXPORT(sum_grid);
HWY_EXPORT(whole_sizes);
HWY_EXPORT(number_steps);
HWY_EXPORT(sum_factors);
HWY_EXPORT(whole_errors);
HWY_EXPORT(pack_plane);

[[maybe_unused]] const bool kObeyed = obey_environment();

// Where the uniform quantiser of a normal distribution with 2, 4, ... 256 steps of each side ends,
// in standard deviations (Max, IRE Trans. Inf. Theory 6 (1960), and on by the same equations).
constexpr double kEnds[] = {1.99, 2.34, 2.68, 3.01, 3.33, 3.64, 3.94};
// Ends that are tried: the curve is flat at its top, so that a finer search finds 1e-4 more.
constexpr double kTried[] = {1, 0.8, 0.87, 0.94, 1.07, 1.15, 1.25};

double end_of(const ExtraShape& shape) {
  const double end = kEnds[shape.bits - 1];
  if (shape.wider_dims == 0) return end;
  return end + (kEnds[shape.bits] - end) * shape.wider_dims / shape.padded_dim;
}

// The scale that brings the grid nearest to the direction of the row.
std::uint32_t best_scale(const std::uint32_t* sizes, const Grid& grid, double end) {
  double squares = 0;
  for (std::size_t j = 0; j < grid.dim; ++j) {
    squares += static_cast<double>(std::uint64_t{sizes[j]} * sizes[j]);
  }
  const double spread = std::sqrt(squares / static_cast<double>(grid.dim));
  // The last one ends at the largest size.
  double best = -1;
  std::uint32_t chosen = grid.steps << (kScaleShift - 16);
  const std::uint32_t widest = chosen;
  const auto attempt = [&](std::uint32_t scale) {
    const GridSums sums = HWY_DYNAMIC_DISPATCH(sum_grid)(sizes, grid, scale);
    const auto product = static_cast<double>(sums.product);
    const double score = product * product / static_cast<double>(sums.squares);
    if (score > best) {
      best = score;
      chosen = scale;
    }
  };
  if (spread > 0) {
    for (const double tried : kTried) {
      const double scale =
          static_cast<double>(grid.steps) * (1U << kScaleShift) / (end * tried * spread);
      attempt(static_cast<std::uint32_t>(std::min(65535.0, std::max(1.0, std::round(scale)))));
    }
  }
  attempt(widest);
  return chosen;
}

class PlaneWriter {
 public:
  explicit PlaneWriter(std::byte* out) : out_(out) {}

  void add(const std::uint32_t* numbers, std::size_t dim, unsigned shift, unsigned width) {
    HWY_DYNAMIC_DISPATCH(pack_plane)
    (numbers, dim, shift, width, reinterpret_cast<std::uint16_t*>(out_));
    out_ += dim * width / 8;
  }
  // Bit 0 of a number tells the halves of a step.
  void add_grid(const std::uint32_t* numbers, const ExtraShape& shape) {
    unsigned shift = 1 + shape.bits;
    for (const unsigned width : {4U, 2U, 1U}) {
      if ((shape.bits & width) != 0) add(numbers, shape.padded_dim, shift -= width, width);
    }
    if (shape.wider_dims != 0) add(numbers, shape.wider_dims, 0, 1);
  }
  std::byte* end() const { return out_; }

 private:
  std::byte* out_;
};

// Numbers of the steps along each direction that hold what the grid, whose `numbers` they replace,
// leaves of the row.
void number_errors(const float* values, const Grid& grid, double rescale, double step,
                   const Directions& directions, std::uint32_t* numbers) {
  std::array<std::int16_t, kExtraDimMax> errors;
  std::array<std::int32_t, kDirectionsMax> along;
  const double per_value = kErrorSteps * kErrorStep / step;
  if (std::isfinite(per_value) && per_value > 0) {
    HWY_DYNAMIC_DISPATCH(whole_errors)(values, numbers, grid, rescale, per_value, errors.data());
  } else {
    std::fill_n(errors.begin(), grid.dim, std::int16_t{0});
  }
  directions.multiply(errors.data(), along.data());
  constexpr auto kStep = static_cast<std::int32_t>(kErrorSteps * kErrorStep * kDirectionLength);
  for (std::uint32_t k = 0; k < directions.count(); ++k) {
    const std::int32_t below = along[k] >= 0 ? along[k] / kStep : -((-along[k] - 1) / kStep) - 1;
    numbers[k] = static_cast<std::uint32_t>(std::clamp(below + 8, 0, 15));
  }
}

}  // namespace

// With v the point of the grid, r . q is estimated by (v . q)(r . r)/(r . v), whose error has the
// spread |r||q| sqrt((1 - a^2) / a^2 / (dim - 1)), a = r . v / (|r||v|) (RaBitQ, theorem 3.2). The
// query is not centred, so c . v is taken off where it is added.
void encode_extra(const float* rotated, const ExtraCentroid& centroid, const ExtraShape& shape,
                  const Directions& directions, std::byte* out) {
  VARVE_ASSERT(directions.count() == shape.directions);
  std::array<std::uint32_t, kExtraDimMax> sizes, numbers;
  const Grid grid{2U << shape.bits, shape.padded_dim, shape.wider_dims};
  float largest = 0;
  for (std::size_t j = 0; j < grid.dim; ++j) largest = std::max(largest, std::abs(rotated[j]));
  const float per_value = static_cast<float>(kSizeMax) / largest;
  const bool is_usable = std::isfinite(per_value) && per_value > 0;
  if (is_usable) {
    HWY_DYNAMIC_DISPATCH(whole_sizes)(rotated, grid.dim, per_value, sizes.data());
  } else {
    std::fill_n(sizes.begin(), grid.dim, 0U);
  }
  const std::uint32_t scale = best_scale(sizes.data(), grid, end_of(shape));
  HWY_DYNAMIC_DISPATCH(number_steps)(sizes.data(), rotated, grid, scale, numbers.data());
  const FactorSums sums =
      HWY_DYNAMIC_DISPATCH(sum_factors)(rotated, centroid.rotated, numbers.data(), grid);
  const GridSums values = HWY_DYNAMIC_DISPATCH(sum_grid)(sizes.data(), grid, scale);

  const double wanted = sums.with_row > 0 ? sums.squares / sums.with_row : 0;
  // What is stored, so that `add` agrees with it.
  const float rescale = float_of_f24(f24_of(wanted));
  const double cosine2 = sums.squares > 0 ? sums.with_row * sums.with_row / sums.squares /
                                                static_cast<double>(values.squares)
                                          : 1;
  const double spread = std::sqrt(std::max(0.0, 1 - cosine2) / cosine2 / (shape.padded_dim - 1.0));
  const std::uint16_t error = bf16_of(2 * kExtraSpread * spread * std::sqrt(sums.squares));
  double add = sums.squares + 2 * static_cast<double>(rescale) * sums.with_centroid;

  PlaneWriter planes(out);
  planes.add_grid(numbers.data(), shape);
  if (shape.directions > 0) {
    const double step = error_step(error);
    number_errors(rotated, grid, static_cast<double>(rescale), step, directions, numbers.data());
    planes.add(numbers.data(), shape.directions, 0, 4);
    double with_centroid = 0;
    for (std::uint32_t k = 0; k < shape.directions; ++k) {
      with_centroid += (numbers[k] - kErrorMiddle) * static_cast<double>(centroid.along[k]);
    }
    if (std::isfinite(step)) add += 2 * step * with_centroid;
  }
  const std::uint64_t factors =
      std::uint64_t{f24_of(add)} | std::uint64_t{f24_of(wanted)} << 24 | std::uint64_t{error} << 48;
  std::memcpy(planes.end(), &factors, sizeof(factors));
}

}  // namespace varve::kernels
#endif  // HWY_ONCE

#include "ann/code_encoder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ann/clustering.h"
#include "base/assert.h"

namespace varve::ann {
namespace {

using kernels::kSignBlockRows;
using kernels::kSignFactorBytes;

bool is_finite_bf16(std::uint16_t bits) {
  return std::isfinite(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
}

// Factors that float32 cannot hold would leave the row out of every answer: this one is in all.
void mend_factors(std::byte* factors, std::size_t place) {
  std::byte* const add = factors + place * sizeof(float);
  std::byte* const rescale =
      factors + kSignBlockRows * sizeof(float) + place * sizeof(std::uint16_t);
  std::byte* const error = rescale + kSignBlockRows * sizeof(std::uint16_t);
  float added;
  std::uint16_t rescaled, erring;
  std::memcpy(&added, add, sizeof(added));
  std::memcpy(&rescaled, rescale, sizeof(rescaled));
  std::memcpy(&erring, error, sizeof(erring));
  if (std::isfinite(added) && is_finite_bf16(rescaled) && is_finite_bf16(erring)) return;
  added = -std::numeric_limits<float>::infinity();
  rescaled = erring = 0;
  std::memcpy(add, &added, sizeof(added));
  std::memcpy(rescale, &rescaled, sizeof(rescaled));
  std::memcpy(error, &erring, sizeof(erring));
}

}  // namespace

CodeEncoder::CodeEncoder(const CodeConfig& config)
    : metric_(config.metric),
      rotation_(config.dim, config.seed),
      steps_(config.dim < kTwoStepsDimMin ? kernels::SignSteps::one : kernels::SignSteps::two),
      has_extra_(config.extra_words > 0),
      directions_(config.directions != nullptr ? config.directions
                                               : std::make_shared<const kernels::Directions>()),
      shape_(
          kernels::extra_shape(rotation_.padded_dim(), config.extra_words, directions_->count())) {}

void CodeEncoder::encode(const kernels::Rows& rows, std::span<const float> centroid,
                         std::span<std::byte> signs, std::span<std::byte> extra) const {
  const std::uint32_t width = rotation_.padded_dim();
  const std::size_t block_bytes = kernels::sign_block_bytes(width, steps_);
  VARVE_ASSERT(centroid.size() == rotation_.dim() && rows.dim == rotation_.dim());
  VARVE_ASSERT(signs.size() == (rows.count + kSignBlockRows - 1) / kSignBlockRows * block_bytes);
  VARVE_ASSERT(extra.size() == rows.count * extra_row_bytes());
  std::fill(signs.begin(), signs.end(), std::byte{0});
  std::vector<float> row(rows.dim), rotated(width), rotated_centroid(width);
  rotation_.apply(centroid.data(), rotated_centroid.data());
  std::vector<float> along(directions_->count());
  directions_->project(rotated_centroid.data(), along.data());
  for (std::size_t i = 0; i < rows.count; ++i) {
    widen_for_ranking(rows.sub(i, 1), metric_, row.data());
    for (std::size_t j = 0; j < row.size(); ++j) row[j] -= centroid[j];
    rotation_.apply(row.data(), rotated.data());
    std::byte* const block = signs.data() + i / kSignBlockRows * block_bytes;
    const std::size_t place = i % kSignBlockRows;
    kernels::encode_signs(rotated.data(), rotated_centroid.data(), width, place, block, steps_);
    for (std::size_t at = std::size_t{width} * 4; at < block_bytes; at += kSignFactorBytes) {
      mend_factors(block + at, place);
    }
    if (!has_extra_) continue;
    kernels::encode_extra(rotated.data(), {rotated_centroid.data(), along.data()}, shape_,
                          *directions_, extra.data() + i * extra_row_bytes());
  }
}

}  // namespace varve::ann

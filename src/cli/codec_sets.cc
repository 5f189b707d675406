// The vectors of `varve bench codec`.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "base/result.h"
#include "cli/bench_codec.h"
#include "cli/files/vector_file.h"

namespace varve::cli {
namespace {

constexpr std::size_t kDim = 1536;
constexpr std::uint32_t kSeed = 1;

using Vector = std::vector<float>;

Vector unit_normal(std::mt19937& random) {
  std::normal_distribution<float> normal;
  Vector vector(kDim);
  double squares = 0;
  for (float& value : vector) {
    value = normal(random);
    squares += value * value;
  }
  for (float& value : vector) value = static_cast<float>(value / std::sqrt(squares));
  return vector;
}

// Rounded towards zero: which of two neighbours is taken does not matter here.
Vector as_bf16(Vector vector) {
  for (float& value : vector) {
    value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xffff0000U);
  }
  return vector;
}

// 11 significant bits, and none below 2^-24.
Vector as_f16(Vector vector) {
  for (float& value : vector) {
    const float step = std::max(std::ldexp(1.0F, std::ilogb(value) - 10), 0x1p-24F);
    value = std::trunc(value / step) * step;
  }
  return vector;
}

Vector as_int8(Vector vector) {
  float largest = 0;
  for (const float value : vector) largest = std::max(largest, std::abs(value));
  const float scale = largest / 127;
  for (float& value : vector) value = static_cast<float>(std::lround(value / scale)) * scale;
  return vector;
}

Vector periodic(Vector vector, std::size_t period) {
  for (std::size_t i = period; i < vector.size(); ++i) vector[i] = vector[i - period];
  return vector;
}

Vector random_bits(std::mt19937& random) {
  Vector vector(kDim);
  for (float& value : vector) value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  return vector;
}

void append(CodecSet& set, const Vector& vector) {
  const auto bytes = std::as_bytes(std::span(vector));
  set.bytes.insert(set.bytes.end(), bytes.begin(), bytes.end());
  set.vector_bytes = bytes.size();
}

}  // namespace

Result<CodecSet> read_codec_set(const std::string& path) {
  VARVE_TRY(const auto rows, open_vector_file(path, {}));
  CodecSet set{path.substr(path.find_last_of('/') + 1), 0, {}};
  VectorRecord record;
  for (std::size_t i = 0; i < kCodecVectors; ++i) {
    VARVE_TRY(const bool more, rows->next(record));
    if (!more) break;
    append(set, record.vector);
  }
  if (set.bytes.empty()) return fail(ErrorKind::invalid, fmt::format("file '{}': no rows", path));
  return set;
}

std::vector<CodecSet> synthetic_codec_sets() {
  using Make = std::function<Vector(std::mt19937&)>;
  const std::pair<const char*, Make> makers[] = {
      {"normal, unit norm", unit_normal},
      {"normal, born as bf16", [](auto& random) { return as_bf16(unit_normal(random)); }},
      {"normal, born as f16", [](auto& random) { return as_f16(unit_normal(random)); }},
      {"normal, born as int8", [](auto& random) { return as_int8(unit_normal(random)); }},
      {"constant vector", [](auto& random) { return periodic(unit_normal(random), 1); }},
      {"period of 16 values", [](auto& random) { return periodic(unit_normal(random), 16); }},
      {"random bits", random_bits}};
  std::vector<CodecSet> sets;
  for (const auto& [name, make] : makers) {
    std::mt19937 random(kSeed);
    CodecSet set{name, 0, {}};
    for (std::size_t i = 0; i < kCodecVectors; ++i) append(set, make(random));
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace varve::cli

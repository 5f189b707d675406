#include "engine/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "ann/code_encoder.h"
#include "base/utf8.h"
#include "kernels/rotation.h"

namespace varve {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}
bool is_alphanumeric(char c) { return is_name_character(c) && c != '.' && c != '-'; }

// For messages: what cannot be printed, or is too long, is not printed.
std::string shown(std::string_view text) {
  constexpr std::size_t kShownMax = 80;
  std::string result;
  for (const char c : text.substr(0, kShownMax)) {
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  return text.size() > kShownMax ? result + "..." : result;
}

Status validate_part(std::string_view name, std::string_view what) {
  constexpr std::size_t kNameMin = 3, kNameMax = 63;
  const bool good = name.size() >= kNameMin && name.size() <= kNameMax &&
                    std::all_of(name.begin(), name.end(), is_name_character) &&
                    is_alphanumeric(name.front()) && is_alphanumeric(name.back());
  if (good) return {};
  return fail(ErrorKind::invalid, fmt::format("{} name '{}' is not valid", what, shown(name)),
              "3 to 63 of a-z, 0-9, '.', '-', beginning and ending with a letter or digit");
}

struct Values {
  bool are_finite;
  bool are_zero;
};

// Without a branch for each value: every query comes by here. Bits of sizes compare as sizes do,
// and those of what is not finite are the largest.
Values look_at(std::span<const float> vector) {
  constexpr std::int32_t kSize = 0x7FFFFFFF, kInfinity = 0x7F800000;
  std::int32_t largest = 0;
  for (const float value : vector) {
    largest = std::max(largest, std::bit_cast<std::int32_t>(value) & kSize);
  }
  return {largest < kInfinity, largest == 0};
}

}  // namespace

Status validate_name(const IndexName& name) {
  if (auto bucket = validate_part(name.bucket, "bucket"); !bucket) return bucket;
  return validate_part(name.index, "index");
}

Result<IndexName> parse_index_name(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) {
    return fail(ErrorKind::invalid, fmt::format("'{}' is not BUCKET/INDEX", shown(text)));
  }
  IndexName name{text.substr(0, slash), text.substr(slash + 1)};
  if (auto valid = validate_name(name); !valid) return tl::unexpected(valid.error());
  return name;
}

namespace engine {

Status validate_config(const IndexConfig& config) {
  if (config.dim < 1 || config.dim > kDimMax) {
    return fail(ErrorKind::invalid,
                fmt::format("dimension {} is not in 1 to {}", config.dim, kDimMax));
  }
  if (config.metric != Metric::euclidean && config.metric != Metric::cosine) {
    return fail(ErrorKind::invalid, "metric is neither euclidean nor cosine");
  }
  if (config.order != ClusterOrder::similarity && config.order != ClusterOrder::time) {
    return fail(ErrorKind::invalid, "order is neither similarity nor time");
  }
  const double bits = config.code_bits;
  if (bits == 1) return {};
  if (!(bits >= 2 && bits <= 8)) {
    return fail(ErrorKind::invalid, fmt::format("code_bits {} is not 1, or 2 to 8", bits));
  }
  if (config.dim < ann::kSignDimMin) {
    return fail(ErrorKind::invalid,
                fmt::format("code_bits {} with dimension {}: there are no codes below {}", bits,
                            config.dim, ann::kSignDimMin));
  }
  return {};
}

std::uint32_t extra_words_of(const IndexConfig& config) {
  const std::uint32_t words_a_bit = kernels::rotated_dim(config.dim) / 64;
  return static_cast<std::uint32_t>(std::lround((config.code_bits - 1) * words_a_bit));
}

IndexConfig config_of(const format::Manifest& manifest) {
  if (manifest.extra_words == 0) return {manifest.dim, manifest.metric, 1, manifest.order};
  const std::uint32_t words_a_bit = kernels::rotated_dim(manifest.dim) / 64;
  const double extra_bits = static_cast<double>(manifest.extra_words) / words_a_bit;
  return {manifest.dim, manifest.metric, 1 + extra_bits, manifest.order};
}

Status validate_key(std::string_view key) {
  if (key.empty()) return fail(ErrorKind::invalid, "key is empty");
  if (key.size() > kKeyBytesMax) {
    return fail(ErrorKind::invalid, fmt::format("key '{}' has {} bytes, at most {} are allowed",
                                                shown(key), key.size(), kKeyBytesMax));
  }
  if (key.find('\0') != std::string_view::npos) {
    return fail(ErrorKind::invalid, fmt::format("key '{}' contains a NUL byte", shown(key)));
  }
  if (!base::is_utf8(key)) {
    return fail(ErrorKind::invalid, fmt::format("key '{}' is not UTF-8", shown(key)));
  }
  return {};
}

Status validate_vector(std::span<const float> vector, const IndexConfig& config) {
  if (vector.size() != config.dim) {
    return fail(ErrorKind::invalid, fmt::format("vector must have length {}, but has length {}",
                                                config.dim, vector.size()));
  }
  const Values values = look_at(vector);
  if (!values.are_finite) {
    const auto bad =
        std::find_if(vector.begin(), vector.end(), [](float x) { return !std::isfinite(x); });
    return fail(ErrorKind::invalid, fmt::format("vector[{}] is {}", bad - vector.begin(), *bad));
  }
  if (values.are_zero && config.metric == Metric::cosine) {
    return fail(ErrorKind::invalid, "vector is all zero, which has no direction for cosine");
  }
  return {};
}

Status validate_metadata(std::string_view metadata) {
  if (metadata.empty()) return {};
  if (metadata.size() > kMetadataBytesMax) {
    return fail(ErrorKind::invalid, fmt::format("metadata has {} bytes, at most {} are allowed",
                                                metadata.size(), kMetadataBytesMax));
  }
  const auto first = metadata.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || metadata[first] != '{' ||
      !nlohmann::json::accept(metadata)) {
    return fail(ErrorKind::invalid, "metadata is not a JSON object");
  }
  return {};
}

Status validate_record(const VectorRecord& record, const IndexConfig& config) {
  VARVE_CHECK(validate_key(record.key));
  auto vector = validate_vector(record.vector, config);
  auto metadata = vector ? validate_metadata(record.metadata) : vector;
  if (!metadata) {
    return tl::unexpected(
        metadata.error().with_context(fmt::format("record '{}'", shown(record.key))));
  }
  return {};
}

Status validate_query(std::span<const float> query, const QueryOptions& options,
                      const IndexConfig& config) {
  if (options.k < 1 || options.k > kTopKMax) {
    return fail(ErrorKind::invalid, fmt::format("k {} is not in 1 to {}", options.k, kTopKMax));
  }
  if (!(options.recall > 0.0 && options.recall <= 1.0)) {
    return fail(ErrorKind::invalid,
                fmt::format("recall {} is not above 0 and at most 1", options.recall));
  }
  if (options.nprobe && *options.nprobe == 0) return fail(ErrorKind::invalid, "nprobe is 0");
  if (options.bounded && (options.nprobe || options.exact || options.codes_only)) {
    return fail(ErrorKind::invalid, "bounded goes with none of nprobe, exact and codes_only");
  }
  if (options.codes_only && options.exact) {
    return fail(ErrorKind::invalid, "codes_only gives no exact answer");
  }
  if (options.codes_only && config.code_bits == 1) {
    return fail(ErrorKind::invalid, "codes_only: the index has one bit of code for each dimension",
                "make it with --code-bits 4");
  }
  auto valid = validate_vector(query, config);
  if (!valid) return tl::unexpected(valid.error().with_context("query"));
  return {};
}

Status validate_outlier_options(const OutlierOptions& options) {
  if (options.count < 1 || options.count > kOutliersMax) {
    return fail(ErrorKind::invalid,
                fmt::format("count {} is not in 1 to {}", options.count, kOutliersMax));
  }
  if (options.neighbors < 1 || options.neighbors > kOutlierNeighborsMax) {
    return fail(ErrorKind::invalid, fmt::format("neighbors {} is not in 1 to {}", options.neighbors,
                                                kOutlierNeighborsMax));
  }
  return {};
}

}  // namespace engine
}  // namespace varve

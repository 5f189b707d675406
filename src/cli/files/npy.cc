// .npy, versions 1 to 3: "\x93NUMPY", version, header size, header text, then the values.
#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/result.h"
#include "cli/files/formats.h"
#include "cli/files/npy_header.h"

namespace varve::cli {
namespace {

// numpy itself writes 128 bytes and refuses to read more than 10,000 unasked.
constexpr std::size_t kHeaderBytesMax = 64UL * 1024;

enum class NpyType { f4, f8, f2, i1, u1, i4 };

struct NamedType {
  std::string_view descr;
  NpyType type;
  std::size_t bytes;
};
constexpr std::array<NamedType, 6> kTypes{{{"<f4", NpyType::f4, 4},
                                           {"<f8", NpyType::f8, 8},
                                           {"<f2", NpyType::f2, 2},
                                           {"|i1", NpyType::i1, 1},
                                           {"|u1", NpyType::u1, 1},
                                           {"<i4", NpyType::i4, 4}}};

template <typename T>
T load(const unsigned char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// IEEE binary16; exact.
float half_to_float(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const float sign = (half & 0x8000) != 0 ? -1.0F : 1.0F;
  const int fraction = half & 1023;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

float load_as_float(NpyType type, const unsigned char* from) {
  switch (type) {
    case NpyType::f4:
      return load<float>(from);
    case NpyType::f8:
      return static_cast<float>(load<double>(from));
    case NpyType::f2:
      return half_to_float(load<std::uint16_t>(from));
    case NpyType::i1:
      return load<std::int8_t>(from);
    case NpyType::u1:
      return load<std::uint8_t>(from);
    case NpyType::i4:
      return static_cast<float>(load<std::int32_t>(from));
  }
  return NAN;
}

class NpyRows final : public RowSource {
 public:
  NpyRows(ByteReader in, RowRules rules) : in_(std::move(in)), rules_(rules) {}

  Status open() {
    VARVE_TRY(const std::string text, read_header());
    auto parsed = parse_npy_header(text);
    if (!parsed) return file_error(parsed.error().message);
    VARVE_CHECK(choose_type(parsed->descr));
    if (parsed->fortran_order) return file_error("is in Fortran order, C order is needed");
    const auto& shape = parsed->shape;
    if (shape.size() != 1 && shape.size() != 2) {
      return file_error(fmt::format("has {} dimensions, vectors need 2", shape.size()));
    }
    // One dimension: a single vector, as for a query.
    row_count_ = shape.size() == 2 ? shape[0] : 1;
    VARVE_CHECK(check_dim(place(), shape.back(), rules_));
    if (row_count_ == 0) return file_error("holds no rows");
    rules_.dim = static_cast<std::uint32_t>(shape.back());
    return {};
  }

  std::uint64_t size_hint() const override { return row_count_; }

  Result<bool> next(VectorRecord& record) override {
    if (row_ == row_count_) {
      VARVE_TRY(const bool end, in_.at_end());
      if (end) return false;
      return tl::unexpected(
          file_error(fmt::format("has bytes after the {} rows of its header", row_count_)).error());
    }
    bytes_.resize(rules_.dim * value_bytes_);
    VARVE_TRY(const std::size_t count, in_.read(std::as_writable_bytes(std::span(bytes_))));
    if (count < bytes_.size()) {
      return tl::unexpected(row_error(
          place(), fmt::format("the file is cut short, its header says {} rows", row_count_)));
    }
    record.key.clear();
    record.metadata.clear();
    record.vector.resize(rules_.dim);
    for (std::size_t i = 0; i < record.vector.size(); ++i) {
      record.vector[i] = load_as_float(type_, bytes_.data() + i * value_bytes_);
    }
    VARVE_CHECK(check_values(place(), record.vector, rules_));
    ++row_;
    return true;
  }

 private:
  RowPlace place() const { return {in_.name(), "row", row_}; }

  Status file_error(std::string_view message) const {
    return fail(ErrorKind::invalid, fmt::format("file '{}': {}", in_.name(), message));
  }

  Status choose_type(const std::string& descr) {
    for (const NamedType& known : kTypes) {
      // numpy writes one-byte types with '|'; '<' means the same.
      const bool same = descr == known.descr ||
                        (known.bytes == 1 && descr == fmt::format("<{}", known.descr.substr(1)));
      if (!same) continue;
      type_ = known.type;
      value_bytes_ = known.bytes;
      return {};
    }
    return file_error(fmt::format("npy type '{}' is not one of <f4 <f8 <f2 |i1 |u1 <i4", descr));
  }

  Result<std::string> read_header() {
    std::array<unsigned char, 8> magic{};
    VARVE_TRY(const std::size_t count, in_.read(std::as_writable_bytes(std::span(magic))));
    if (count < magic.size() || std::memcmp(magic.data(), "\x93NUMPY", 6) != 0) {
      return tl::unexpected(
          file_error("not a npy file: it does not start with \\x93NUMPY").error());
    }
    const unsigned version = magic[6];
    if (version < 1 || version > 3) {
      return tl::unexpected(
          file_error(fmt::format("npy version {} is not 1, 2 or 3", version)).error());
    }
    std::array<unsigned char, 4> size{};
    const std::size_t size_bytes = version == 1 ? 2 : 4;
    VARVE_TRY(const std::size_t size_count,
              in_.read(std::as_writable_bytes(std::span(size).first(size_bytes))));
    const std::size_t header_bytes = load<std::uint32_t>(size.data());
    if (size_count == size_bytes && header_bytes > kHeaderBytesMax) {
      return tl::unexpected(
          file_error(fmt::format("npy header of {} bytes is too large", header_bytes)).error());
    }
    std::string text(size_count == size_bytes ? header_bytes : 1, '\0');
    VARVE_TRY(const std::size_t text_count,
              in_.read(std::as_writable_bytes(std::span(text.data(), text.size()))));
    if (text_count < text.size()) {
      return tl::unexpected(file_error("the npy header is cut short").error());
    }
    return text;
  }

  ByteReader in_;
  RowRules rules_;
  std::vector<unsigned char> bytes_;
  NpyType type_ = NpyType::f4;
  std::size_t value_bytes_ = 4;
  std::uint64_t row_count_ = 0;
  std::uint64_t row_ = 0;
};

static_assert(std::endian::native == std::endian::little);

}  // namespace

RowSourceResult open_npy(ByteReader in, RowRules rules) {
  auto rows = std::make_unique<NpyRows>(std::move(in), rules);
  VARVE_CHECK(rows->open());
  return rows;
}

}  // namespace varve::cli

// IDX ubyte (http://yann.lecun.com/exdb/mnist): 0, 0, type 8, number of dimensions, then each
// dimension as big-endian uint32, then the bytes. The first dimension counts the rows, the product
// of the others is the dimension of the vectors.
#include <fmt/format.h>

#include <array>

#include "base/result.h"
#include "cli/files/formats.h"

namespace varve::cli {
namespace {

constexpr unsigned kTypeUbyte = 8;
constexpr unsigned kDimensionsMax = 8;

class IdxRows final : public RowSource {
 public:
  IdxRows(ByteReader in, RowRules rules) : in_(std::move(in)), rules_(rules) {}

  Status open() {
    std::array<unsigned char, 4> magic{};
    VARVE_TRY(const std::size_t count, in_.read(std::as_writable_bytes(std::span(magic))));
    if (count < magic.size() || magic[0] != 0 || magic[1] != 0) {
      return header_error("not an IDX file: it does not start with two zero bytes");
    }
    if (magic[2] != kTypeUbyte) {
      return header_error(fmt::format("IDX type {:#04x} is not ubyte (0x08)", magic[2]));
    }
    if (magic[3] < 2 || magic[3] > kDimensionsMax) {
      return header_error(fmt::format("IDX file with {} dimensions: vectors need 2 to {}", magic[3],
                                      kDimensionsMax));
    }
    VARVE_TRY(row_count_, read_size());
    std::uint64_t dim = 1;
    for (unsigned i = 1; i < magic[3]; ++i) {
      VARVE_TRY(const std::uint32_t size, read_size());
      // Cannot overflow: both factors are below 2^32.
      dim *= size;
      if (dim > kDimMax) break;
    }
    VARVE_CHECK(check_dim(place(), dim, rules_));
    rules_.dim = static_cast<std::uint32_t>(dim);
    if (row_count_ == 0) return header_error("holds no rows");
    return {};
  }

  std::uint64_t size_hint() const override { return row_count_; }

  Result<bool> next(VectorRecord& record) override {
    if (row_ == row_count_) {
      VARVE_TRY(const bool end, in_.at_end());
      if (end) return false;
      return tl::unexpected(
          header_error(fmt::format("has bytes after the {} rows of its header", row_count_))
              .error());
    }
    bytes_.resize(rules_.dim);
    VARVE_TRY(const std::size_t count, in_.read(std::as_writable_bytes(std::span(bytes_))));
    if (count < bytes_.size()) {
      return tl::unexpected(row_error(
          place(), fmt::format("the file is cut short, its header says {} rows", row_count_)));
    }
    record.key.clear();
    record.metadata.clear();
    record.vector.assign(bytes_.begin(), bytes_.end());
    VARVE_CHECK(check_values(place(), record.vector, rules_));
    ++row_;
    return true;
  }

 private:
  RowPlace place() const { return {in_.name(), "row", row_}; }

  Status header_error(const std::string& message) const {
    return fail(ErrorKind::invalid, fmt::format("file '{}': {}", in_.name(), message));
  }

  Result<std::uint32_t> read_size() {
    std::array<unsigned char, 4> bytes{};
    VARVE_TRY(const std::size_t count, in_.read(std::as_writable_bytes(std::span(bytes))));
    if (count < bytes.size()) {
      return tl::unexpected(header_error("the IDX header is cut short").error());
    }
    return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
           std::uint32_t{bytes[2]} << 8 | bytes[3];
  }

  ByteReader in_;
  RowRules rules_;
  std::vector<unsigned char> bytes_;
  std::uint64_t row_count_ = 0;
  std::uint64_t row_ = 0;
};

}  // namespace

RowSourceResult open_idx(ByteReader in, RowRules rules) {
  auto rows = std::make_unique<IdxRows>(std::move(in), rules);
  VARVE_CHECK(rows->open());
  return rows;
}

}  // namespace varve::cli

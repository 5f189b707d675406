// .fvecs .bvecs .ivecs: each row is its dimension as int32 and then the values, little-endian
// (http://corpus-texmex.irisa.fr).
#include <fmt/format.h>

#include <cstring>

#include "base/result.h"
#include "cli/files/formats.h"

namespace varve::cli {
namespace {

class VecsRows final : public RowSource {
 public:
  VecsRows(ByteReader in, VecsType type, RowRules rules)
      : in_(std::move(in)), type_(type), rules_(rules) {}

  // The first dimension decides what all rows must have.
  Status open(std::uint64_t bytes_hint) {
    VARVE_TRY(const bool more, read_dim());
    if (!more) return tl::unexpected(row_error(place(), "missing"));
    rules_.dim = static_cast<std::uint32_t>(dim_);
    size_hint_ = bytes_hint / (sizeof(std::int32_t) + dim_ * value_bytes());
    return {};
  }

  std::uint64_t size_hint() const override { return size_hint_; }

  Result<bool> next(VectorRecord& record) override {
    if (!dim_known_) {
      VARVE_TRY(const bool more, read_dim());
      if (!more) return false;
    }
    dim_known_ = false;
    bytes_.resize(dim_ * value_bytes());
    VARVE_TRY(const std::size_t count, in_.read(std::as_writable_bytes(std::span(bytes_))));
    if (count < bytes_.size()) return tl::unexpected(row_error(place(), "the file is cut short"));
    record.key.clear();
    record.metadata.clear();
    record.vector.resize(dim_);
    convert(record.vector);
    VARVE_CHECK(check_values(place(), record.vector, rules_));
    ++row_;
    return true;
  }

 private:
  RowPlace place() const { return {in_.name(), "row", row_}; }
  std::size_t value_bytes() const { return type_ == VecsType::u8 ? 1 : 4; }

  Result<bool> read_dim() {
    std::int32_t dim = 0;
    VARVE_TRY(const std::size_t count, in_.read(std::as_writable_bytes(std::span(&dim, 1))));
    if (count == 0) return false;
    if (count < sizeof dim) {
      return tl::unexpected(row_error(place(), "the file is cut short or has bytes after its end"));
    }
    // A negative dimension turns into one far above the limit.
    dim_ = static_cast<std::uint32_t>(dim);
    VARVE_CHECK(check_dim(place(), dim_, rules_));
    dim_known_ = true;
    return true;
  }

  void convert(std::vector<float>& out) const {
    if (type_ == VecsType::f32) {
      std::memcpy(out.data(), bytes_.data(), bytes_.size());
      return;
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (type_ == VecsType::u8) {
        out[i] = bytes_[i];
        continue;
      }
      std::int32_t value = 0;
      std::memcpy(&value, bytes_.data() + i * sizeof value, sizeof value);
      out[i] = static_cast<float>(value);
    }
  }

  ByteReader in_;
  VecsType type_;
  RowRules rules_;
  std::vector<unsigned char> bytes_;
  std::uint64_t size_hint_ = 0;
  std::uint64_t row_ = 0;
  std::size_t dim_ = 0;
  bool dim_known_ = false;
};

}  // namespace

RowSourceResult open_vecs(ByteReader in, VecsType type, RowRules rules, std::uint64_t bytes_hint) {
  auto rows = std::make_unique<VecsRows>(std::move(in), type, rules);
  VARVE_CHECK(rows->open(bytes_hint));
  return rows;
}

}  // namespace varve::cli

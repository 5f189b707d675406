// Any bytes as any format: rows that obey the rules or one `invalid`, within bounded memory.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "cli/files/vector_file.h"

namespace {

using varve::cli::FileFormat;

// A few bytes of gzip can become gigabytes; the fuzzer looks at the first rows.
constexpr int kRowsMax = 1000;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto format = static_cast<FileFormat>(data[0] % 7);
  const varve::cli::RowRules rules{.dim = data[0] / 7U % 4, .reject_zero = data[0] >= 128};
  std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  auto plain = varve::cli::decompressed(varve::cli::stream_of(std::move(bytes)), "f");
  if (!plain) return 0;
  auto rows = varve::cli::open_vector_stream({std::move(*plain), size}, "f", {format, rules});
  if (!rows) {
    require(rows.error().kind == varve::ErrorKind::invalid);
    return 0;
  }
  varve::VectorRecord record;
  for (int i = 0; i < kRowsMax; ++i) {
    const auto more = (*rows)->next(record);
    if (!more) require(more.error().kind == varve::ErrorKind::invalid);
    if (!more || !*more) return 0;
    require(!record.vector.empty() && record.vector.size() <= varve::kDimMax);
    require(rules.dim == 0 || record.vector.size() == rules.dim);
    for (const float value : record.vector) require(std::isfinite(value));
  }
  return 0;
}

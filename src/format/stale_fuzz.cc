#include "format/blobs.h"
#include "format/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::stale);
  auto stale = decode_stale(input.object, Uuid{}, fuzz::kName);
  if (!stale) return 0;
  for (auto& [part, rows] : *stale) {
    VARVE_ASSERT(!rows.isEmpty());
    VARVE_ASSERT(rows.contains(rows.maximum()));
    VARVE_ASSERT(rows.rank(rows.maximum()) == rows.cardinality());
    const Roaring copy = rows | rows;
    VARVE_ASSERT(copy == rows);
  }
  const base::Bytes again = encode_stale(*stale, Uuid{}, fuzz::kName, fuzz::kNonce);
  const auto back = decode_stale(again, Uuid{}, fuzz::kName);
  VARVE_ASSERT(back.has_value());
  VARVE_ASSERT(*back == *stale);
  return 0;
}

#include "format/blobs.h"
#include "format/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::catalog);
  const auto catalog = decode_catalog(input.object, fuzz::kName);
  if (!catalog) return 0;
  fuzz::expect_canonical(input, encode_catalog(*catalog, fuzz::kName, fuzz::kNonce));
  return 0;
}

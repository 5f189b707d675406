#include "format/fuzz.h"
#include "format/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::manifest);
  const auto manifest = decode_manifest(input.object, Uuid{}, fuzz::kName);
  if (!manifest) return 0;
  fuzz::expect_canonical(input, encode_manifest(*manifest, Uuid{}, fuzz::kName, fuzz::kNonce));
  return 0;
}

#include "format/blobs.h"
#include "format/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::directions);
  const auto directions = decode_directions(input.object, 64, Uuid{}, fuzz::kName);
  if (!directions) return 0;
  fuzz::expect_canonical(input, encode_directions(*directions, Uuid{}, fuzz::kName, fuzz::kNonce));
  return 0;
}

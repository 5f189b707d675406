#include "format/blobs.h"
#include "format/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::centroids);
  const auto centroids = decode_centroids(input.object, 3, Uuid{}, fuzz::kName);
  if (!centroids) return 0;
  fuzz::expect_canonical(input, encode_centroids(*centroids, Uuid{}, fuzz::kName, fuzz::kNonce));
  return 0;
}

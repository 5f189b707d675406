#include "format/blobs.h"
#include "format/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::retired);
  const auto names = decode_retired(input.object, Uuid{}, fuzz::kName);
  if (!names) return 0;
  fuzz::expect_canonical(input, encode_retired(*names, Uuid{}, fuzz::kName, fuzz::kNonce));
  return 0;
}

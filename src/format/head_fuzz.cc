#include "format/fuzz.h"
#include "format/head.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::head);
  const auto head = decode_head(input.object, Uuid{}, fuzz::kName);
  if (head) fuzz::expect_canonical(input, encode_head(*head, Uuid{}, fuzz::kName));
  return 0;
}

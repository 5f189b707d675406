#include "format/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::head);
  const auto envelope = decode_envelope(input.object, Uuid{}, fuzz::kName);
  VARVE_ASSERT(envelope.has_value() || !input.wrapped);
  if (envelope) fuzz::expect_canonical(input, encode_envelope(envelope->identity, envelope->body));
  return 0;
}

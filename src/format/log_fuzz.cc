#include "format/fuzz.h"
#include "format/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  // Seals are the other kind of a slot: every fourth wrapped input is one.
  const bool seal = size > 0 && data[0] % 4 == 3;
  const fuzz::Input input = fuzz::make_input(data, size, seal ? Kind::seal : Kind::log);
  const LogPosition position{5, 9};
  const std::uint32_t dim = 3;
  const auto entry = decode_log(input.object, position, dim, Uuid{}, fuzz::kName);
  if (!entry) return 0;
  if (const auto* batch = std::get_if<LogBatch>(&*entry)) {
    fuzz::expect_canonical(input, encode_batch(position, batch->previous, batch->ops, dim, Uuid{},
                                               fuzz::kName, fuzz::kNonce));
  } else {
    fuzz::expect_canonical(input, encode_seal(std::get<Seal>(*entry), Uuid{}, fuzz::kName));
  }
  return 0;
}

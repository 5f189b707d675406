#include <algorithm>

#include "format/blobs.h"
#include "format/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::format;
  const fuzz::Input input = fuzz::make_input(data, size, Kind::key_map);
  const auto segment = KeyMapSegment::decode(input.object, Uuid{}, fuzz::kName);
  if (!segment) return 0;
  const std::vector<KeyLocation> entries = segment->entries();
  VARVE_ASSERT(entries.size() == segment->size());
  VARVE_ASSERT(std::is_sorted(entries.begin(), entries.end()));
  for (std::size_t i = 0; i < entries.size(); i += 1 + entries.size() / 16) {
    std::vector<KeyLocation> found;
    segment->find(entries[i].hash, found);
    VARVE_ASSERT(std::find(found.begin(), found.end(), entries[i]) != found.end());
  }
  return 0;
}

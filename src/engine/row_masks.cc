#include "engine/row_masks.h"

namespace varve::engine {

void RowMasks::clear() {
  places_.clear();
  words_.clear();
}

void RowMasks::add(const Filter& filter, const PartView& part, const MetadataView& metadata) {
  const std::uint32_t rows = part.slot->ref.rows;
  Place place{words_.size(), 0};
  words_.resize(words_.size() + (rows + 63) / 64, ~std::uint64_t{0});
  std::uint64_t* const words = words_.data() + place.begin;
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (part.is_stale(row) || !filter.matches(metadata.at(row))) continue;
    words[row / 64] &= ~(std::uint64_t{1} << (row % 64));
    ++place.live_rows;
  }
  places_.push_back(place);
}

}  // namespace varve::engine

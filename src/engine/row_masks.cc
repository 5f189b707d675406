#include "engine/row_masks.h"

#include <algorithm>
#include <bit>

namespace varve::engine {
namespace {

constexpr std::uint64_t kAllRows = ~std::uint64_t{0};

// Of word `word` of a bitmap of so many rows: a bit for each row.
std::uint64_t rows_of_word(std::size_t word, std::uint32_t rows) {
  const std::size_t left = rows - word * 64;
  return left < 64 ? (std::uint64_t{1} << left) - 1 : kAllRows;
}

}  // namespace

void RowMasks::clear() {
  places_.clear();
  skip_.clear();
  unsure_.clear();
}

void RowMasks::keep_first(std::span<const std::uint32_t> parts) {
  std::size_t same = 0;
  const std::size_t most = std::min(parts.size(), places_.size());
  while (same < most && places_[same].part == parts[same]) ++same;
  if (same == places_.size()) return;
  skip_.resize(places_[same].begin);
  unsure_.resize(places_[same].begin);
  places_.resize(same);
}

void RowMasks::match_without_columns(const Filter& filter, const PartView& part) {
  const std::uint32_t rows = part.slot->ref.rows;
  const bool in_text = part.slot->has_metadata();
  const bool matches = !in_text && filter.matches({});
  matches_.matches.resize((rows + 63) / 64);
  matches_.unsure.resize(matches_.matches.size());
  for (std::size_t word = 0; word < matches_.matches.size(); ++word) {
    matches_.matches[word] = matches ? rows_of_word(word, rows) : 0;
    matches_.unsure[word] = in_text ? rows_of_word(word, rows) : 0;
  }
}

bool RowMasks::add(const Filter& filter, std::uint32_t number, const PartView& part,
                   const AttributesView& columns) {
  if (columns.bytes) {
    filter.evaluate(columns.columns, matches_);
  } else {
    match_without_columns(filter, part);
  }
  Place place{number, skip_.size(), 0};
  const std::size_t words = matches_.matches.size();
  skip_.resize(place.begin + words);
  unsure_.resize(place.begin + words);
  const std::uint64_t* const stale = part.stale_words();
  std::uint64_t any_unsure = 0;
  for (std::size_t word = 0; word < words; ++word) {
    const std::uint64_t live = stale == nullptr ? kAllRows : ~stale[word];
    const std::uint64_t counts = matches_.matches[word] & live;
    skip_[place.begin + word] = ~counts;
    unsure_[place.begin + word] = matches_.unsure[word] & live;
    any_unsure |= unsure_[place.begin + word];
    place.live_rows += static_cast<std::uint32_t>(std::popcount(counts));
  }
  places_.push_back(place);
  return any_unsure == 0;
}

void RowMasks::add_texts(const Filter& filter, std::size_t place, const PartView& part,
                         const MetadataView& metadata) {
  Place& at = places_[place];
  const std::size_t words = (part.slot->ref.rows + 63) / 64;
  for (std::size_t word = 0; word < words; ++word) {
    std::uint64_t& left = unsure_[at.begin + word];
    for (; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(left));
      if (!filter.matches(metadata.at(word * 64 + bit))) continue;
      skip_[at.begin + word] &= ~(std::uint64_t{1} << bit);
      ++at.live_rows;
    }
  }
}

}  // namespace varve::engine

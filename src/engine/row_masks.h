// Which rows of the parts visited do not count for a query: those that are stale, and those that
// its filter leaves out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/filter/filter.h"
#include "engine/generation.h"
#include "engine/section_views.h"

namespace varve::engine {

// One thread. Kept from query to query for its memory.
class RowMasks {
 public:
  void clear();
  // Of the part at the next place. Metadata of a part without any: an empty view.
  void add(const Filter& filter, const PartView& part, const MetadataView& metadata);

  bool empty() const { return places_.empty(); }
  std::uint32_t live_rows(std::size_t place) const { return places_[place].live_rows; }
  // A bit for each row that does not count, 64 a word.
  const std::uint64_t* skip(std::size_t place) const {
    return words_.data() + places_[place].begin;
  }

 private:
  struct Place {
    std::size_t begin;  // in words_
    std::uint32_t live_rows;
  };
  std::vector<Place> places_;
  std::vector<std::uint64_t> words_;
};

}  // namespace varve::engine

// Which rows of the parts visited do not count for a query: those that are stale, and those that
// its filter leaves out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/filter/filter.h"
#include "engine/generation.h"
#include "engine/section_views.h"

namespace varve::engine {

// One thread. Kept from query to query for its memory.
class RowMasks {
 public:
  void clear();
  // Keeps what is known of the first of `parts`, as far as they are those of the places.
  void keep_first(std::span<const std::uint32_t> parts);

  // Asks the columns of part `number` for the next place; `columns` is empty if it has none. False:
  // of some rows only the texts can tell, which add_texts() has to be given.
  bool add(const Filter& filter, std::uint32_t number, const PartView& part,
           const AttributesView& columns);
  void add_texts(const Filter& filter, std::size_t place, const PartView& part,
                 const MetadataView& metadata);

  std::size_t size() const { return places_.size(); }
  bool empty() const { return places_.empty(); }
  std::uint32_t live_rows(std::size_t place) const { return places_[place].live_rows; }
  // A bit for each row that does not count, 64 a word.
  const std::uint64_t* skip(std::size_t place) const { return skip_.data() + places_[place].begin; }

 private:
  struct Place {
    std::uint32_t part;  // its number
    std::size_t begin;   // in skip_ and unsure_
    std::uint32_t live_rows;
  };
  // Fills matches_ for a part whose columns say nothing.
  void match_without_columns(const Filter& filter, const PartView& part);

  std::vector<Place> places_;
  std::vector<std::uint64_t> skip_;
  std::vector<std::uint64_t> unsure_;  // rows whose texts have to be asked
  RowMatches matches_;
};

}  // namespace varve::engine

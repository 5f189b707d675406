// What a query holds of the parts that it visits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "base/result.h"
#include "engine/env.h"
#include "engine/resident.h"
#include "engine/row_masks.h"
#include "engine/section_views.h"
#include "engine/view.h"

namespace varve::engine {

// A row of the clusters as one number: `place` counts the parts that the query visits.
inline std::uint64_t row_id(std::size_t place, std::uint32_t row) {
  return std::uint64_t{place} << 32 | row;
}
inline std::uint32_t place_of(std::uint64_t id) { return static_cast<std::uint32_t>(id >> 32); }
inline std::uint32_t row_of(std::uint64_t id) { return static_cast<std::uint32_t>(id); }

// One thread. Kept from query to query for its memory; nothing is allocated if the view is
// resident.
class HeldSections {
 public:
  // `parts`: indexes into the parts of the generation; a place is an index into it. All borrowed
  // until clear(). What a filter said of the first parts, if they are the same as before, stays.
  void start(const Env& env, const View& view, std::span<const std::uint32_t> parts);
  void clear();

  // All sections that deciding a query may need can be held together.
  bool keeps_all() const { return keeps_all_; }
  bool is_resident() const { return resident_ != nullptr && resident_->is_complete; }
  std::span<const std::uint32_t> parts() const { return parts_; }
  const PartView& part(std::size_t place) const { return generation_->parts()[parts_[place]]; }

  // Reads the section of `places` that is not held yet.
  template <typename View>
  Status hold(std::span<const std::uint32_t> places);
  // REQUIRES: held. Empty if the part has no such section.
  template <typename View>
  const View& at(std::size_t place) const {
    if (has_resident<View>()) return resident_->of<View>()[parts_[place]];
    return std::get<std::vector<View>>(held_)[place];
  }
  // The opposite of hold(), unless everything is kept.
  template <typename View>
  void let_go(std::span<const std::uint32_t> places) {
    if (keeps_all_ || has_resident<View>()) return;
    auto& held = std::get<std::vector<View>>(held_);
    for (const std::uint32_t place : places) held[place] = {};
  }
  // Lets go of the section of all places, whatever is kept.
  template <typename View>
  void drop() {
    std::get<std::vector<View>>(held_).clear();
  }
  // Leaves out the rows whose metadata does not match, until clear(). Reads the columns of parts
  // that have them, and the texts where columns cannot tell. Once after each start().
  Status apply(const Filter& filter);
  // Rows that count at a place: neither stale nor left out.
  std::uint32_t live_rows(std::size_t place) const {
    return masks_.empty() ? part(place).live_rows() : masks_.live_rows(place);
  }
  // A bit for each row that does not count, 64 a word; null: all do.
  const std::uint64_t* skip(std::size_t place) const {
    return masks_.empty() ? part(place).stale_words() : masks_.skip(place);
  }
  bool is_skipped(std::size_t place, std::uint32_t row) const {
    const std::uint64_t* const words = skip(place);
    return words != nullptr && (words[row / 64] >> (row % 64) & 1) != 0;
  }
  // How many of `places`, from the first on, have `sections` that can be held together.
  std::size_t count_within(std::span<const std::uint32_t> places,
                           std::initializer_list<format::Section> sections) const;

 private:
  template <typename View>
  bool has_resident() const {
    return resident_ != nullptr && resident_->has<View>();
  }

  const Env* env_ = nullptr;
  const Generation* generation_ = nullptr;
  const ResidentSections* resident_ = nullptr;
  std::span<const std::uint32_t> parts_;
  bool keeps_all_ = false;
  Status ask_columns(const Filter& filter, std::span<const std::uint32_t> places);
  Status ask_texts(const Filter& filter);

  RowMasks masks_;                             // empty: no filter
  std::vector<std::uint32_t> asked_, unsure_;  // places
  std::tuple<std::vector<CodesView>, std::vector<ExtraView>, std::vector<RowsView>,
             std::vector<IdsView>, std::vector<AttributesView>, std::vector<MetadataView>>
      held_;  // by place; empty while not needed
};

}  // namespace varve::engine

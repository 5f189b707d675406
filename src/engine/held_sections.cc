#include "engine/held_sections.h"

#include <utility>

#include "engine/generation.h"

namespace varve::engine {
namespace {

// Parts whose columns are on their way while others are asked.
constexpr std::size_t kPartsAhead = 4;

}  // namespace

void HeldSections::start(const Env& env, const View& view, std::span<const std::uint32_t> parts) {
  std::apply([](auto&... views) { (views.clear(), ...); }, held_);
  env_ = &env;
  generation_ = view.generation.get();
  resident_ = view.resident.get();
  parts_ = parts;
  masks_.keep_first(parts);
  keeps_all_ = parts.empty() || is_resident() ||
               generation_->count_within(
                   parts, {format::Section::codes, format::Section::rows, format::Section::ids},
                   env.held_bytes_max) == parts.size();
}

void HeldSections::clear() {
  std::apply([](auto&... views) { (views.clear(), ...); }, held_);
  masks_.clear();
  parts_ = {};
  resident_ = nullptr;
}

Status HeldSections::apply(const Filter& filter) {
  asked_.clear();
  unsure_.clear();
  for (std::size_t place = masks_.size(); place < parts_.size(); ++place) {
    asked_.push_back(static_cast<std::uint32_t>(place));
  }
  for (std::span<const std::uint32_t> rest = asked_; !rest.empty();) {
    const auto group = rest.first(count_within(rest, {format::Section::attributes}));
    VARVE_CHECK(ask_columns(filter, group));
    rest = rest.subspan(group.size());
  }
  return ask_texts(filter);
}

Status HeldSections::ask_columns(const Filter& filter, std::span<const std::uint32_t> places) {
  VARVE_CHECK(hold<AttributesView>(places));
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i + kPartsAhead < places.size()) at<AttributesView>(places[i + kPartsAhead]).fetch();
    const std::uint32_t place = places[i];
    const bool is_sure = masks_.add(filter, parts_[place], part(place), at<AttributesView>(place));
    if (!is_sure) unsure_.push_back(place);
  }
  drop<AttributesView>();
  return {};
}

// Those of the answer are read again: so many would not be held beside rows and ids.
Status HeldSections::ask_texts(const Filter& filter) {
  for (std::span<const std::uint32_t> rest = unsure_; !rest.empty();) {
    const auto group = rest.first(count_within(rest, {format::Section::metadata}));
    VARVE_CHECK(hold<MetadataView>(group));
    for (const std::uint32_t place : group) {
      masks_.add_texts(filter, place, part(place), at<MetadataView>(place));
    }
    drop<MetadataView>();
    rest = rest.subspan(group.size());
  }
  return {};
}

template <typename View>
Status HeldSections::hold(std::span<const std::uint32_t> places) {
  if (has_resident<View>()) return {};
  auto& held = std::get<std::vector<View>>(held_);
  held.resize(parts_.size());
  std::vector<std::uint32_t> numbers, missing;
  for (const std::uint32_t place : places) {
    if (held[place].bytes) continue;
    missing.push_back(place);
    numbers.push_back(parts_[place]);
  }
  if (numbers.empty()) return {};
  VARVE_TRY(auto views, generation_->views<View>(*env_, numbers));
  for (std::size_t i = 0; i < missing.size(); ++i) held[missing[i]] = std::move(views[i]);
  return {};
}

template Status HeldSections::hold<CodesView>(std::span<const std::uint32_t>);
template Status HeldSections::hold<ExtraView>(std::span<const std::uint32_t>);
template Status HeldSections::hold<RowsView>(std::span<const std::uint32_t>);
template Status HeldSections::hold<IdsView>(std::span<const std::uint32_t>);
template Status HeldSections::hold<AttributesView>(std::span<const std::uint32_t>);
template Status HeldSections::hold<MetadataView>(std::span<const std::uint32_t>);

std::size_t HeldSections::count_within(std::span<const std::uint32_t> places,
                                       std::initializer_list<format::Section> sections) const {
  if (is_resident()) return places.size();
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (const format::Section section : sections) {
      bytes += prepared_bytes_max(section, part(places[i]).slot->ref);
    }
    if (bytes > env_->held_bytes_max && i > 0) return i;
  }
  return places.size();
}

}  // namespace varve::engine

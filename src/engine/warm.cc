#include "engine/warm.h"

#include <algorithm>

#include "engine/resident.h"
#include "engine/section_cache.h"
#include "engine/section_views.h"

namespace varve::engine {
namespace {

// Read together, in the time of one call to the store: enough for it to be busy.
constexpr std::uint64_t kBytesAtOnceMax = std::uint64_t{64} << 20;
// Of the memory tier, one part in so many.
constexpr std::uint64_t kBytesAtOnceShare = 4;

std::uint64_t bytes_at_once(SectionCache& sections) {
  return std::min(kBytesAtOnceMax, sections.layers().tier(0).capacity().bytes / kBytesAtOnceShare);
}

std::uint64_t bytes_of(const PartView& part) {
  std::uint64_t bytes = 0;
  for (const format::Section section : kCachedSections) {
    bytes += part.slot->ref.section(section).raw_bytes;
  }
  return bytes;
}

// The first of `parts`: at least one, and no more than so many bytes.
std::span<const PartView> first_of(std::span<const PartView> parts, std::uint64_t bytes_max) {
  std::uint64_t bytes = bytes_of(parts[0]);
  std::size_t count = 1;
  while (count < parts.size() && bytes + bytes_of(parts[count]) <= bytes_max) {
    bytes += bytes_of(parts[count++]);
  }
  return parts.first(count);
}

// How close one section has to stay.
Pinning pinning_of(const Pinning& all, format::Section section) {
  if (all.keep != Pinning::Keep::codes_in_memory) return all;
  return {is_of_codes(section) ? Pinning::Keep::in_memory : Pinning::Keep::on_disk_alone,
          all.until_ms};
}

Status warm_some(const Core& core, const Generation& generation, std::span<const PartView> parts,
                 const Pinning& pinning, PinReport& report) {
  for (const format::Section section : kCachedSections) {
    std::vector<PartSlot*> slots;
    for (const PartView& part : parts) {
      if (part.slot->ref.section(section).stored_bytes > 0) slots.push_back(part.slot.get());
    }
    VARVE_TRY(const auto warmed, core.env.sections->warm(core.env, generation.context(), slots,
                                                         section, pinning_of(pinning, section)));
    report.bytes += warmed.bytes;
    report.sections_not_on_disk += warmed.not_on_disk;
  }
  return {};
}

Result<PinReport> warm_all(const Core& core, const View& view, const Pinning& pinning,
                           const ProgressSink& progress) {
  const Generation& generation = *view.generation;
  const std::uint64_t bytes_max = bytes_at_once(*core.env.sections);
  const std::span<const PartView> all = generation.parts();
  PinReport report;
  for (auto left = all; !left.empty();) {
    if (progress) progress({"warm", all.size() - left.size(), all.size(), "parts"});
    const auto some = first_of(left, bytes_max);
    VARVE_CHECK(warm_some(core, generation, some, pinning, report));
    left = left.subspan(some.size());
  }
  return report;
}

// So that queries need not ask the cache. Only what is pinned: nothing else may stay in memory.
Status hold(const Core& core, const View& view, Pinning::Keep keep) {
  const bool codes_only = keep == Pinning::Keep::codes_in_memory;
  VARVE_TRY(auto sections, hold_resident(core.env, *view.generation, codes_only));
  view.generation->set_resident(std::move(sections));
  return {};
}

}  // namespace

Result<PinReport> warm(const Core& core, const View& view, const Pinning& pinning,
                       const ProgressSink& progress) {
  if (pinning.keep == Pinning::Keep::while_asked_for) {
    return warm_all(core, view, pinning, progress);
  }
  SectionPins& pins = core.env.sections->pins();
  const SectionPins::Pinned before = pins.pinned(core.index);
  auto report = warm_all(core, view, pinning, progress);
  const Status remembered = report ? pins.remember(core.index, pinning) : Status{};
  const Status held = report && remembered ? hold(core, view, pinning.keep) : Status{};
  if (report && remembered && held) return report;
  pins.take_back(core.index, before);
  if (!report) return report;
  return tl::unexpected(remembered ? held.error() : remembered.error());
}

Status follow_pin(const Core& core, const View& view) {
  const auto pinning = core.env.sections->pins().find(core.index, core.env.clock->wall_ms());
  if (!pinning) return {};
  VARVE_CHECK(warm_all(core, view, *pinning, {}));
  return pinning->keep == Pinning::Keep::on_disk ? Status{} : hold(core, view, pinning->keep);
}

}  // namespace varve::engine

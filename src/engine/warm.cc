#include "engine/warm.h"

#include "engine/section_cache.h"

namespace varve::engine {
namespace {

// Read together: enough for the store to be busy, little beside any cache.
constexpr std::size_t kPartsAtOnce = 64;
constexpr format::Section kKinds[] = {format::Section::rows, format::Section::ids,
                                      format::Section::metadata};

Result<std::uint64_t> warm_all(const Core& core, const View& view, bool pins, std::int64_t until_ms,
                               const ProgressSink& progress) {
  const Generation& generation = *view.generation;
  const auto parts = generation.parts();
  std::uint64_t bytes = 0;
  for (std::size_t begin = 0; begin < parts.size(); begin += kPartsAtOnce) {
    if (progress) progress({"warm", begin, parts.size(), "parts"});
    const auto some = parts.subspan(begin, std::min(kPartsAtOnce, parts.size() - begin));
    for (const format::Section kind : kKinds) {
      std::vector<PartSlot*> slots;
      for (const PartView& part : some) {
        if (part.slot->ref.section(kind).stored_bytes > 0) slots.push_back(part.slot.get());
      }
      VARVE_TRY(const std::uint64_t more, core.env.sections->warm(core.env, generation.context(),
                                                                  slots, kind, pins, until_ms));
      bytes += more;
    }
  }
  return bytes;
}

}  // namespace

Result<std::uint64_t> warm(const Core& core, const View& view, bool pins, std::int64_t until_ms,
                           const ProgressSink& progress) {
  auto bytes = warm_all(core, view, pins, until_ms, progress);
  if (!pins) return bytes;
  SectionCache& sections = *core.env.sections;
  if (bytes) VARVE_CHECK(sections.remember_pin(core.index, until_ms));
  if (!bytes) static_cast<void>(sections.unpin(core.index));
  return bytes;
}

}  // namespace varve::engine

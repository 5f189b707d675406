#include "engine/resident.h"

#include <numeric>
#include <span>
#include <utility>

#include "cache/memory/huge_pages.h"
#include "engine/generation.h"

namespace varve::engine {
namespace {

template <typename View>
Status hold(const Env& env, const Generation& generation, std::vector<View>& views) {
  std::vector<std::uint32_t> parts(generation.parts().size());
  std::iota(parts.begin(), parts.end(), 0U);
  VARVE_TRY(views, generation.views<View>(env, parts));
  // A copy is counted: it may be let go by any thread.
  for (View& view : views) view.bytes = cache::Handle(std::as_const(view.bytes));
  return {};
}

// Parts without metadata match nothing that a directory is asked for.
ValueDirectory make_directory(const Generation& generation, const ResidentSections& sections) {
  ValueDirectory values;
  for (std::uint32_t part = 0; part < generation.parts().size(); ++part) {
    if (sections.attributes[part].bytes) {
      values.add(part, sections.attributes[part].columns);
    } else if (generation.parts()[part].slot->has_metadata()) {
      values.add_unknown(part);
    }
  }
  values.sort();
  return values;
}

template <typename View>
void add_blocks(const std::vector<View>& views, std::vector<std::span<const std::byte>>& blocks) {
  for (const View& view : views) {
    if (view.bytes) blocks.push_back(view.bytes.bytes());
  }
}

// Queries jump from section to section; with small pages up to a seventh of their time is the
// search for these.
void move_into_huge_pages(const ResidentSections& sections) {
  std::vector<std::span<const std::byte>> blocks;
  add_blocks(sections.codes, blocks);
  add_blocks(sections.extra, blocks);
  add_blocks(sections.rows, blocks);
  add_blocks(sections.ids, blocks);
  add_blocks(sections.attributes, blocks);
  add_blocks(sections.metadata, blocks);
  cache::move_into_huge_pages(std::move(blocks));
}

}  // namespace

std::size_t ResidentSections::decoded_bytes() const {
  std::size_t bytes = 0;
  for (const AttributesView& view : attributes) bytes += view.columns.resident_bytes();
  return bytes + values.resident_bytes();
}

Result<std::shared_ptr<const ResidentSections>> hold_resident(const Env& env,
                                                              const Generation& generation,
                                                              bool codes_only) {
  auto sections = std::make_shared<ResidentSections>();
  VARVE_CHECK(hold(env, generation, sections->codes));
  VARVE_CHECK(hold(env, generation, sections->extra));
  sections->is_complete = !codes_only;
  if (!codes_only) {
    VARVE_CHECK(hold(env, generation, sections->rows));
    VARVE_CHECK(hold(env, generation, sections->ids));
    VARVE_CHECK(hold(env, generation, sections->attributes));
    VARVE_CHECK(hold(env, generation, sections->metadata));
    sections->values = make_directory(generation, *sections);
  }
  move_into_huge_pages(*sections);
  return std::shared_ptr<const ResidentSections>(std::move(sections));
}

}  // namespace varve::engine

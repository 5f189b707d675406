#include "engine/section_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace varve::engine {
namespace {

// One request that covers the sections of slots [first, last) of the sorted list.
struct Run {
  std::size_t first = 0;
  std::size_t last = 0;
};

// Sections closer than this are fetched together: at 80 MB/s and 20 ms to the first byte a gap of
// 64 KiB costs a thirtieth of another request.
constexpr std::uint64_t kGapBytesMax = 64UL * 1024;
// A joined read becomes one buffer that lives as long as any of its sections.
constexpr std::uint64_t kRunBytesMax = 8UL * 1024 * 1024;

std::vector<Run> join(std::span<PartSlot* const> slots, format::Section section) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const format::SectionRef& ref = slots[i]->ref.section(section);
    if (!runs.empty()) {
      const PartSlot& first = *slots[runs.back().first];
      const format::SectionRef& last = slots[i - 1]->ref.section(section);
      const std::uint64_t end = last.offset + last.stored_bytes;
      const bool near =
          first.object == slots[i]->object && ref.offset >= end && ref.offset - end <= kGapBytesMax;
      const std::uint64_t begin = first.ref.section(section).offset;
      if (near && ref.offset + ref.stored_bytes - begin <= kRunBytesMax) {
        runs.back().last = i + 1;
        continue;
      }
    }
    runs.push_back({i, i + 1});
  }
  return runs;
}

std::string name_of(const PartSlot& slot, format::Section section) {
  return fmt::format("{} section {}", slot.context(), format::letter(section));
}

// A second look at a section that failed its checksum: the transfer may have damaged it.
Result<base::Bytes> read_again(const Env& env, const PartSlot& slot, format::Section section) {
  const format::SectionRef& ref = slot.ref.section(section);
  const store::ReadRequest request{slot.object, ref.offset, ref.stored_bytes, 0};
  auto batch = env.store->read(std::span(&request, 1), env.deadline());
  auto arrived = batch->next();
  if (!arrived) return fail(ErrorKind::internal, "a read batch ended before its last answer");
  VARVE_TRY(const auto stored, arrived->bytes);
  return format::decode_section(stored, ref, name_of(slot, section));
}

}  // namespace

ReadCost& read_cost() {
  thread_local ReadCost cost;
  return cost;
}

Status read_sections(const Env& env, std::span<PartSlot* const> slots, format::Section section,
                     const std::function<Status(PartSlot&, base::Bytes)>& take) {
  if (slots.empty()) return {};
  std::vector<PartSlot*> sorted(slots.begin(), slots.end());
  std::sort(sorted.begin(), sorted.end(), [&](const PartSlot* a, const PartSlot* b) {
    if (a->object != b->object) return a->object < b->object;
    return a->ref.section(section).offset < b->ref.section(section).offset;
  });
  const std::vector<Run> runs = join(sorted, section);
  std::vector<store::ReadRequest> requests;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const format::SectionRef& first = sorted[runs[i].first]->ref.section(section);
    const format::SectionRef& last = sorted[runs[i].last - 1]->ref.section(section);
    requests.push_back({sorted[runs[i].first]->object, first.offset,
                        last.offset + last.stored_bytes - first.offset, i});
  }
  read_cost().requests += requests.size();
  for (const auto& request : requests) read_cost().bytes += request.size;
  auto batch = env.store->read(requests, env.deadline());
  while (auto arrived = batch->next()) {
    const Run& run = runs[arrived->tag];
    if (!arrived->bytes) {
      // A range past the end means that the object is shorter than its manifest says.
      Error error = arrived->bytes.error();
      if (error.kind == ErrorKind::invalid) error.kind = ErrorKind::corrupt;
      return tl::unexpected(error.with_context(name_of(*sorted[run.first], section)));
    }
    const std::uint64_t begin = sorted[run.first]->ref.section(section).offset;
    for (std::size_t i = run.first; i < run.last; ++i) {
      const format::SectionRef& ref = sorted[i]->ref.section(section);
      const base::Bytes stored = arrived->bytes->slice(ref.offset - begin, ref.stored_bytes);
      auto bytes = format::decode_section(stored, ref, name_of(*sorted[i], section));
      if (!bytes) bytes = read_again(env, *sorted[i], section);
      VARVE_CHECK(bytes);
      VARVE_CHECK(take(*sorted[i], std::move(*bytes)));
    }
  }
  return {};
}

Result<base::Bytes> read_section(const Env& env, PartSlot& slot, format::Section section) {
  base::Bytes result;
  PartSlot* const slots[] = {&slot};
  VARVE_CHECK(read_sections(env, slots, section, [&](PartSlot&, base::Bytes bytes) -> Status {
    result = std::move(bytes);
    return {};
  }));
  return result;
}

}  // namespace varve::engine

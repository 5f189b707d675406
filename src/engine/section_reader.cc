#include "engine/section_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace varve::engine {
namespace {

// Sections closer than this are fetched together: at 80 MB/s and 20 ms to the first byte a gap of
// 64 KiB costs a thirtieth of another request.
constexpr std::uint64_t kGapBytesMax = 64UL * 1024;
// A joined read becomes one buffer that lives as long as any of its sections.
constexpr std::uint64_t kRunBytesMax = 8UL * 1024 * 1024;

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

SectionReads::SectionReads(const Env& env, std::span<PartSlot* const> slots,
                           format::Section section)
    : env_(env), slots_(slots.begin(), slots.end()), section_(section), order_(slots.size()) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
    if (slots_[a]->object != slots_[b]->object) return slots_[a]->object < slots_[b]->object;
    return slots_[a]->ref.section(section_).offset < slots_[b]->ref.section(section_).offset;
  });
  join();
  send();
}

void SectionReads::join() {
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (!runs_.empty()) {
      const std::string& object = slots_[order_[runs_.back().first]]->object;
      const std::uint64_t begin = ref(runs_.back().first).offset;
      const std::uint64_t end = ref(i - 1).offset + ref(i - 1).stored_bytes;
      const bool near = object == slots_[order_[i]]->object && ref(i).offset >= end &&
                        ref(i).offset - end <= kGapBytesMax;
      if (near && ref(i).offset + ref(i).stored_bytes - begin <= kRunBytesMax) {
        runs_.back().last = i + 1;
        continue;
      }
    }
    runs_.push_back({i, i + 1});
  }
}

void SectionReads::send() {
  std::vector<store::ReadRequest> requests;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const format::SectionRef& first = ref(runs_[i].first);
    const format::SectionRef& last = ref(runs_[i].last - 1);
    requests.push_back({slots_[order_[runs_[i].first]]->object, first.offset,
                        last.offset + last.stored_bytes - first.offset, i});
  }
  read_cost().requests += requests.size();
  for (const auto& request : requests) read_cost().bytes += request.size;
  if (!requests.empty()) batch_ = env_.store->read(requests, env_.deadline());
}

std::optional<SectionReads::Arrived> SectionReads::next() {
  while (ready_.empty() && batch_ != nullptr) {
    const auto arrived = batch_->next();
    if (arrived) {
      take_run(runs_[arrived->tag], arrived->bytes);
    } else {
      batch_.reset();
    }
  }
  if (ready_.empty()) return std::nullopt;
  Arrived arrived = std::move(ready_.front());
  ready_.pop_front();
  return arrived;
}

void SectionReads::take_run(const Run& run, const Result<base::Bytes>& bytes) {
  for (std::size_t i = run.first; i < run.last; ++i) {
    const PartSlot& slot = *slots_[order_[i]];
    const std::string name = name_of(slot, section_);
    if (!bytes) {
      // A range past the end means that the object is shorter than its manifest says.
      Error error = bytes.error();
      if (error.kind == ErrorKind::invalid) error.kind = ErrorKind::corrupt;
      ready_.push_back({order_[i], tl::unexpected(error.with_context(name))});
      continue;
    }
    const base::Bytes stored =
        bytes->slice(ref(i).offset - ref(run.first).offset, ref(i).stored_bytes);
    auto section = format::decode_section(stored, ref(i), name);
    if (!section) section = read_again(env_, slot, section_);
    ready_.push_back({order_[i], std::move(section)});
  }
}

Status read_sections(const Env& env, std::span<PartSlot* const> slots, format::Section section,
                     const std::function<Status(PartSlot&, base::Bytes)>& take) {
  SectionReads reads(env, slots, section);
  while (auto arrived = reads.next()) {
    VARVE_CHECK(arrived->section);
    VARVE_CHECK(take(*slots[arrived->index], std::move(*arrived->section)));
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

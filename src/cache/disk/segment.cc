#include "cache/disk/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "cache/disk/dead_mark.h"
#include "varve/cache/tier.h"

namespace varve::cache {
namespace {

tl::unexpected<Error> damaged(std::uint32_t number, std::string_view what) {
  return fail(ErrorKind::corrupt,
              fmt::format("{} of cache segment {}", what, segment_name(number)));
}

// Reads all of `out` or fails.
Status read_exactly(File& file, std::uint64_t offset, std::span<std::byte> out) {
  VARVE_TRY(const std::size_t got, file.read(offset, out));
  if (got == out.size()) return {};
  return fail(ErrorKind::corrupt, "a cache segment is shorter than it was");
}

Result<HeaderVerdict> peek(FileAccess& files, const std::string& folder, std::uint32_t number) {
  VARVE_TRY(const auto file, files.open(folder, segment_name(number)));
  std::array<std::byte, kSegmentHeaderBytes> header{};
  VARVE_TRY(const std::size_t got, file->read(0, header));
  return check_segment_header(std::span(header).first(got), number);
}

}  // namespace

Result<std::shared_ptr<Segment>> Segment::create(FileAccess& files, const std::string& folder,
                                                 std::uint32_t number, std::uint64_t bytes) {
  VARVE_TRY(auto file, files.create(folder, segment_name(number)));
  const auto header = encode_segment_header(number);
  Status ready = file->reserve(bytes);
  if (ready) ready = file->write(0, header);
  if (ready) {
    std::shared_ptr<Segment> segment(new Segment(std::move(file), number, bytes));
    segment->is_dirty_ = true;
    return segment;
  }
  (void)files.remove(folder, segment_name(number));
  return tl::unexpected(ready.error());
}

Result<std::optional<std::shared_ptr<Segment>>> Segment::open(FileAccess& files,
                                                              const std::string& folder,
                                                              std::uint32_t number) {
  VARVE_TRY(auto file, files.open(folder, segment_name(number)));
  VARVE_TRY(const std::uint64_t bytes, file->size());
  std::array<std::byte, kSegmentHeaderBytes> header{};
  VARVE_TRY(const std::size_t got, file->read(0, header));
  switch (check_segment_header(std::span(header).first(got), number)) {
    case HeaderVerdict::foreign_version:
      return std::nullopt;
    case HeaderVerdict::damaged:
      return damaged(number, "damaged header");
    case HeaderVerdict::ours:
      break;
  }
  // Before anything is allocated by it.
  if (bytes > kSegmentBytesMax) return damaged(number, "size");
  std::shared_ptr<Segment> segment(new Segment(std::move(file), number, bytes));
  if (segment->load_trailer(bytes) && segment->read_footer()) return segment;
  segment->trailer_.reset();
  VARVE_CHECK(segment->scan(bytes));
  // Where it cannot be sealed the list stays in memory, and the next start scans again.
  (void)segment->seal(false);
  return segment;
}

bool Segment::may_be_ours(FileAccess& files, const std::string& folder, std::uint32_t number) {
  const auto verdict = peek(files, folder, number);
  if (!verdict) return verdict.error().kind != ErrorKind::not_found;
  return *verdict == HeaderVerdict::ours;
}

bool Segment::is_of_another_version(FileAccess& files, const std::string& folder,
                                    std::uint32_t number) {
  const auto verdict = peek(files, folder, number);
  return verdict && *verdict == HeaderVerdict::foreign_version;
}

bool Segment::has_room(std::uint64_t record_bytes) const {
  const std::uint64_t end = tail_ + record_bytes;
  return !is_sealed() && end + footer_bytes_max(end, entries_.size() + 1) <= reserved_;
}

Status Segment::append(base::ByteSpan record, const SegmentEntry& entry) {
  VARVE_DCHECK(entry.offset == tail_);
  is_dirty_ = true;
  VARVE_CHECK(file_->write(tail_, record));
  entries_.push_back(entry);
  count_list();
  tail_ += record.size();
  return {};
}

Status Segment::seal(bool sync) {
  VARVE_ASSERT(!is_sealed());
  is_dirty_ = true;
  // What an append that failed left behind must not stand between data and footer.
  VARVE_CHECK(file_->cut(tail_));
  const base::Bytes footer = encode_footer(number_, tail_, entries_);
  VARVE_CHECK(file_->write(tail_, footer));
  if (sync) VARVE_CHECK(file_->sync());
  const std::uint64_t bytes = tail_ + footer.size();
  trailer_ = decode_trailer(footer.span().subspan(footer.size() - kTrailerBytes), number_, bytes);
  VARVE_ASSERT(trailer_.has_value());
  disk_bytes_ = bytes;
  // Not `= {}`, which would keep its memory.
  entries_ = std::vector<SegmentEntry>();
  count_list();
  return {};
}

Status Segment::load_trailer(std::uint64_t file_bytes) {
  if (file_bytes < kSegmentHeaderBytes + kTrailerBytes) return damaged(number_, "no footer");
  std::array<std::byte, kTrailerBytes> bytes;
  VARVE_CHECK(read_exactly(*file_, file_bytes - kTrailerBytes, bytes));
  trailer_ = decode_trailer(bytes, number_, file_bytes);
  if (!trailer_) return damaged(number_, "no footer");
  tail_ = trailer_->data_bytes;
  return {};
}

Result<Footer> Segment::read_footer() {
  const std::uint64_t end = trailer_->dead_offset() + trailer_->dead_bytes();
  base::Buffer buffer(end - trailer_->data_bytes);
  VARVE_CHECK(read_exactly(*file_, trailer_->data_bytes, buffer.span()));
  auto footer = decode_footer(*trailer_, buffer.span());
  if (!footer) return damaged(number_, "damaged footer");
  return std::move(*footer);
}

Status Segment::scan(std::uint64_t file_bytes) {
  tail_ = kSegmentHeaderBytes;
  entries_.clear();
  base::Buffer buffer(file_bytes);
  VARVE_TRY(const std::size_t got, file_->read(0, buffer.span()));
  const base::ByteSpan all = buffer.span().first(got);
  while (tail_ < all.size()) {
    const base::ByteSpan rest = all.subspan(tail_);
    const auto record = decode_record(rest);
    const auto dead = record ? std::nullopt : peek_dead(rest);
    if (!record && !dead) break;
    const RecordHeader& header = record ? record->header : *dead;
    if (header.sequence != sequence_of(number_, tail_)) break;
    if (header.record_bytes() > rest.size()) break;
    const std::string_view key = base::as_text(rest.subspan(kRecordHeaderBytes, header.key_bytes));
    entries_.push_back(entry_of(header, hash_of_key(key), tail_));
    entries_.back().dead = dead.has_value();
    tail_ += header.record_bytes();
  }
  count_list();
  return {};
}

Status Segment::sync() {
  if (!is_dirty_) return {};
  VARVE_CHECK(file_->sync());
  is_dirty_ = false;
  return {};
}

Status Segment::kill(std::uint64_t offset) {
  is_dirty_ = true;
  std::array<std::byte, kRecordHeaderBytes> header;
  VARVE_CHECK(read_exactly(*file_, offset, header));
  VARVE_CHECK(file_->write(offset, dead_mark(header)));
  if (is_sealed()) return mark_in_footer(offset);
  const auto entry = std::lower_bound(
      entries_.begin(), entries_.end(), offset,
      [](const SegmentEntry& left, std::uint64_t right) { return left.offset < right; });
  if (entry != entries_.end() && entry->offset == offset) entry->dead = true;
  return {};
}

Status Segment::mark_in_footer(std::uint64_t offset) {
  const std::uint64_t granule = offset / 64;
  const std::uint64_t at = trailer_->dead_offset() + granule / 8;
  std::array<std::byte, 1> byte;
  VARVE_CHECK(read_exactly(*file_, at, byte));
  byte[0] |= std::byte{1} << (granule % 8);
  return file_->write(at, byte);
}

Result<std::vector<SegmentEntry>> Segment::entries() {
  if (!is_sealed()) return entries_;
  VARVE_TRY(auto footer, read_footer());
  return std::move(footer.entries);
}

bool Segment::may_contain(std::uint64_t hash) {
  if (!is_sealed()) {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const SegmentEntry& entry) { return entry.hash == hash; });
  }
  const auto footer = read_footer();
  return !footer || footer->filter.may_contain(hash);
}

}  // namespace varve::cache

#include "engine/group_writer.h"

#include "base/assert.h"
#include "base/random.h"

namespace varve::engine {
namespace {

// Large enough that requests are few, small enough that one is quickly rewritten; bounds the memory
// of every job that writes clusters.
constexpr std::size_t kGroupBytes = 8 * 1024 * 1024;
// Part id = job << kPartBits | number within the job.
constexpr unsigned kPartBits = 24;

}  // namespace

void PartDraft::add(const kernels::Rows& rows, std::size_t row, std::string_view key,
                    const Lsn& lsn, std::string_view metadata) {
  const std::size_t row_bytes = dim_ * kernels::element_bytes(type_);
  const std::size_t begin = rows_.size();
  rows_.resize(begin + row_bytes);
  if (rows.type == type_) {
    std::copy_n(rows.row(row), row_bytes, rows_.data() + begin);
  } else {
    scratch_.resize(dim_);
    kernels::widen(rows, row, scratch_.data());
    kernels::narrow(scratch_, type_, rows_.data() + begin);
  }
  texts_ += key;
  ends_.push_back(texts_.size());
  texts_ += metadata;
  ends_.push_back(texts_.size());
  lsns_.push_back(lsn);
  has_metadata_ = has_metadata_ || !metadata.empty();
}

Status GroupWriter::add(PartDraft draft) {
  if (draft.rows() == 0) return {};
  if (!pending_.empty() && pending_bytes_ + draft.bytes() > kGroupBytes) VARVE_CHECK(flush());
  pending_bytes_ += draft.bytes();
  draft.scratch_ = {};
  pending_.push_back(std::move(draft));
  return {};
}

Result<WrittenGroups> GroupWriter::finish() {
  if (!pending_.empty()) VARVE_CHECK(flush());
  return std::move(written_);
}

Status GroupWriter::flush() {
  std::vector<format::PartInput> parts;
  std::vector<std::vector<std::string_view>> texts;
  texts.reserve(pending_.size() * 2);
  for (const PartDraft& draft : pending_) {
    auto& keys = texts.emplace_back();
    auto& metadata = texts.emplace_back();
    const std::string_view all = draft.texts_;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < draft.ends_.size(); i += 2) {
      keys.push_back(all.substr(begin, draft.ends_[i] - begin));
      metadata.push_back(all.substr(draft.ends_[i], draft.ends_[i + 1] - draft.ends_[i]));
      begin = draft.ends_[i + 1];
    }
    VARVE_ASSERT(next_part_ < (std::uint64_t{1} << kPartBits));
    format::PartInput part;
    part.id = job_.id << kPartBits | next_part_++;
    part.cluster = draft.cluster_;
    part.rows = {draft.rows_.data(), draft.rows(), draft.dim_ * kernels::element_bytes(draft.type_),
                 draft.dim_, draft.type_};
    part.keys = keys;
    part.lsns = draft.lsns_;
    if (draft.has_metadata_) part.metadata = metadata;
    parts.push_back(part);
    for (std::uint32_t row = 0; row < keys.size(); ++row) {
      written_.locations.push_back({format::key_hash(keys[row]), part.id, row});
    }
    written_.rows += draft.rows();
  }
  const base::Nonce nonce = base::make_nonce(*job_.env.random);
  const std::string name = job_.names.blob(job_.id, nonce);
  format::EncodedGroup group = format::encode_group(parts, job_.index, name, nonce);
  VARVE_CHECK(write_blob(job_, group.object, name, nonce));
  written_.bytes += group.object.size();
  written_.groups.push_back(std::move(group.ref));
  pending_.clear();
  pending_bytes_ = 0;
  return {};
}

}  // namespace varve::engine

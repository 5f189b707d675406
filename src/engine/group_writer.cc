#include "engine/group_writer.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/random.h"

namespace varve::engine {
namespace {

// Part id = job << kPartBits | number within the job.
constexpr unsigned kPartBits = 24;

}  // namespace

Status GroupWriter::start_cluster(std::uint32_t cluster, std::uint32_t dim, kernels::RowType type) {
  VARVE_CHECK(close_part());
  draft_.cluster = cluster;
  draft_.dim = dim;
  draft_.type = type;
  return {};
}

Status GroupWriter::add(const kernels::Rows& rows, std::size_t row, std::string_view key,
                        const Lsn& lsn, std::string_view metadata) {
  if (draft_.bytes() >= kGroupBytes) VARVE_CHECK(close_part());
  const std::size_t row_bytes = draft_.dim * kernels::element_bytes(draft_.type);
  const std::size_t begin = draft_.rows.size();
  draft_.rows.resize(begin + row_bytes);
  if (rows.type == draft_.type) {
    std::copy_n(rows.row(row), row_bytes, draft_.rows.data() + begin);
  } else {
    scratch_.resize(draft_.dim);
    kernels::widen(rows, row, scratch_.data());
    kernels::narrow(scratch_, draft_.type, draft_.rows.data() + begin);
  }
  draft_.texts += key;
  draft_.ends.push_back(draft_.texts.size());
  draft_.texts += metadata;
  draft_.ends.push_back(draft_.texts.size());
  draft_.lsns.push_back(lsn);
  draft_.has_metadata = draft_.has_metadata || !metadata.empty();
  return {};
}

// Leaves an empty draft of the same cluster.
Status GroupWriter::close_part() {
  if (draft_.lsns.empty()) return {};
  if (!pending_.empty() && pending_bytes_ + draft_.bytes() > kGroupBytes) VARVE_CHECK(flush());
  pending_bytes_ += draft_.bytes();
  Draft next;
  next.cluster = draft_.cluster;
  next.dim = draft_.dim;
  next.type = draft_.type;
  pending_.push_back(std::exchange(draft_, std::move(next)));
  return {};
}

Result<WrittenGroups> GroupWriter::finish() {
  VARVE_CHECK(close_part());
  if (!pending_.empty()) VARVE_CHECK(flush());
  return std::move(written_);
}

GroupWriter::Texts GroupWriter::texts_of(const Draft& draft) {
  Texts texts;
  const std::string_view all = draft.texts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < draft.ends.size(); i += 2) {
    texts.keys.push_back(all.substr(begin, draft.ends[i] - begin));
    texts.metadata.push_back(all.substr(draft.ends[i], draft.ends[i + 1] - draft.ends[i]));
    begin = draft.ends[i + 1];
  }
  return texts;
}

Status GroupWriter::flush() {
  std::vector<Texts> texts;
  for (const Draft& draft : pending_) texts.push_back(texts_of(draft));
  std::vector<format::PartInput> parts;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Draft& draft = pending_[i];
    VARVE_ASSERT(next_part_ < (std::uint64_t{1} << kPartBits));
    format::PartInput part;
    part.id = job_.id << kPartBits | next_part_++;
    part.cluster = draft.cluster;
    part.rows = {draft.rows.data(), draft.lsns.size(),
                 draft.dim * kernels::element_bytes(draft.type), draft.dim, draft.type};
    part.keys = texts[i].keys;
    part.lsns = draft.lsns;
    if (draft.has_metadata) part.metadata = texts[i].metadata;
    parts.push_back(part);
    for (std::uint32_t row = 0; row < part.keys.size(); ++row) {
      written_.locations.push_back({format::key_hash(part.keys[row]), part.id, row});
    }
    written_.rows += draft.lsns.size();
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

#include "engine/group_writer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ann/clustering.h"
#include "base/assert.h"
#include "base/random.h"
#include "format/attributes.h"
#include "format/part.h"
#include "kernels/distance.h"

namespace varve::engine {
namespace {

// Fewer rows have no codes: a block of 32 is written and scanned whole.
constexpr std::size_t kCodedRowsMin = 4;

// Squares of what is shorter are lost in float32.
constexpr float kLostDistance = 1e-17F;

// As PartRef::radius; 0 if it overflows.
float radius_of(const kernels::Rows& rows, Metric metric, std::span<const float> centroid) {
  std::vector<float> row(rows.dim);
  float largest = 0;
  for (std::size_t i = 0; i < rows.count; ++i) {
    ann::widen_for_ranking(rows.sub(i, 1), metric, row.data());
    const float squared = kernels::squared_l2_one(row.data(), centroid.data(), rows.dim);
    if (!std::isfinite(squared)) return 0;
    largest = std::max(largest, squared);
  }
  return std::sqrt(largest) * (1 + kernels::distance_error(rows.dim)) + kLostDistance;
}

}  // namespace

GroupWriter::GroupWriter(const JobContext& job, ann::CodeEncoder encoder)
    : job_(job), encoder_(std::move(encoder)), dim_(encoder_.rotation().dim()) {}

Status GroupWriter::start_cluster(std::uint32_t cluster, std::span<const float> centroid,
                                  kernels::RowType type) {
  VARVE_CHECK(close_part());
  draft_.cluster = cluster;
  draft_.centroid.assign(centroid.begin(), centroid.end());
  draft_.type = type;
  return {};
}

Status GroupWriter::add(const kernels::Rows& rows, std::size_t row, std::string_view key,
                        const Lsn& lsn, std::string_view metadata) {
  if (draft_.bytes() >= kGroupBytes) VARVE_CHECK(close_part());
  const std::size_t row_bytes = dim_ * kernels::element_bytes(draft_.type);
  const std::size_t begin = draft_.rows.size();
  draft_.rows.resize(begin + row_bytes);
  if (rows.type == draft_.type) {
    std::copy_n(rows.row(row), row_bytes, draft_.rows.data() + begin);
  } else {
    scratch_.resize(dim_);
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
  next.centroid = draft_.centroid;
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

kernels::Rows GroupWriter::rows_of(const Draft& draft) const {
  return {draft.rows.data(), draft.lsns.size(), dim_ * kernels::element_bytes(draft.type), dim_,
          draft.type};
}

void GroupWriter::encode_codes(const Draft& draft, Encoded& encoded) const {
  const kernels::Rows rows = rows_of(draft);
  if (dim_ < ann::kSignDimMin || rows.count < kCodedRowsMin) return;
  encoded.codes =
      base::Buffer(format::codes_bytes(rows.count, dim_, format::code_kind(encoder_.steps())));
  encoded.extra = base::Buffer(rows.count * encoder_.extra_row_bytes());
  encoder_.encode(rows, draft.centroid, encoded.codes.span(), encoded.extra.span());
}

std::vector<GroupWriter::Encoded> GroupWriter::encode_pending(std::span<const Texts> texts) const {
  std::vector<Encoded> encoded(pending_.size());
  job_.env.compute->parallel_for(pending_.size(), [&](std::size_t i) {
    encode_codes(pending_[i], encoded[i]);
    encoded[i].radius = radius_of(rows_of(pending_[i]), encoder_.metric(), pending_[i].centroid);
    if (!pending_[i].has_metadata) return;
    encoded[i].attributes = format::encode_row_attributes(texts[i].metadata);
  });
  return encoded;
}

Status GroupWriter::flush() {
  std::vector<Texts> texts;
  for (const Draft& draft : pending_) texts.push_back(texts_of(draft));
  const auto encoded = encode_pending(texts);
  std::vector<format::PartInput> parts;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Draft& draft = pending_[i];
    VARVE_ASSERT(next_part_ < (std::uint64_t{1} << kPartBits));
    format::PartInput part;
    part.id = job_.id << kPartBits | next_part_++;
    part.cluster = draft.cluster;
    part.rows = rows_of(draft);
    part.codes = encoded[i].codes.span();
    part.extra = encoded[i].extra.span();
    part.attributes = encoded[i].attributes;
    part.radius = encoded[i].radius;
    if (!part.codes.empty()) part.code_kind = format::code_kind(encoder_.steps());
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

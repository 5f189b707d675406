#include "engine/outlier_rows.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "engine/generation.h"
#include "engine/held_sections.h"
#include "engine/resident.h"

namespace varve::engine {
namespace {

// A piece of the tail is about as large as a cluster.
constexpr std::size_t kPieceRows = 512;

}  // namespace

Status OutlierRows::open(const Filter* filter) {
  const Generation& generation = *view_.generation;
  for (const PartView& part : generation.parts()) skip_.push_back(part.stale);
  if (filter != nullptr) VARVE_CHECK(leave_out(*filter));
  std::vector<std::string_view> keys;
  view_.tail->for_each_newest(view_.tail_count, [&](const Tail::Op& op) {
    keys.push_back(op.op.key);
    if (op.op.kind != format::OpKind::upsert) return;
    if (filter == nullptr || filter->matches(op.op.metadata)) ops_.push_back(op);
  });
  VARVE_CHECK(leave_out_hidden(keys));
  skip_.resize(generation.parts().size() + pieces());
  group_of_.resize(blocks());
  for (std::size_t cluster = 0; cluster < clusters(); ++cluster) {
    for (const std::uint32_t part : generation.parts_of(cluster)) {
      group_of_[part] = static_cast<std::uint32_t>(cluster);
    }
  }
  std::iota(group_of_.begin() + static_cast<std::ptrdiff_t>(generation.parts().size()),
            group_of_.end(), static_cast<std::uint32_t>(clusters()));
  live_of_.resize(blocks());
  for (std::size_t block = 0; block < blocks(); ++block) {
    std::uint32_t left_out = 0;
    for (const std::uint64_t word : skip_[block]) {
      left_out += static_cast<std::uint32_t>(std::popcount(word));
    }
    live_of_[block] = rows_of(block) - left_out;
    live_rows_ += live_of_[block];
  }
  return {};
}

Status OutlierRows::leave_out(const Filter& filter) {
  const Generation& generation = *view_.generation;
  std::vector<std::uint32_t> parts(generation.parts().size());
  std::iota(parts.begin(), parts.end(), 0U);
  HeldSections held;
  held.start(env_, view_, parts);
  VARVE_CHECK(held.apply(filter));
  for (std::uint32_t part = 0; part < parts.size(); ++part) {
    const std::uint32_t rows = rows_of(part);
    std::vector<std::uint64_t>& words = skip_[part];
    words.assign((rows + 63) / 64, 0);
    for (std::uint32_t row = 0; row < rows; ++row) {
      if (held.is_skipped(part, row)) words[row / 64] |= std::uint64_t{1} << (row % 64);
    }
  }
  return {};
}

// The log behind the fold pointer is newer than every row in clusters.
Status OutlierRows::leave_out_hidden(std::span<const std::string_view> keys) {
  if (keys.empty()) return {};
  VARVE_TRY(const auto found, view_.generation->find(env_, keys));
  for (const auto& row : found) {
    if (!row) continue;
    std::vector<std::uint64_t>& words = skip_[row->part];
    words.resize((rows_of(row->part) + 63) / 64, 0);
    words[row->row / 64] |= std::uint64_t{1} << (row->row % 64);
  }
  return {};
}

std::size_t OutlierRows::pieces() const { return (ops_.size() + kPieceRows - 1) / kPieceRows; }

std::uint32_t OutlierRows::rows_of(std::size_t block) const {
  const auto parts = view_.generation->parts();
  if (block < parts.size()) return parts[block].slot->ref.rows;
  const std::size_t begin = (block - parts.size()) * kPieceRows;
  return static_cast<std::uint32_t>(std::min(kPieceRows, ops_.size() - begin));
}

const Tail::Op& OutlierRows::op_of(std::size_t block, std::uint32_t row) const {
  return ops_[(block - view_.generation->parts().size()) * kPieceRows + row];
}

std::vector<std::uint32_t> OutlierRows::blocks_of(std::size_t group) const {
  if (group >= clusters()) {
    return {static_cast<std::uint32_t>(view_.generation->parts().size() + group - clusters())};
  }
  std::vector<std::uint32_t> blocks;
  for (const std::uint32_t part : view_.generation->parts_of(group)) {
    if (live_of_[part] > 0) blocks.push_back(part);
  }
  return blocks;
}

std::size_t OutlierRows::count_within(std::span<const std::uint32_t> blocks) const {
  const auto parts = view_.generation->parts();
  const std::uint64_t row_bytes = view_.generation->manifest().dim * sizeof(float);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    bytes += is_of_tail(blocks[i])
                 ? kPieceRows * row_bytes
                 : prepared_bytes_max(format::Section::rows, parts[blocks[i]].slot->ref);
    if (bytes > env_.held_bytes_max && i > 0) return i;
  }
  return blocks.size();
}

Result<OutlierRows::Held> OutlierRows::load(std::span<const std::uint32_t> blocks) const {
  Held held;
  held.views.resize(blocks.size());
  const bool is_resident = view_.resident != nullptr && view_.resident->has<RowsView>();
  std::vector<std::uint32_t> parts;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (is_of_tail(blocks[i])) {
      const PartRows& copy = held.copies.emplace_back(copy_of_piece(blocks[i]));
      held.views[i].rows = copy.rows;
      held.views[i].inverse_norms = copy.inverse_norms.data();
      held.views[i].extreme = copy.extreme;
    } else if (is_resident) {
      held.views[i] = view_.resident->rows[blocks[i]];
    } else {
      parts.push_back(blocks[i]);
      places.push_back(i);
    }
  }
  if (parts.empty()) return held;
  VARVE_TRY(auto views, view_.generation->views<RowsView>(env_, parts));
  for (std::size_t i = 0; i < views.size(); ++i) held.views[places[i]] = std::move(views[i]);
  return held;
}

PartRows OutlierRows::copy_of_piece(std::size_t block) const {
  const SectionContext& context = view_.generation->context();
  const std::uint32_t count = rows_of(block);
  base::Buffer buffer(std::size_t{count} * context.dim * sizeof(float));
  auto* const values = reinterpret_cast<float*>(buffer.data());
  for (std::uint32_t row = 0; row < count; ++row) {
    const auto& vector = op_of(block, row).op.vector;
    std::copy(vector.begin(), vector.end(), values + std::size_t{row} * context.dim);
  }
  const kernels::Rows rows = kernels::rows_of(values, count, context.dim);
  return with_norms(base::Bytes(std::move(buffer)), rows, context.metric);
}

Result<std::vector<std::string>> OutlierRows::keys(std::uint32_t block,
                                                   std::span<const std::uint32_t> rows) const {
  std::vector<std::string> keys;
  if (is_of_tail(block)) {
    for (const std::uint32_t row : rows) keys.emplace_back(op_of(block, row).op.key);
    return keys;
  }
  VARVE_TRY(const auto views, view_.generation->views<IdsView>(env_, {&block, 1}));
  for (const std::uint32_t row : rows) keys.emplace_back(views[0].key(row));
  return keys;
}

Result<std::string> OutlierRows::metadata(std::uint32_t block, std::uint32_t row) const {
  if (is_of_tail(block)) return std::string(op_of(block, row).op.metadata);
  VARVE_TRY(const auto views, view_.generation->views<MetadataView>(env_, {&block, 1}));
  return std::string(views[0].at(row));
}

}  // namespace varve::engine

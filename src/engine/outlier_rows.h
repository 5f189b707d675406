// The rows that a scan for outliers compares: those of clusters and of the tail that count.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/env.h"
#include "engine/filter/filter.h"
#include "engine/section_views.h"
#include "engine/tail.h"
#include "engine/view.h"

namespace varve::engine {

// Rows lie in blocks: the parts of the generation, by their numbers, and behind them pieces of the
// tail. A group is what is near each other: the clusters, by their centroids, and behind them each
// piece of the tail. Immutable once open; one thread loads.
class OutlierRows {
 public:
  // `env` and `view`: borrowed. `filter` (null: every row counts) is used here only.
  OutlierRows(const Env& env, const View& view) : env_(env), view_(view) {}
  // Finds out which rows count. Errors of the store.
  Status open(const Filter* filter);

  std::size_t blocks() const { return skip_.size(); }
  std::size_t groups() const { return clusters() + pieces(); }
  std::size_t clusters() const { return view_.generation->cluster_ids().size(); }
  bool is_of_tail(std::size_t block) const { return block >= view_.generation->parts().size(); }
  std::uint64_t live_rows() const { return live_rows_; }
  std::uint32_t rows_of(std::size_t block) const;
  std::uint32_t live_rows_of(std::size_t block) const { return live_of_[block]; }
  bool counts(std::size_t block, std::uint32_t row) const {
    const std::vector<std::uint64_t>& words = skip_[block];
    return words.empty() || (words[row / 64] >> (row % 64) & 1) == 0;
  }
  // Blocks of a group in which rows count, the oldest part first.
  std::vector<std::uint32_t> blocks_of(std::size_t group) const;
  std::size_t group_of(std::uint32_t block) const { return group_of_[block]; }

  // Rows of some blocks, in memory while this lives.
  struct Held {
    std::vector<RowsView> views;  // in the order of the blocks
    std::deque<PartRows> copies;  // of pieces of the tail
  };
  // How many of `blocks`, from the first on, one call may hold together; at least one.
  std::size_t count_within(std::span<const std::uint32_t> blocks) const;
  Result<Held> load(std::span<const std::uint32_t> blocks) const;
  // Keys of rows of one block.
  Result<std::vector<std::string>> keys(std::uint32_t block,
                                        std::span<const std::uint32_t> rows) const;
  Result<std::string> metadata(std::uint32_t block, std::uint32_t row) const;

 private:
  std::size_t pieces() const;
  const Tail::Op& op_of(std::size_t block, std::uint32_t row) const;
  Status leave_out(const Filter& filter);
  Status leave_out_hidden(std::span<const std::string_view> keys);
  PartRows copy_of_piece(std::size_t block) const;

  const Env& env_;
  const View& view_;
  std::vector<Tail::Op> ops_;                     // upserts of the tail that count
  std::vector<std::vector<std::uint64_t>> skip_;  // by block; empty: every row counts
  std::vector<std::uint32_t> live_of_;            // by block
  std::vector<std::uint32_t> group_of_;           // by block
  std::uint64_t live_rows_ = 0;
};

}  // namespace varve::engine

// Collects rows into parts and parts into group objects of bounded size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/jobs.h"
#include "format/blobs.h"
#include "format/group.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::engine {

// Rows of one cluster on their way into a part. Owns everything.
class PartDraft {
 public:
  // REQUIRES: every row that is added fits `type` exactly.
  PartDraft(std::uint32_t cluster, std::uint32_t dim, kernels::RowType type)
      : cluster_(cluster), dim_(dim), type_(type) {}

  void add(const kernels::Rows& rows, std::size_t row, std::string_view key, const Lsn& lsn,
           std::string_view metadata);
  std::size_t rows() const { return lsns_.size(); }
  std::size_t bytes() const { return rows_.size() + texts_.size() + lsns_.size() * sizeof(Lsn); }
  std::uint32_t cluster() const { return cluster_; }

 private:
  friend class GroupWriter;
  std::uint32_t cluster_;
  std::uint32_t dim_;
  kernels::RowType type_;
  std::vector<std::byte> rows_;  // without padding
  std::string texts_;            // key, metadata, key, metadata, ...
  std::vector<std::size_t> ends_;
  std::vector<Lsn> lsns_;
  bool has_metadata_ = false;
  std::vector<float> scratch_;
};

// What a job wrote.
struct WrittenGroups {
  std::vector<format::GroupRef> groups;
  std::vector<format::KeyLocation> locations;  // of every row
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
};

// One thread. Parts are numbered within the job, so their ids are unique in the index for ever.
class GroupWriter {
 public:
  explicit GroupWriter(const JobContext& job) : job_(job) {}

  // Parts come in the order in which they shall lie in storage. Empty drafts are ignored.
  Status add(PartDraft draft);
  Result<WrittenGroups> finish();

 private:
  Status flush();

  JobContext job_;
  std::vector<PartDraft> pending_;
  std::size_t pending_bytes_ = 0;
  std::uint64_t next_part_ = 0;
  WrittenGroups written_;
};

}  // namespace varve::engine

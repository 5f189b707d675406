// Collects rows into parts and parts into group objects of bounded size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ann/code_encoder.h"
#include "base/bytes.h"
#include "base/result.h"
#include "engine/jobs.h"
#include "format/blobs.h"
#include "format/group.h"
#include "kernels/rows.h"
#include "varve/types.h"

namespace varve::engine {

// A part, and with it a group object, is closed when it holds this many bytes. Large enough that
// requests are few, small enough that one is quickly rewritten; bounds the memory of every job that
// writes clusters.
inline constexpr std::size_t kGroupBytes = 8UL * 1024 * 1024;

// What a job wrote.
struct WrittenGroups {
  std::vector<format::GroupRef> groups;
  std::vector<format::KeyLocation> locations;  // of every row
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
};

// One thread. Parts are numbered within the job, so their ids are unique in the index for ever.
// Part id = job << kPartBits | number within the job.
inline constexpr unsigned kPartBits = 24;
inline std::uint64_t job_of_part(std::uint64_t id) { return id >> kPartBits; }

class GroupWriter {
 public:
  // `encoder`: of the index, by the seed of its manifest.
  GroupWriter(const JobContext& job, ann::CodeEncoder encoder);

  // The rows that follow belong to `cluster`, whose centroid is borrowed until the next call.
  // Clusters come in the order in which they shall lie in storage; one without rows leaves no
  // trace. REQUIRES: every row that is added fits `type`.
  Status start_cluster(std::uint32_t cluster, std::span<const float> centroid,
                       kernels::RowType type);
  // A cluster of very many bytes becomes several parts.
  Status add(const kernels::Rows& rows, std::size_t row, std::string_view key, const Lsn& lsn,
             std::string_view metadata);
  Result<WrittenGroups> finish();

 private:
  // Rows of one cluster on their way into a part.
  struct Draft {
    std::uint32_t cluster = 0;
    std::vector<float> centroid;
    kernels::RowType type = kernels::RowType::f32;
    std::vector<std::byte> rows;  // without padding
    std::string texts;            // key, metadata, key, metadata, ...
    std::vector<std::size_t> ends;
    std::vector<Lsn> lsns;
    bool has_metadata = false;

    std::size_t bytes() const { return rows.size() + texts.size() + lsns.size() * sizeof(Lsn); }
  };
  // A draft as the encoder wants it; points into it.
  struct Texts {
    std::vector<std::string_view> keys, metadata;
  };
  static Texts texts_of(const Draft& draft);

  kernels::Rows rows_of(const Draft& draft) const;

  Status close_part();
  // What is made of the rows of a part. No codes of few rows, which are looked at one by one as
  // quickly; no attributes without metadata.
  struct Encoded {
    base::Buffer codes, extra;
    base::Bytes attributes;
    float radius = 0;
  };
  std::vector<Encoded> encode_pending(std::span<const Texts> texts) const;
  void encode_codes(const Draft& draft, Encoded& encoded) const;
  Status flush();

  JobContext job_;
  const ann::CodeEncoder encoder_;
  const std::uint32_t dim_;
  Draft draft_;
  std::vector<Draft> pending_;
  std::size_t pending_bytes_ = 0;
  std::uint64_t next_part_ = 0;
  std::vector<float> scratch_;
  WrittenGroups written_;
};

}  // namespace varve::engine

#include "cli/query_json.h"

#include <fmt/format.h>

namespace varve::cli {

const char* certainty_name(Certainty certainty) {
  switch (certainty) {
    case Certainty::exact:
      return "exact";
    case Certainty::bounded:
      return "bounded";
    case Certainty::approximate:
      return "approximate";
  }
  return "";
}

Json performance_json(const Performance& performance) {
  Json tier_reads = Json::object();
  for (const TierReads& reads : performance.tier_reads) tier_reads[reads.tier] = reads.reads;
  return Json{{"total_us", performance.total_us},
              {"snapshot_us", performance.snapshot_us},
              {"rank_us", performance.rank_us},
              {"scan_us", performance.scan_us},
              {"finish_us", performance.finish_us},
              {"nprobe", performance.nprobe},
              {"rows_scanned", performance.rows_scanned},
              {"rows_compared", performance.rows_compared},
              {"tail_rows", performance.tail_rows},
              {"store_requests", performance.store_requests},
              {"store_bytes", performance.store_bytes},
              {"tier_reads", std::move(tier_reads)},
              {"from_answer_cache", performance.from_answer_cache},
              {"certainty", certainty_name(performance.certainty)}};
}

std::string hit_json(const Hit& hit) {
  return fmt::format(R"({{"key":{},"distance":{},"metadata":{}}})", json_string(hit.key),
                     hit.distance, hit.metadata.empty() ? "null" : hit.metadata);
}

std::string result_json(const QueryResult& result) {
  std::string hits;
  for (const Hit& hit : result.hits) {
    if (!hits.empty()) hits += ',';
    hits += hit_json(hit);
  }
  return fmt::format(R"({{"hits":[{}],"performance":{}}})", hits,
                     json_text(performance_json(result.performance)));
}

}  // namespace varve::cli

// One function per group of verbs: declares their flags and, when the command line names one,
// puts it into `chosen`.
#pragma once

#include "cli/settings.h"

namespace varve::cli {

void add_index_verbs(const VerbTable& verbs);    // index create|ls|info|rm|compact, fsck
void add_outliers_verb(const VerbTable& verbs);  // index outliers, behind add_index_verbs
void add_import_verb(const VerbTable& verbs);    // import
void add_write_verbs(const VerbTable& verbs);    // put, delete
void add_read_verbs(const VerbTable& verbs);     // get, list
void add_query_verb(const VerbTable& verbs);     // query
void add_recall_verb(const VerbTable& verbs);    // recall
void add_text_verbs(const VerbTable& verbs);     // ingest, search
void add_cache_verbs(const VerbTable& verbs);    // cache status|warm|pin|unpin|evict
void add_demo_verb(const VerbTable& verbs);      // demo
// In the verb "demo".
void add_cache_demo(CLI::App& demo, const VerbTable& verbs);
void add_bench_verbs(const VerbTable& verbs);  // bench ...
// In the group "bench"; the others are in bench_verbs.cc.
void add_ann_bench(CLI::App& group, const VerbTable& verbs);
void add_codec_bench(CLI::App& group, const VerbTable& verbs);
void add_queries_bench(CLI::App& group, const VerbTable& verbs);
void add_batch_bench(CLI::App& group, const VerbTable& verbs);
void add_cache_bench(CLI::App& group, const VerbTable& verbs);
void add_drift_bench(CLI::App& group, const VerbTable& verbs);
void add_version_verb(const VerbTable& verbs);  // version

}  // namespace varve::cli

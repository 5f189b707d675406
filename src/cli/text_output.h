// What `ingest`, `search` and `demo` print alike.
#pragma once

#include "cli/output.h"
#include "varve/text.h"

namespace varve::cli {

// [{"file","reason"}].
Json files_json(const std::vector<text::SkippedFile>& files);
// A line on standard error for each file that was not taken in.
void note_files(const Settings& settings, const text::IngestReport& report);
// The hits of text::search.
void print_search(const Settings& settings, const QueryResult& result);

}  // namespace varve::cli

// Answers as JSON.
#pragma once

#include "cli/output.h"
#include "varve/types.h"

namespace varve::cli {

const char* certainty_name(Certainty certainty);
Json performance_json(const Performance& performance);
// {"key","distance","metadata"}.
std::string hit_json(const Hit& hit);
// {"hits":[...],"performance":{...}}.
std::string result_json(const QueryResult& result);

}  // namespace varve::cli

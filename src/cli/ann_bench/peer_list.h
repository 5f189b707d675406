// Which peers there are, and what runs them.
#pragma once

#include <string>
#include <vector>

#include "varve/result.h"

namespace varve::cli::ann_bench {

// Names separated by commas; empty: those that build in minutes, "none": none. `invalid`: one that
// is not known.
Result<std::vector<std::string>> parse_peers(const std::string& names);
// All that are known, with commas.
std::string known_peers();

struct PeerPrograms {
  std::string hnswlib;  // the program of bench/ann_hnswlib.cc
  std::string python;   // of the environment that tools/setup_peers makes
  std::string script;   // bench/ann_peers.py
};
// Beside this program, and in the checkout that it was built in. What is not there stays empty.
PeerPrograms find_peer_programs();

// Program and arguments. `not_found`: it is not there, and what to do about it.
Result<std::vector<std::string>> command_of(const std::string& peer, const PeerPrograms& programs);

}  // namespace varve::cli::ann_bench

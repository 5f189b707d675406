#include "cli/ann_bench/peer_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>

namespace varve::cli::ann_bench {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHnswlib = "hnswlib";
// The last one only if it is named: without the instructions of one maker its build takes ten times
// as long as all others together.
constexpr std::array<std::string_view, 10> kPeers{
    kHnswlib,  "faiss-ivf", "faiss-hnsw",    "faiss-ivfpqfs",   "faiss-rabitq",
    "usearch", "scann",     "rabitqlib-ivf", "rabitqlib-symqg", "svs"};

std::string if_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) ? path.string() : std::string();
}

}  // namespace

std::string known_peers() {
  std::string names;
  for (const std::string_view peer : kPeers) names.append(names.empty() ? "" : ",").append(peer);
  return names;
}

Result<std::vector<std::string>> parse_peers(const std::string& names) {
  if (names.empty()) return std::vector<std::string>(kPeers.begin(), std::prev(kPeers.end()));
  std::vector<std::string> peers;
  if (names == "none") return peers;
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    const std::string name = names.substr(begin, end - begin);
    if (std::find(kPeers.begin(), kPeers.end(), name) == kPeers.end()) {
      return fail(ErrorKind::invalid, fmt::format("peer '{}' is not known", name),
                  fmt::format("known: {}, or none", known_peers()));
    }
    if (std::find(peers.begin(), peers.end(), name) == peers.end()) peers.push_back(name);
    begin = end + 1;
  }
  return peers;
}

PeerPrograms find_peer_programs() {
  PeerPrograms programs;
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  if (failed) return programs;
  programs.hnswlib = if_there(self.parent_path() / "varve_ann_hnswlib");
  for (fs::path folder = self.parent_path();; folder = folder.parent_path()) {
    programs.script = if_there(folder / "bench" / "ann_peers.py");
    if (!programs.script.empty()) {
      programs.python = if_there(folder / "build" / "peers" / "bin" / "python");
      return programs;
    }
    if (folder == folder.parent_path()) return programs;
  }
}

Result<std::vector<std::string>> command_of(const std::string& peer, const PeerPrograms& programs) {
  if (peer == kHnswlib) {
    if (!programs.hnswlib.empty()) return std::vector<std::string>{programs.hnswlib};
    return fail(ErrorKind::not_found, "no program varve_ann_hnswlib beside varve",
                "tools/build release varve_ann_hnswlib");
  }
  if (programs.script.empty()) {
    return fail(ErrorKind::not_found, "no bench/ann_peers.py above the folder of varve",
                "--peers-script names it");
  }
  if (programs.python.empty()) {
    return fail(ErrorKind::not_found, "no Python with the packages of the peers",
                "tools/setup_peers makes it, --python names another");
  }
  return std::vector<std::string>{programs.python, programs.script};
}

}  // namespace varve::cli::ann_bench

#include "text/prune.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "text/chunk_keys.h"

namespace varve::text {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kListPage = 1000;
constexpr std::size_t kBatchRows = 500;

// What the names of all files below the folder begin with.
std::string prefix_of(const std::string& folder) {
  std::string name = fs::path(folder).lexically_normal().string();
  if (name == "." || name == "./") return {};
  if (!name.ends_with('/')) name += '/';
  return name;
}

bool is_below(std::string_view file, const std::string& prefix) {
  if (!prefix.empty()) return file.starts_with(prefix);
  return !file.starts_with('/') && !file.starts_with("../");
}

class Prune {
 public:
  Prune(Index& index, std::string prefix, const std::vector<std::string>& present)
      : index_(index), prefix_(std::move(prefix)), present_(present) {}

  Result<Pruned> run() {
    std::string after = prefix_;
    // Ends: each page starts behind the last, and the keys with this prefix are finite.
    while (true) {
      VARVE_TRY(const KeyPage page, index_.list(after, kListPage));
      for (const std::string& key : page.keys) VARVE_CHECK(look_at(key));
      if (page.next.empty() || !page.next.starts_with(prefix_)) break;
      after = page.next;
    }
    VARVE_CHECK(remove_batch());
    return pruned_;
  }

 private:
  Status look_at(const std::string& key) {
    const auto file = file_of_chunk(key);
    if (!file || !is_below(*file, prefix_)) return {};
    // The chunks of a file stand together but for those of names that begin with "<file>#".
    if (*file != file_) {
      file_ = *file;
      gone_ = is_gone(file_);
    }
    if (gone_) batch_.push_back(key);
    return batch_.size() < kBatchRows ? Status() : remove_batch();
  }

  bool is_gone(const std::string& file) const {
    if (std::binary_search(present_.begin(), present_.end(), file)) return false;
    std::error_code error;
    return fs::status(file, error).type() == fs::file_type::not_found;
  }

  // A row that only looks like a chunk by its key is left alone.
  Status remove_batch() {
    if (batch_.empty()) return {};
    VARVE_TRY(const auto records, index_.get(batch_));
    std::vector<std::string> chunks;
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      const std::string_view file = *file_of_chunk(batch_[i]);
      if (!records[i] || !is_chunk_of(*records[i], file)) continue;
      chunks.push_back(batch_[i]);
      if (file != last_removed_) ++pruned_.files;
      last_removed_ = file;
    }
    batch_.clear();
    if (chunks.empty()) return {};
    pruned_.chunks += chunks.size();
    VARVE_CHECK(index_.remove(chunks));
    return {};
  }

  static bool is_chunk_of(const VectorRecord& record, std::string_view file) {
    const auto json = nlohmann::json::parse(record.metadata, nullptr, false);
    return json.is_object() && json.contains("file") && json["file"] == file &&
           json.contains("chunk");
  }

  Index& index_;
  const std::string prefix_;
  const std::vector<std::string>& present_;
  std::string file_;
  bool gone_ = false;
  std::string last_removed_;
  std::vector<std::string> batch_;
  Pruned pruned_;
};

}  // namespace

Result<Pruned> prune(Index& index, const std::string& folder,
                     const std::vector<std::string>& present) {
  return Prune(index, prefix_of(folder), present).run();
}

}  // namespace varve::text

#include "store/local_batch.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "store/keys.h"
#include "store/outcome.h"

namespace varve::store {
namespace {

// Brings requests of one object together and keeps the order otherwise.
void group_by_object(std::vector<ReadRequest>& requests) {
  std::unordered_map<std::string, std::size_t> rank;
  for (const auto& request : requests) rank.try_emplace(request.key, rank.size());
  if (rank.size() <= 1) return;
  std::stable_sort(requests.begin(), requests.end(),
                   [&](const auto& a, const auto& b) { return rank.at(a.key) < rank.at(b.key); });
}

class LocalBatch final : public ReadBatch {
 public:
  LocalBatch(std::shared_ptr<const Fd> root, std::span<const ReadRequest> requests,
             std::function<Status()> go_on)
      : root_(std::move(root)),
        go_on_(std::move(go_on)),
        requests_(requests.begin(), requests.end()) {
    group_by_object(requests_);
  }

  std::optional<ReadResult> next() override {
    if (next_ == requests_.size()) return std::nullopt;
    const auto& request = requests_[next_++];
    return ReadResult{request.tag, read_one(request)};
  }

 private:
  Result<base::Bytes> read_one(const ReadRequest& request) {
    VARVE_CHECK(go_on_());
    if (!open_ || request.key != open_key_) VARVE_CHECK(open(request.key));
    VARVE_CHECK(check_range(request, open_->size));
    return read_range(*open_, request.offset, request.size, request.key);
  }

  Status open(const std::string& key) {
    open_.reset();
    VARVE_CHECK(check_key(key));
    VARVE_TRY(auto file, open_object(root_->get(), key));
    if (!file) return missing_object(key);
    open_ = std::move(file);
    open_key_ = key;
    return {};
  }

  std::shared_ptr<const Fd> root_;
  std::function<Status()> go_on_;
  std::vector<ReadRequest> requests_;
  std::size_t next_ = 0;
  std::optional<OpenFile> open_;
  std::string open_key_;
};

}  // namespace

std::unique_ptr<ReadBatch> make_local_batch(std::shared_ptr<const Fd> root,
                                            std::span<const ReadRequest> requests,
                                            std::function<Status()> go_on) {
  return std::make_unique<LocalBatch>(std::move(root), requests, std::move(go_on));
}

}  // namespace varve::store

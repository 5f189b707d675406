#include "store/memory_store.h"

#include <fmt/format.h>

#include "store/keys.h"
#include "store/outcome.h"

namespace varve::store {
namespace {

// Results that were settled when the batch began: a memory store has no wait to overlap.
class SettledBatch final : public ReadBatch {
 public:
  explicit SettledBatch(std::vector<ReadResult> results) : results_(std::move(results)) {}

  std::optional<ReadResult> next() override {
    if (next_ == results_.size()) return std::nullopt;
    return std::move(results_[next_++]);
  }

 private:
  std::vector<ReadResult> results_;
  std::size_t next_ = 0;
};

Status check_call(const base::Clock& clock, std::string_view key, base::Deadline deadline) {
  VARVE_CHECK(check_key(key));
  return check_deadline(clock, deadline);
}

}  // namespace

Etag MemoryStore::next_etag() { return Etag{fmt::format("m{}", ++writes_)}; }

Result<std::optional<Object>> MemoryStore::get(std::string_view key, base::Deadline deadline) {
  VARVE_CHECK(check_call(clock_, key, deadline));
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return std::nullopt;
  return found->second;
}

std::unique_ptr<ReadBatch> MemoryStore::read(std::span<const ReadRequest> requests,
                                             base::Deadline deadline) {
  const auto read_one = [&](const ReadRequest& request) -> Result<base::Bytes> {
    VARVE_TRY(auto object, get(request.key, deadline));
    if (!object) return missing_object(request.key);
    VARVE_CHECK(check_range(request, object->bytes.size()));
    return object->bytes.slice(request.offset, request.size);
  };
  std::vector<ReadResult> results;
  results.reserve(requests.size());
  for (const auto& request : requests) results.push_back({request.tag, read_one(request)});
  return std::make_unique<SettledBatch>(std::move(results));
}

Result<Etag> MemoryStore::create(std::string_view key, base::ByteSpan bytes,
                                 base::Deadline deadline) {
  VARVE_CHECK(check_call(clock_, key, deadline));
  Object object{base::Bytes::copy_of(bytes), {}};
  std::lock_guard lock(mutex_);
  const auto [place, added] = objects_.try_emplace(std::string(key));
  if (!added) return create_conflict(key);
  object.etag = next_etag();
  place->second = std::move(object);
  return place->second.etag;
}

Result<Etag> MemoryStore::replace(std::string_view key, base::ByteSpan bytes, const Etag& expected,
                                  base::Deadline deadline) {
  VARVE_CHECK(check_call(clock_, key, deadline));
  auto copied = base::Bytes::copy_of(bytes);
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return replace_conflict(key, Replaced::missing);
  if (found->second.etag != expected) return replace_conflict(key, Replaced::changed);
  found->second = Object{std::move(copied), next_etag()};
  return found->second.etag;
}

Result<ListPage> MemoryStore::list(std::string_view prefix, std::string_view start_after,
                                   std::uint32_t limit, base::Deadline deadline) {
  VARVE_CHECK(check_limit(limit));
  VARVE_CHECK(check_deadline(clock_, deadline));
  ListPage page;
  std::lock_guard lock(mutex_);
  auto at = start_after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(start_after);
  for (; at != objects_.end() && at->first.starts_with(prefix); ++at) {
    if (page.entries.size() == limit) {
      page.more = true;
      break;
    }
    page.entries.push_back({at->first, at->second.bytes.size()});
  }
  return page;
}

Status MemoryStore::remove(std::span<const std::string> keys, base::Deadline deadline) {
  for (const auto& key : keys) VARVE_CHECK(check_key(key));
  VARVE_CHECK(check_deadline(clock_, deadline));
  std::lock_guard lock(mutex_);
  for (const auto& key : keys) objects_.erase(key);
  return {};
}

std::shared_ptr<MemoryStore> MemoryStore::copy() const {
  auto other = std::make_shared<MemoryStore>(clock_);
  std::scoped_lock lock(mutex_, other->mutex_);
  other->objects_ = objects_;
  other->writes_ = writes_;
  return other;
}

std::map<std::string, Object, std::less<>> MemoryStore::objects() const {
  std::lock_guard lock(mutex_);
  return objects_;
}

std::shared_ptr<MemoryStore> make_memory_store(base::Clock& clock) {
  return std::make_shared<MemoryStore>(clock);
}

}  // namespace varve::store

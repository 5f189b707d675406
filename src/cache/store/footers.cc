#include "cache/store/footers.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::cache::packs {
namespace {

constexpr std::size_t kReadsAtOnce = 64;
// Holds the index of a pack of 8 MiB with values of 6 KB; others cost a second read.
constexpr std::uint64_t kTailBytes = std::uint64_t{128} << 10;
constexpr std::uint32_t kListPage = 1'000;

using Object = store::ListPage::Entry;

// What is left to do for one object.
struct Open {
  std::size_t place;    // in the objects
  std::uint64_t bytes;  // of the tail to read
  int tries = 0;
};

class FooterReader {
 public:
  FooterReader(store::ObjectStore& store, std::span<const Object> objects, base::Deadline deadline)
      : store_(store), objects_(objects), deadline_(deadline), footers_(objects.size()) {}

  Result<std::vector<Footer>> run() {
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      open_.push_back({i, std::min(objects_[i].size, kTailBytes)});
    }
    while (!open_.empty()) {
      const std::size_t count = std::min(kReadsAtOnce, open_.size());
      const std::vector<Open> now(open_.end() - static_cast<std::ptrdiff_t>(count), open_.end());
      open_.resize(open_.size() - count);
      VARVE_CHECK(read(now));
    }
    return std::move(footers_);
  }

 private:
  Status read(std::span<const Open> now) {
    std::vector<store::ReadRequest> requests;
    for (std::size_t i = 0; i < now.size(); ++i) {
      const Object& object = objects_[now[i].place];
      requests.push_back({object.key, object.size - now[i].bytes, now[i].bytes, i});
    }
    const auto batch = store_.read(requests, deadline_);
    while (auto result = batch->next()) {
      Open one = now[result->tag];
      if (!result->bytes && result->bytes.error().kind == ErrorKind::not_found) {
        footers_[one.place].gone = true;
        continue;
      }
      if (!result->bytes) return tl::unexpected(result->bytes.error());
      const Status taken = take(one, *result->bytes);
      if (taken) continue;
      if (++one.tries > 1) return taken;
      open_.push_back(one);
    }
    return {};
  }

  Status take(const Open& one, base::ByteSpan tail) {
    const Object& object = objects_[one.place];
    VARVE_TRY(const PackTrailer trailer, decode_trailer(tail, object.size, object.key));
    const std::uint64_t footer = trailer.index_bytes + kTrailerBytes;
    if (footer > tail.size()) {
      open_.push_back({one.place, footer, one.tries});
      return {};
    }
    const base::ByteSpan index = tail.last(footer).first(trailer.index_bytes);
    VARVE_TRY(footers_[one.place].entries, decode_index(trailer, index, object.key));
    return {};
  }

  store::ObjectStore& store_;
  const std::span<const Object> objects_;
  const base::Deadline deadline_;
  std::vector<Footer> footers_;
  std::vector<Open> open_;
};

}  // namespace

Result<std::vector<Object>> list_packs(store::ObjectStore& store, std::string_view prefix,
                                       base::Deadline deadline) {
  std::vector<Object> objects;
  for (;;) {
    const std::string after = objects.empty() ? std::string() : objects.back().key;
    VARVE_TRY(store::ListPage page, store.list(prefix, after, kListPage, deadline));
    std::move(page.entries.begin(), page.entries.end(), std::back_inserter(objects));
    if (!page.more) return objects;
  }
}

Result<std::vector<Footer>> read_footers(store::ObjectStore& store, std::span<const Object> objects,
                                         base::Deadline deadline) {
  return FooterReader(store, objects, deadline).run();
}

}  // namespace varve::cache::packs

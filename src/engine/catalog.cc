#include "engine/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "engine/names.h"
#include "engine/put_once.h"
#include "format/envelope.h"

namespace varve::engine {
namespace {

constexpr std::uint32_t kListPage = 1000;

struct StoredCatalog {
  format::Catalog catalog;
  std::optional<store::Etag> etag;  // absent: no object yet
};

Result<StoredCatalog> read(const Env& env, const std::string& bucket) {
  const std::string key = catalog_name(bucket);
  VARVE_TRY(const auto object, env.store->get(key, env.deadline()));
  if (!object) return StoredCatalog{{bucket, {}}, std::nullopt};
  VARVE_TRY(auto catalog, format::decode_catalog(object->bytes, key));
  if (catalog.bucket != bucket) {
    return fail(ErrorKind::corrupt, fmt::format("object '{}': catalog of another bucket", key));
  }
  return StoredCatalog{std::move(catalog), object->etag};
}

auto lower_bound(format::Catalog& catalog, const std::string& index) {
  return std::lower_bound(catalog.entries.begin(), catalog.entries.end(), index,
                          [](const format::CatalogEntry& entry, const std::string& name) {
                            return entry.index < name;
                          });
}

// Repeats until it is in the store. A lost answer needs no nonce here: every change is written so
// that applying it twice is harmless, and is judged by the state that is read back.
using Change = std::function<Result<bool>(format::Catalog&)>;  // false: nothing to change
Status update(const Env& env, const std::string& bucket, const Change& change) {
  const auto give_up = base::Deadline::after(*env.clock, env.resolve_timeout);
  for (unsigned attempt = 0;; ++attempt) {
    VARVE_TRY(StoredCatalog stored, read(env, bucket));
    VARVE_TRY(const bool changed, change(stored.catalog));
    if (!changed) return {};
    const std::string key = catalog_name(bucket);
    const auto object = format::encode_catalog(stored.catalog, key, base::make_nonce(*env.random));
    const auto written = stored.etag ? env.store->replace(key, object, *stored.etag, env.deadline())
                                     : env.store->create(key, object, env.deadline());
    if (written) return {};
    if (is_definite_failure(written.error()) || give_up.passed(*env.clock)) {
      return tl::unexpected(written.error());
    }
    back_off(env, attempt);
  }
}

}  // namespace

Result<std::optional<format::CatalogEntry>> find_index(const Env& env, const IndexName& name) {
  VARVE_TRY(StoredCatalog stored, read(env, name.bucket));
  const auto entry = lower_bound(stored.catalog, name.index);
  if (entry == stored.catalog.entries.end() || entry->index != name.index) return std::nullopt;
  return *entry;
}

Status add_index(const Env& env, const IndexName& name, const format::Uuid& uuid) {
  return update(env, name.bucket, [&](format::Catalog& catalog) -> Result<bool> {
    const auto entry = lower_bound(catalog, name.index);
    if (entry != catalog.entries.end() && entry->index == name.index) {
      if (entry->uuid == uuid) return false;
      return fail(ErrorKind::conflict, fmt::format("index '{}' exists", name.str()));
    }
    catalog.entries.insert(entry, {name.index, uuid, format::CatalogState::active});
    return true;
  });
}

Status mark_deleting(const Env& env, const IndexName& name, const format::Uuid& uuid) {
  return update(env, name.bucket, [&](format::Catalog& catalog) -> Result<bool> {
    const auto entry = lower_bound(catalog, name.index);
    if (entry == catalog.entries.end() || entry->index != name.index || entry->uuid != uuid ||
        entry->state == format::CatalogState::deleting) {
      return false;
    }
    entry->state = format::CatalogState::deleting;
    return true;
  });
}

Status remove_index(const Env& env, const IndexName& name, const format::Uuid& uuid) {
  return update(env, name.bucket, [&](format::Catalog& catalog) -> Result<bool> {
    const auto entry = lower_bound(catalog, name.index);
    if (entry == catalog.entries.end() || entry->index != name.index || entry->uuid != uuid) {
      return false;
    }
    catalog.entries.erase(entry);
    return true;
  });
}

Result<std::vector<IndexName>> list_indexes(const Env& env) {
  std::vector<IndexName> names;
  std::string after;
  while (true) {
    VARVE_TRY(const auto page, env.store->list(kCatalogPrefix, after, kListPage, env.deadline()));
    for (const auto& listed : page.entries) {
      VARVE_TRY(const auto object, env.store->get(listed.key, env.deadline()));
      if (!object) continue;
      VARVE_TRY(const auto catalog, format::decode_catalog(object->bytes, listed.key));
      for (const auto& entry : catalog.entries) {
        if (entry.state == format::CatalogState::active) {
          names.push_back({catalog.bucket, entry.index});
        }
      }
    }
    if (!page.more || page.entries.empty()) break;
    after = page.entries.back().key;
  }
  std::sort(names.begin(), names.end(), [](const IndexName& a, const IndexName& b) {
    return a.bucket != b.bucket ? a.bucket < b.bucket : a.index < b.index;
  });
  return names;
}

}  // namespace varve::engine

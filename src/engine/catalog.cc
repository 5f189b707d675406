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
constexpr unsigned kReadAttempts = 3;

struct StoredCatalog {
  format::Catalog catalog;
  std::optional<store::Etag> etag;  // absent: no object yet
};

// nullopt: no object yet. The transfer may have damaged what arrives: a few looks decide.
Result<std::optional<StoredCatalog>> read_key(const Env& env, const std::string& key) {
  for (unsigned attempt = 1;; ++attempt) {
    VARVE_TRY(const auto object, env.store->get(key, env.deadline()));
    if (!object) return std::nullopt;
    auto catalog = format::decode_catalog(object->bytes, key);
    if (catalog) return StoredCatalog{std::move(*catalog), object->etag};
    if (attempt == kReadAttempts) return tl::unexpected(catalog.error());
  }
}

Result<StoredCatalog> read(const Env& env, const std::string& bucket) {
  const std::string key = catalog_name(bucket);
  VARVE_TRY(auto stored, read_key(env, key));
  if (!stored) return StoredCatalog{{bucket, {}}, std::nullopt};
  if (stored->catalog.bucket != bucket) {
    return fail(ErrorKind::corrupt, fmt::format("object '{}': catalog of another bucket", key));
  }
  return std::move(*stored);
}

auto lower_bound(format::Catalog& catalog, const std::string& index) {
  return std::lower_bound(catalog.entries.begin(), catalog.entries.end(), index,
                          [](const format::CatalogEntry& entry, const std::string& name) {
                            return entry.index < name;
                          });
}

// An error says nothing about the attempts before it, whose answers are missing.
Error in_doubt(Error error, bool sent_unanswered) {
  // A conflict that outlasted all attempts: this one was refused, the next might not be.
  const bool lost_race = error.kind == ErrorKind::conflict;
  if (lost_race || (sent_unanswered && is_definite_failure(error))) {
    error.kind = ErrorKind::unavailable;
  }
  return error;
}

// Repeats until it is in the store. A lost answer needs no nonce here: every change is written so
// that applying it twice is harmless, and is judged by the state that is read back.
//
// Errors of `change`, `overloaded` and `invalid`: certainly nothing was written, nor will be: what
// was sent before asked for a state that has passed. Others: not known.
using Change = std::function<Result<bool>(format::Catalog&)>;  // false: nothing to change
Status update(const Env& env, const std::string& bucket, const Change& change) {
  const auto give_up = base::Deadline::after(*env.clock, env.resolve_timeout);
  bool sent_unanswered = false;
  for (unsigned attempt = 0;; ++attempt) {
    auto read_back = read(env, bucket);
    if (!read_back) return tl::unexpected(in_doubt(read_back.error(), sent_unanswered));
    StoredCatalog& stored = *read_back;
    VARVE_TRY(const bool changed, change(stored.catalog));
    if (!changed) return {};
    const std::string key = catalog_name(bucket);
    const auto object = format::encode_catalog(stored.catalog, key, base::make_nonce(*env.random));
    const auto written = stored.etag ? env.store->replace(key, object, *stored.etag, env.deadline())
                                     : env.store->create(key, object, env.deadline());
    if (written) return {};
    if (is_definite_failure(written.error()) || give_up.passed(*env.clock)) {
      return tl::unexpected(in_doubt(written.error(), sent_unanswered));
    }
    sent_unanswered = sent_unanswered || written.error().kind != ErrorKind::conflict;
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
      VARVE_TRY(const auto stored, read_key(env, listed.key));
      if (!stored) continue;
      for (const auto& entry : stored->catalog.entries) {
        if (entry.state == format::CatalogState::active) {
          names.push_back({stored->catalog.bucket, entry.index});
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

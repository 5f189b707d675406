#include "varve/cache/tier.h"

#include "cache/key_hash.h"

namespace varve::cache {

std::uint64_t hash_of_key(std::string_view bytes) { return key_hash(bytes); }

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::evicted:
      return "evicted";
    case Cause::expired:
      return "expired";
    case Cause::replaced:
      return "replaced";
    case Cause::removed:
      return "removed";
    case Cause::lost:
      return "lost";
  }
  return "unknown";
}

bool Tier::wait_until_known(std::chrono::milliseconds) { return true; }

bool Tier::put_pinned(const Key& key, const Handle& value, const PutOptions& options,
                      std::int64_t until_ms) {
  return put(key, value, options) && pin(key, until_ms);
}

void Tier::get_batch(std::span<const Key> keys, std::span<Handle> out) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!out[i]) out[i] = get(keys[i]);
  }
}

void Tier::put_batch(std::span<const Key> keys, std::span<const Handle> values,
                     const PutOptions& options) {
  for (std::size_t i = 0; i < keys.size(); ++i) put(keys[i], values[i], options);
}

}  // namespace varve::cache

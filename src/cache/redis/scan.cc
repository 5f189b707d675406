// The walk over the entries of a tier, apart because nothing that is fast needs it.
#include <algorithm>

#include "cache/redis/redis_tier.h"

namespace varve::cache::redis {
namespace {

constexpr int kPagesMax = 16'384;
constexpr std::string_view kPageKeys = "512";

// A pattern of SCAN that stands for `text` alone.
std::string escape(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace

void RedisTier::each(const Visit& take) const {
  std::string cursor = "0";
  for (int page = 0; page < kPagesMax; ++page) {
    std::vector<std::string> names;
    std::vector<std::uint64_t> sizes;
    if (!scan_page(cursor, names, sizes)) return;
    for (std::size_t i = 0; i < names.size(); ++i) {
      // Gone meanwhile.
      if (sizes[i] == 0) continue;
      if (!take(names[i], sizes[i], false)) return;
    }
    if (cursor == "0") return;
  }
}

bool RedisTier::scan_page(std::string& cursor, std::vector<std::string>& names,
                          std::vector<std::uint64_t>& sizes) const {
  Call call(breaker_, connections_, counters_.errors, patience());
  if (!call) return false;
  const std::string& prefix = *call.epoch().prefix;
  counters_.round_trips += 2;
  call.command().append({"SCAN", cursor, "MATCH", escape(prefix) + "*", "COUNT", kPageKeys});
  const Reply page = call.next();
  if (!page) return false;
  const bool is_page = page->type == REDIS_REPLY_ARRAY && page->elements == 2 &&
                       page->element[0]->type == REDIS_REPLY_STRING &&
                       page->element[1]->type == REDIS_REPLY_ARRAY;
  if (!is_page) {
    call.refuse();
    return false;
  }
  cursor.assign(page->element[0]->str, page->element[0]->len);
  const std::span<redisReply*> found(page->element[1]->element, page->element[1]->elements);
  for (const redisReply* name : found) {
    if (name->type != REDIS_REPLY_STRING) continue;
    const std::string_view full(name->str, name->len);
    if (!full.starts_with(prefix)) continue;
    names.emplace_back(full.substr(prefix.size()));
    call.command().append({"STRLEN", full});
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Reply size = call.next();
    if (!size) return false;
    sizes.push_back(size->type == REDIS_REPLY_INTEGER ? static_cast<std::uint64_t>(size->integer)
                                                      : 0);
  }
  return true;
}

}  // namespace varve::cache::redis

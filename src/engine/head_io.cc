#include "engine/head_io.h"

#include <algorithm>

#include "base/assert.h"
#include "engine/put_once.h"

namespace varve::engine {
namespace {

// A damaged read of the one mutable object may be the transfer's fault: a few looks decide.
constexpr unsigned kReadAttempts = 3;

bool contains(const std::vector<base::Nonce>& nonces, base::Nonce nonce) {
  return std::find(nonces.begin(), nonces.end(), nonce) != nonces.end();
}

void derive_next(const format::Head& base, format::Head& next, base::Nonce nonce) {
  next.version = base.version + 1;
  next.nonce = nonce;
  next.parents = base.parents;
  next.parents.push_back(base.nonce);
  if (next.parents.size() > format::kParentsMax) next.parents.erase(next.parents.begin());
}

}  // namespace

Result<StoredHead> read_head(const Env& env, const Names& names, const format::Uuid& index) {
  const std::string key = names.head();
  for (unsigned attempt = 1;; ++attempt) {
    VARVE_TRY(auto object, env.store->get(key, env.deadline()));
    if (!object) return fail(ErrorKind::corrupt, "object '" + key + "' is missing");
    auto head = format::decode_head(object->bytes, index, key);
    if (head) return StoredHead{std::move(*head), object->etag};
    if (attempt == kReadAttempts) return tl::unexpected(head.error());
  }
}

Status explain_missing(const Env& env, const Names& names, const format::Uuid& index,
                       std::uint64_t version, const Error& missing) {
  VARVE_TRY(const StoredHead stored, read_head(env, names, index));
  if (stored.head.state == format::IndexState::deleted) return tl::unexpected(missing);
  if (stored.head.version != version) return {};
  return fail(ErrorKind::corrupt, missing.message + ", which HEAD needs");
}

Result<CasOutcome> swap_head(const Env& env, const Names& names, const format::Uuid& index,
                             const StoredHead& base, format::Head next) {
  const base::Nonce nonce = base::make_nonce(*env.random);
  derive_next(base.head, next, nonce);
  const base::Bytes object = format::encode_head(next, index, names.head());
  const auto give_up = base::Deadline::after(*env.clock, env.resolve_timeout);
  bool sent_unanswered = false;
  for (unsigned attempt = 0;; ++attempt) {
    auto etag = env.store->replace(names.head(), object, base.etag, env.deadline());
    if (etag) return CasOutcome{CasOutcome::Verdict::committed, {std::move(next), *etag}};
    if (is_definite_failure(etag.error()) && !sent_unanswered) {
      return tl::unexpected(etag.error());
    }
    auto now = read_head(env, names, index);
    if (now) {
      // The nonce decides: the write may have succeeded with its answer lost, and others may have
      // built on it since.
      if (now->head.nonce == nonce) return CasOutcome{CasOutcome::Verdict::committed, *now};
      if (contains(now->head.parents, nonce)) {
        return CasOutcome{CasOutcome::Verdict::committed, *now};
      }
      const std::uint64_t ahead = now->head.version - base.head.version;
      if (ahead > 0 && ahead < format::kParentsMax) {
        return CasOutcome{CasOutcome::Verdict::lost, *now};
      }
    }
    // Still the base version: the identical request may land late or be sent again.
    sent_unanswered = sent_unanswered || etag.error().kind != ErrorKind::conflict;
    if (give_up.passed(*env.clock)) {
      return fail(ErrorKind::unavailable,
                  "it is not known whether HEAD was changed: " + etag.error().message);
    }
    back_off(env, attempt);
  }
}

Result<StoredHead> update_head(const Env& env, const Names& names, const format::Uuid& index,
                               const HeadChange& change) {
  const auto give_up = env.deadline();
  for (unsigned attempt = 0;; ++attempt) {
    VARVE_TRY(const StoredHead base, read_head(env, names, index));
    format::Head next = base.head;
    VARVE_CHECK(change(next));
    VARVE_TRY(CasOutcome outcome, swap_head(env, names, index, base, std::move(next)));
    if (outcome.verdict == CasOutcome::Verdict::committed) return outcome.now;
    if (give_up.passed(*env.clock)) {
      return fail(ErrorKind::overloaded, "other processes change the index all the time",
                  "retry later");
    }
    back_off(env, attempt);
  }
}

}  // namespace varve::engine

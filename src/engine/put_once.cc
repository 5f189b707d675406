#include "engine/put_once.h"

#include <algorithm>
#include <string>

#include "format/envelope.h"

namespace varve::engine {
namespace {

// What the slot holds now: mine, lost, or nullopt for empty or unreadable.
std::optional<PutOutcome> look(const Env& env, std::string_view key, const format::Uuid& index,
                               base::Nonce nonce) {
  auto found = env.store->get(key, env.deadline());
  if (!found || !found->has_value()) return std::nullopt;
  // Never decide on bad bytes: a damaged read is read again.
  auto envelope = format::decode_envelope((*found)->bytes, index, key);
  if (!envelope) return std::nullopt;
  if (envelope->identity.nonce == nonce) return PutOutcome{PutOutcome::Verdict::mine, {}};
  return PutOutcome{PutOutcome::Verdict::lost, (*found)->bytes};
}

}  // namespace

bool is_definite_failure(const Error& error) {
  return error.kind == ErrorKind::overloaded || error.kind == ErrorKind::invalid;
}

void back_off(const Env& env, unsigned attempt) {
  const std::int64_t ceiling_ms = std::min<std::int64_t>(5'000, 10LL << std::min(attempt, 9U));
  env.clock->sleep_for(std::chrono::microseconds(
      static_cast<std::int64_t>(env.random->unit() * static_cast<double>(ceiling_ms) * 1000.0)));
}

Result<PutOutcome> put_once(const Env& env, std::string_view key, const base::Bytes& object,
                            const format::Uuid& index, base::Nonce nonce) {
  const auto give_up = base::Deadline::after(*env.clock, env.resolve_timeout);
  bool sent_unanswered = false;
  for (unsigned attempt = 0;; ++attempt) {
    auto created = env.store->create(key, object, env.deadline());
    if (created) return PutOutcome{PutOutcome::Verdict::mine, {}};
    // Certain only if no earlier attempt is still under way.
    if (is_definite_failure(created.error()) && !sent_unanswered) {
      return tl::unexpected(created.error());
    }
    if (auto outcome = look(env, key, index, nonce)) return *outcome;
    sent_unanswered = sent_unanswered || created.error().kind != ErrorKind::conflict;
    if (give_up.passed(*env.clock)) {
      return fail(ErrorKind::unavailable,
                  "it is not known whether '" + std::string(key) +
                      "' was written: " + created.error().message,
                  "writing the same again is safe");
    }
    back_off(env, attempt);
  }
}

}  // namespace varve::engine

#include "cache/redis/redis_tier.h"

#include <algorithm>
#include <utility>

#include "cache/record.h"

namespace varve::cache::redis {
namespace {

// Of one exchange: what a server does well within a time-out, and what a stop of it costs.
constexpr std::size_t kPartKeys = 256;
constexpr std::size_t kPartBytes = std::size_t{1} << 20;
constexpr std::size_t kShrinkShare = 64;  // one in so many

base::ByteSpan bytes_of(const redisReply& reply) {
  return base::as_bytes(std::string_view(reply.str, reply.len));
}

std::optional<Record> record_in(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_STRING) return std::nullopt;
  return decode_record(bytes_of(reply));
}

bool is_wrong_type(const redisReply& reply) {
  return std::string_view(reply.str, reply.len).starts_with("WRONGTYPE");
}

std::size_t cost_of(const Handle* value) {
  return kRecordHeaderBytes + (value == nullptr ? 0 : value->bytes().size());
}

}  // namespace

RedisTier::RedisTier(RedisOptions options, Address address, const base::Clock& clock,
                     base::Random& random)
    : options_(std::move(options)),
      clock_(clock),
      trust_(options_.name_space, options_.shared_immutable, random.next()),
      breaker_(options_.breaker, clock, random.next()),
      connections_(std::move(address), options_.connections_max, trust_) {}

void RedisTier::start() {
  auto lease = connections_.look_up()
                   ? connections_.take(deadline())
                   : Result<Connections::Lease>(fail(ErrorKind::unavailable, "redis: no host"));
  if (lease) {
    connections_.give(std::move(*lease));
    return;
  }
  ++counters_.errors;
  breaker_.trip();
}

Handle RedisTier::get(const Key& key) {
  Handle out;
  constexpr std::size_t first = 0;
  read_part({&key, 1}, {&out, 1}, {&first, 1}, patience());
  ++(out ? counters_.hits : counters_.misses);
  return out;
}

void RedisTier::get_batch(std::span<const Key> keys, std::span<Handle> out) {
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!out[i]) wanted.push_back(i);
  }
  for (std::span<const std::size_t> rest = wanted; !rest.empty();) {
    const std::size_t count = std::min(keys_at_once(), rest.size());
    const Patience patience =
        Patience::while_it_comes(base::system_clock().now(), options_.timeout);
    if (!read_part(keys, out, rest.first(count), patience)) break;
    rest = rest.subspan(count);
  }
  for (const std::size_t i : wanted) ++(out[i] ? counters_.hits : counters_.misses);
}

std::size_t RedisTier::keys_at_once() const {
  const std::size_t usual = usual_bytes_.load(std::memory_order_relaxed);
  return std::clamp(kPartBytes / std::max<std::size_t>(usual, 1), std::size_t{1}, kPartKeys);
}

// Grows at once and shrinks slowly: small values among large ones are no reason to ask for many.
void RedisTier::note_size(std::size_t bytes) {
  const std::size_t usual = usual_bytes_.load(std::memory_order_relaxed);
  const std::size_t next = bytes >= usual ? bytes : usual - (usual - bytes) / kShrinkShare;
  if (next != usual) usual_bytes_.store(next, std::memory_order_relaxed);
}

bool RedisTier::read_part(std::span<const Key> keys, std::span<Handle> out,
                          std::span<const std::size_t> chosen, Patience patience) {
  Call call(breaker_, connections_, counters_.errors, patience);
  if (!call) return false;
  ++counters_.round_trips;
  for (const std::size_t i : chosen) {
    Connection& connection = call.command();
    connection.begin_command(2);
    connection.add_argument("GET");
    connection.add_argument(*call.epoch().prefix, keys[i].bytes);
  }
  const Epoch epoch = call.epoch();
  for (const std::size_t i : chosen) {
    const Reply reply = call.next();
    if (!reply) return false;
    if (reply->type == REDIS_REPLY_ERROR && !is_wrong_type(*reply)) {
      call.refuse();  // loading, no permission
      continue;
    }
    const auto record = record_in(*reply);
    if (record && record->key != keys[i].bytes) {
      // The reply to another command: then all that follow are as well.
      ++counters_.corrupt;
      call.give_up();
      return false;
    }
    out[i] = accept(keys[i], *reply, record, epoch);
  }
  return true;
}

Handle RedisTier::accept(const Key& key, const redisReply& reply,
                         const std::optional<Record>& record, const Epoch& epoch) {
  if (reply.type == REDIS_REPLY_NIL) return {};
  if (!record || record->header.kind != RecordKind::value ||
      record->header.record_bytes() != reply.len ||
      record->header.raw_bytes > options_.value_bytes_max) {
    ++counters_.corrupt;
    return {};
  }
  const RecordHeader& header = record->header;
  if (!trust_.believes(key.hash, header.sequence, epoch.number)) return {};
  if (header.expires_ms != 0 && header.expires_ms <= clock_.wall_ms()) {
    ++counters_.expired;
    return {};
  }
  note_size(reply.len);
  Handle value = Handle::copy_of(record->payload);
  value.set_encoding(header.method, header.raw_bytes);
  value.set_expires_ms(header.expires_ms);
  return value;
}

bool RedisTier::put(const Key& key, const Handle& value, const PutOptions& options) {
  Write one = plan(key, &value, options);
  write({&one, 1});
  return one.value != nullptr && one.done;
}

void RedisTier::put_batch(std::span<const Key> keys, std::span<const Handle> values,
                          const PutOptions& options) {
  std::vector<Write> writes;
  writes.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    writes.push_back(plan(keys[i], &values[i], options));
  }
  write(writes);
}

bool RedisTier::remove(const Key& key) {
  Write one{key};
  write({&one, 1});
  return one.done;
}

RedisTier::Write RedisTier::plan(const Key& key, const Handle* value,
                                 const PutOptions& options) const {
  Write write{key, value};
  const std::uint64_t bytes = std::max<std::uint64_t>(value->bytes().size(), value->raw_bytes());
  if (bytes > options_.value_bytes_max || key.bytes.empty() || key.bytes.size() > kKeyBytesMax) {
    ++counters_.rejected;
    write.value = nullptr;
    return write;
  }
  write.expires_ms = options.expires_ms;
  if (options.expires_ms != 0) {
    write.ttl_ms = options.expires_ms - clock_.wall_ms();
    if (write.ttl_ms <= 0) write.value = nullptr;
  }
  if (!options_.shared_immutable) {
    const std::int64_t most = options_.stay_max.count();
    write.ttl_ms = options.expires_ms == 0 ? most : std::min(write.ttl_ms, most);
  }
  return write;
}

void RedisTier::write(std::span<Write> writes) {
  while (!writes.empty()) {
    std::size_t count = 1;
    std::size_t bytes = cost_of(writes[0].value);
    while (count < writes.size() && count < kPartKeys) {
      bytes += cost_of(writes[count].value);
      if (bytes > kPartBytes) break;
      ++count;
    }
    write_part(writes.first(count));
    writes = writes.subspan(count);
  }
}

void RedisTier::write_part(std::span<Write> writes) {
  std::uint64_t turns = 0;
  for (const Write& write : writes) turns |= KeyTurns::bit_of(write.key.hash);
  const Patience left = patience();
  const bool taken = turns_.take(turns, left.until());
  // Without a turn the sequence may be below that of a write under way, which then is not believed
  // either.
  for (Write& write : writes) write.sequence = trust_.next_sequence();
  if (taken) {
    Call call(breaker_, connections_, counters_.errors, left);
    if (call) send(call, writes);
    // One that broke says nothing for sure, also of what it answered before.
    if (!call) {
      for (Write& write : writes) write.settled = write.done = false;
    }
  } else {
    ++counters_.errors;
  }
  for (const Write& write : writes) {
    if (!write.settled) trust_.doubt(write.key.hash, write.sequence);
  }
  if (taken) turns_.give(turns);
}

void RedisTier::send(Call& call, std::span<Write> writes) {
  ++counters_.round_trips;
  const std::string& prefix = *call.epoch().prefix;
  std::vector<std::byte> record;
  for (const Write& write : writes) {
    Connection& connection = call.command();
    if (write.value == nullptr) {
      connection.begin_command(2);
      connection.add_argument("DEL");
      connection.add_argument(prefix, write.key.bytes);
      continue;
    }
    const base::ByteSpan payload = write.value->bytes();
    RecordHeader header;
    header.method = write.value->method();
    header.key_bytes = static_cast<std::uint16_t>(write.key.bytes.size());
    header.stored_bytes = static_cast<std::uint32_t>(payload.size());
    header.raw_bytes = static_cast<std::uint32_t>(write.value->raw_bytes());
    header.sequence = write.sequence;
    header.expires_ms = write.expires_ms;
    record.resize(header.record_bytes());
    encode_record(header, write.key.bytes, payload, record);
    connection.begin_command(write.ttl_ms == 0 ? 3 : 5);
    connection.add_argument("SET");
    connection.add_argument(prefix, write.key.bytes);
    connection.add_argument(base::as_text(record));
    if (write.ttl_ms == 0) continue;
    connection.add_argument("PX");
    connection.add_argument(std::to_string(write.ttl_ms));
  }
  for (Write& write : writes) {
    const Reply reply = call.next();
    if (!reply) return;
    settle(write, *reply);
  }
  delete_refused(call, writes);
}

void RedisTier::settle(Write& write, const redisReply& reply) {
  if (write.value == nullptr) {
    write.settled = reply.type == REDIS_REPLY_INTEGER;
    write.done = write.settled && reply.integer > 0;
    if (write.done) ++counters_.removed;
    return;
  }
  write.settled = reply.type == REDIS_REPLY_STATUS;
  write.done = write.settled;
  if (write.done) ++counters_.insertions;
}

void RedisTier::delete_refused(Call& call, std::span<Write> writes) {
  std::size_t refused = 0;
  for (const Write& write : writes) {
    if (write.settled) continue;
    ++refused;
    Connection& connection = call.command();
    connection.begin_command(2);
    connection.add_argument("DEL");
    connection.add_argument(*call.epoch().prefix, write.key.bytes);
  }
  if (refused == 0) return;
  ++counters_.errors;
  ++counters_.round_trips;
  for (Write& write : writes) {
    if (write.settled) continue;
    const Reply reply = call.next();
    if (!reply) return;
    write.settled = reply->type == REDIS_REPLY_INTEGER;
    // It takes neither values nor deletions: loading, or a replica.
    if (!write.settled) call.refuse();
  }
}

TierStats RedisTier::stats() const {
  TierStats stats;
  stats.hits = counters_.hits;
  stats.misses = counters_.misses;
  stats.insertions = counters_.insertions;
  stats.rejected = counters_.rejected;
  stats.expired = counters_.expired;
  stats.removed = counters_.removed;
  stats.errors = counters_.errors;
  stats.corrupt = counters_.corrupt;
  stats.round_trips = counters_.round_trips;
  stats.available = breaker_.is_closed();
  return stats;
}

void RedisTier::maintain() {
  if (breaker_.is_closed()) return;
  // The server may have moved. Not found: the next call finds out that nothing changed.
  static_cast<void>(connections_.look_up());
  Call call(breaker_, connections_, counters_.errors, patience());
  if (!call) return;
  ++counters_.round_trips;
  call.command().append({"PING"});
  const Reply reply = call.next();
  if (reply && reply->type == REDIS_REPLY_ERROR) call.refuse();
}

}  // namespace varve::cache::redis

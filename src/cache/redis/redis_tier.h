#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/record.h"
#include "cache/redis/breaker.h"
#include "cache/redis/call.h"
#include "cache/redis/connections.h"
#include "cache/redis/key_turns.h"
#include "cache/redis/trust.h"
#include "varve/cache/redis.h"

namespace varve::cache::redis {

class RedisTier final : public Tier {
 public:
  RedisTier(RedisOptions options, Address address, const base::Clock& clock, base::Random& random);

  // Tries the server once.
  void start();

  std::string_view name() const override { return "redis"; }
  Handle get(const Key& key) override;
  void get_batch(std::span<const Key> keys, std::span<Handle> out) override;
  bool put(const Key& key, const Handle& value, const PutOptions& options) override;
  void put_batch(std::span<const Key> keys, std::span<const Handle> values,
                 const PutOptions& options) override;
  bool remove(const Key& key) override;
  bool may_contain(const Key&) const override { return true; }
  bool knows_its_keys() const override { return false; }
  bool pin(const Key&, std::int64_t) override { return false; }
  bool unpin(const Key&) override { return false; }
  void each(const Visit& take) const override;
  void set_capacity(const Capacity&) override {}
  Capacity capacity() const override { return {}; }
  TierStats stats() const override;
  void maintain() override;
  bool is_persistent() const override { return true; }
  void set_owner(TierOwner*) override {}

 private:
  struct Write {
    Key key;
    const Handle* value = nullptr;  // null: delete it
    std::int64_t expires_ms = 0;
    std::int64_t ttl_ms = 0;  // 0: none
    std::uint64_t sequence = 0;
    bool settled = false;  // the server did what was asked, or deleted the key
    bool done = false;     // it kept the value, or had one to delete
  };

  // False: the server failed, so that it is no use going on.
  bool read_part(std::span<const Key> keys, std::span<Handle> out,
                 std::span<const std::size_t> chosen, Patience patience);
  // How many keys to ask for at once, by the sizes of what came lately.
  std::size_t keys_at_once() const;
  void note_size(std::size_t bytes);
  // Empty: a miss, or not to be believed.
  Handle accept(const Key& key, const redisReply& reply, const std::optional<Record>& record,
                const Epoch& epoch);
  Write plan(const Key& key, const Handle* value, const PutOptions& options) const;
  void write(std::span<Write> writes);
  void write_part(std::span<Write> writes);
  void send(Call& call, std::span<Write> writes);
  void settle(Write& write, const redisReply& reply);
  // Deletes what the server refused to take, so that no older value stays.
  void delete_refused(Call& call, std::span<Write> writes);
  bool scan_page(std::string& cursor, std::vector<std::string>& names,
                 std::vector<std::uint64_t>& sizes) const;
  base::TimePoint deadline() const { return base::system_clock().now() + options_.timeout; }
  Patience patience() const { return Patience::once(base::system_clock().now(), options_.timeout); }

  const RedisOptions options_;
  const base::Clock& clock_;
  Trust trust_;
  mutable Breaker breaker_;
  mutable Connections connections_;
  KeyTurns turns_;
  std::atomic<std::size_t> usual_bytes_{0};  // of a record

  struct Counters {
    std::atomic<std::uint64_t> hits{0}, misses{0}, insertions{0}, rejected{0}, expired{0},
        removed{0}, errors{0}, corrupt{0}, round_trips{0};
  };
  mutable Counters counters_;
};

}  // namespace varve::cache::redis

#include "cache/layered/layered_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/result.h"
#include "cache/encoding.h"
#include "cache/key_hash.h"
#include "cache/layered/batch_gets.h"

namespace varve::cache {
namespace {

// Keys of which it is known how often they were asked for.
constexpr std::size_t kSketchEntries = 8192;
// Hashes of entries that left without a hit: written down when they leave a second time.
constexpr std::size_t kGhosts = 4096;

// A disk tier reads the indexes of a gigabyte in a tenth of a second.
constexpr std::chrono::minutes kSettleTime{10};

// What a tier takes for a value, but not the last layer for a write of it.
constexpr std::chrono::milliseconds kMovePatience{50};

// Can be added to any moment without an overflow.
constexpr std::chrono::hours kForever{24 * 365 * 100};

LayeredOptions with_bounded_times(LayeredOptions options) {
  for (auto* time : {&options.timeout, &options.negative_ttl, &options.maintain_every}) {
    *time = std::clamp<std::chrono::milliseconds>(*time, std::chrono::milliseconds(0), kForever);
  }
  return options;
}

// Where nothing was given.
class NoSource final : public Source {
 public:
  std::string_view name() const override { return "none"; }
  std::unique_ptr<Loads> load(std::span<const Key> keys, std::chrono::milliseconds) override {
    return std::make_unique<NoLoads>(keys.size());
  }

 private:
  class NoLoads final : public Loads {
   public:
    explicit NoLoads(std::size_t count) : count_(count) {}
    std::optional<Loaded> next() override {
      if (next_ == count_) return std::nullopt;
      return Loaded{next_++, fail(ErrorKind::invalid, "the cache has no last layer to load from")};
    }

   private:
    const std::size_t count_;
    std::size_t next_ = 0;
  };
};

}  // namespace

StackedCache::StackedCache(std::vector<std::unique_ptr<Tier>> tiers, std::shared_ptr<Source> source,
                           LayeredOptions options)
    : options_(with_bounded_times(std::move(options))),
      clock_(options_.clock != nullptr ? *options_.clock : base::system_clock()),
      source_(source != nullptr ? std::move(source) : std::make_shared<NoSource>()),
      tiers_(std::move(tiers)),
      first_(tiers_.empty() ? nullptr : tiers_[0].get()),
      moves_(options_.moves_max, options_.move_bytes_max, options_.pool,
             [this](const Move& move) { make(move); }) {
  VARVE_ASSERT(tiers_.size() <= ReadCounts::kTiersMax);
  asked_.reserve(kSketchEntries);
  left_.set_capacity(kGhosts);
  for (std::size_t i = 0; i < tiers_.size(); ++i) {
    links_.push_back(std::make_unique<Link>(*this, i));
    tiers_[i]->set_owner(links_.back().get());
  }
  // Under another clock nothing is due because a second of this one is over.
  const bool has_clock = &clock_ == &base::system_clock();
  if (tiers_.empty() || !has_clock || options_.maintain_every.count() <= 0) return;
  upkeep_.start(options_.maintain_every, [this] { maintain(); });
}

// A tier may tell what leaves it to its very end, from threads of its own; the first goes first,
// since entries that leave it are looked for in the next.
StackedCache::~StackedCache() {
  upkeep_.stop();
  moves_.stop();
  for (auto& tier : tiers_) tier.reset();
}

Status check_key(std::string_view key) {
  if (!key.empty() && key.size() <= kKeyBytesMax) return {};
  return fail(ErrorKind::invalid,
              fmt::format("key of {} bytes: 1 to {} are allowed", key.size(), kKeyBytesMax));
}

namespace {

// What a tier has, made where the answer lies: moving a handle costs as much as finding it.
struct Asked {
  Tier* tier;  // null: nobody
  const Key& key;
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator Handle() const { return tier != nullptr ? tier->get(key) : Handle(); }
};

}  // namespace

// One variable for the answer on all paths, so that it is made in the caller's place. Without the
// compiler's guard of the stack, which holds no array here.
__attribute__((no_stack_protector)) Result<Handle> StackedCache::get(std::string_view text) {
  const bool is_valid = text.size() - 1 < kKeyBytesMax;
  const Key key(text, is_valid ? key_hash(text) : 0);
  Result<Handle> answer(tl::in_place, Asked{is_valid ? first_ : nullptr, key});
  if (*answer && answer->method() == 0) [[likely]] {
    return answer;
  }
  get_further(key, answer);
  return answer;
}

Result<Handle> StackedCache::find_further(const Key& key, const Handle& kept) {
  VARVE_CHECK(check_key(key.bytes));
  if (kept) {
    Handle hit = take_found(key, kept, 0, 0);
    if (hit) return hit;
  }
  if (Found found = find_below(key, 1); found.value) {
    moves_.run_unless_pool();
    return std::move(found.value);
  }
  return load(key);
}

void StackedCache::get_further(const Key& key, Result<Handle>& answer) {
  answer = find_further(key, *answer);
}

StackedCache::Found StackedCache::find_below(const Key& key, std::size_t first) {
  const std::uint64_t version = order_.version(key.hash);
  for (std::size_t i = first; i < tiers_.size(); ++i) {
    const Handle kept = tiers_[i]->get(key);
    if (!kept) continue;
    Handle value = take_found(key, kept, i, version);
    if (value) return {std::move(value), i};
  }
  return {};
}

Handle StackedCache::take_found(const Key& key, const Handle& kept, std::size_t number,
                                std::uint64_t version) {
  Handle value = decode_value(kept);
  if (!value) {
    counts_.add(decode_errors);
    tiers_[number]->remove(key);
    return value;
  }
  if (number == 0 || !is_asked_often(key.hash)) return value;
  const bool added = moves_.add({std::string(key.bytes), key.hash, kept, number, 0, version});
  counts_.add(added ? promotions : promotions_dropped);
  return value;
}

std::unique_ptr<Gets> StackedCache::get_batch(std::span<const std::string_view> keys) {
  return std::make_unique<BatchGets>(*this, keys, *source_, true);
}

std::unique_ptr<Gets> StackedCache::load_batch(std::span<const std::string_view> keys,
                                               Source& source) {
  return std::make_unique<BatchGets>(*this, keys, source, false);
}

std::size_t StackedCache::find_batch(std::span<const Key> keys, std::span<Handle> out,
                                     ReadCounts& counts) {
  std::size_t missing = 0;
  if (first_ != nullptr && !first_->knows_its_keys()) {
    // A server: one exchange for all.
    for (const Handle& value : out) missing += value ? 0 : 1;
    missing -= find_batch_from(0, keys, out, counts);
    moves_.run_unless_pool();
    return missing;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (out[i]) continue;
    if (!tiers_.empty()) out[i] = tiers_[0]->get(keys[i]);
    if (out[i] && out[i].method() != 0) out[i] = take_found(keys[i], out[i], 0, 0);
    (out[i] ? counts.tiers[0] : missing) += 1;
  }
  if (missing == 0 || tiers_.size() < 2) return missing;
  missing -= find_batch_from(1, keys, out, counts);
  moves_.run_unless_pool();
  return missing;
}

// Returns how many it found.
std::size_t StackedCache::find_batch_from(std::size_t first, std::span<const Key> keys,
                                          std::span<Handle> out, ReadCounts& counts) {
  std::vector<std::uint64_t> versions(keys.size());
  std::vector<bool> is_wanted(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    is_wanted[i] = !out[i];
    if (is_wanted[i]) versions[i] = order_.version(keys[i].hash);
  }
  std::size_t found = 0;
  for (std::size_t tier = first; tier < tiers_.size(); ++tier) {
    tiers_[tier]->get_batch(keys, out);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!is_wanted[i] || !out[i]) continue;
      out[i] = take_found(keys[i], out[i], tier, versions[i]);
      if (!out[i]) continue;
      is_wanted[i] = false;
      ++counts.tiers[tier];
      ++found;
    }
  }
  return found;
}

Handle StackedCache::peek(std::string_view text) {
  if (!check_key(text)) return {};
  const Key key(text);
  for (const auto& tier : tiers_) {
    if (const Handle kept = tier->get(key)) return decode_value(kept);
  }
  return {};
}

Result<Handle> StackedCache::load(const Key& key) {
  const base::TimePoint now = clock_.now();
  if (flights_.is_absent(key.bytes, now)) {
    counts_.add(negative_hits);
    return Handle();
  }
  const base::TimePoint deadline = now + options_.timeout;
  Flights::Ticket ticket = flights_.join(key.bytes);
  if (ticket.leads) return load_as_leader(key, ticket.flight, deadline);
  counts_.add(loads_shared);
  return wait_for(key, ticket.flight, deadline);
}

tl::unexpected<Error> load_is_late() {
  return fail(ErrorKind::cancelled, "the load of a value by another thread takes too long");
}

Result<Handle> StackedCache::wait_for(const Key& key, const std::shared_ptr<Flight>& flight,
                                      base::TimePoint deadline) {
  const base::TimePoint patience = clock_.now() + kPatience;
  const Flight::Outcome outcome = flight->wait(clock_, std::min(patience, deadline));
  if (outcome.value) return shared_value(*outcome.value);
  if (outcome.leads) return load_as_leader(key, flight, deadline);
  if (clock_.now() >= deadline) return load_is_late();
  // Who comes from now on joins the load that this thread, or the first as impatient, begins.
  flights_.end(key.bytes, flight);
  if (Handle value = peek(key.bytes)) return value;
  Flights::Ticket ticket = flights_.join(key.bytes);
  if (ticket.leads) return load_as_leader(key, ticket.flight, deadline);
  const Flight::Outcome second = ticket.flight->wait(clock_, deadline);
  if (second.value) return shared_value(*second.value);
  if (second.leads) return load_as_leader(key, ticket.flight, deadline);
  return load_is_late();
}

std::chrono::milliseconds StackedCache::time_left(base::TimePoint deadline) const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_.now());
  return std::max(left, std::chrono::milliseconds(0));
}

Handle StackedCache::shared_value(const Handle& value) const {
  const std::int64_t expires_ms = value.expires_ms();
  return expires_ms == 0 || expires_ms > clock_.wall_ms() ? value : Handle();
}

Result<Handle> decode_loaded(Result<Handle> loaded) {
  if (!loaded || !*loaded || loaded->method() == 0) return loaded;
  Handle value = decode_value(*loaded);
  if (!value) return fail(ErrorKind::corrupt, "the last layer's value cannot be decoded");
  return value;
}

Result<Handle> StackedCache::load_as_leader(const Key& key, const std::shared_ptr<Flight>& flight,
                                            base::TimePoint deadline) {
  const std::uint64_t version = order_.version(key.hash);
  counts_.add(loads);
  const auto loading = source_->load(std::span(&key, 1), time_left(deadline));
  auto loaded = loading->next();
  if (!loaded) {
    loaded = Loads::Loaded{0, fail(ErrorKind::internal, "a load ended without its result")};
  }
  Result<Handle> value = decode_loaded(std::move(loaded->value));
  land(key, flight, version, deadline, value);
  moves_.run_unless_pool();
  return value;
}

Result<bool> StackedCache::pin(std::string_view text, std::int64_t until_ms) {
  if (auto checked = check_key(text); !checked) return tl::unexpected(checked.error());
  const std::uint64_t version = order_.version(Key(text).hash);
  auto value = get(text);
  if (!value) return tl::unexpected(value.error());
  return *value && pin_value(text, *value, version, until_ms);
}

std::uint64_t StackedCache::version(std::string_view key) const {
  return order_.version(hash_of_key(key));
}

bool StackedCache::pin_found(std::string_view text, const Handle& value, std::uint64_t version,
                             std::int64_t until_ms) {
  return check_key(text) && pin_value(text, value, version, until_ms);
}

bool StackedCache::pin_value(std::string_view text, const Handle& value, std::uint64_t version,
                             std::int64_t until_ms) {
  if (tiers_.empty()) return false;
  const Key key(text);
  if (tiers_[0]->pin(key, until_ms)) return true;
  bool done = false;
  {
    // It was found further down, or came in meanwhile.
    const base::TimePoint deadline = clock_.now() + options_.timeout;
    const WriteOrder::Bringing turn(order_, key.hash, version, clock_, deadline);
    if (!turn.is_held() || !turn.is_current()) return false;
    done = surely_has(*tiers_[0], key)
               ? tiers_[0]->pin(key, until_ms)
               : tiers_[0]->put_pinned(key, value, {value.expires_ms()}, until_ms);
  }
  moves_.run_unless_pool();
  return done;
}

bool StackedCache::unpin(std::string_view text) {
  if (!check_key(text) || tiers_.empty()) return false;
  const bool done = tiers_[0]->unpin(Key(text));
  moves_.run_unless_pool();
  return done;
}

bool StackedCache::is_asked_often(std::uint64_t hash) {
  std::lock_guard lock(sketch_mutex_);
  asked_.add(hash);
  return asked_.estimate(hash) >= options_.promote_after;
}

bool StackedCache::left_before(std::uint64_t hash) {
  std::lock_guard lock(sketch_mutex_);
  if (left_.take(hash)) return true;
  left_.add(hash, {});
  return false;
}

bool StackedCache::surely_has(const Tier& tier, const Key& key) {
  return tier.knows_its_keys() && tier.may_contain(key);
}

// What leaves a tier for lack of room goes one down, unless that has it already: at once if it was
// hit, else when it leaves for the second time, since most of what comes in is never asked for
// again.
void StackedCache::demote(std::size_t number, const Removal& removal) {
  const std::size_t below = number + 1;
  if (removal.cause != Cause::evicted || !removal.value || below >= tiers_.size()) return;
  const Key key(removal.key, removal.hash);
  if (surely_has(*tiers_[below], key)) return;
  if (!removal.was_hit && !left_before(removal.hash)) return;
  const bool added = moves_.add(
      {std::string(removal.key), removal.hash, removal.value, number, below, removal.version});
  counts_.add(added ? demotions : demotions_dropped);
}

void StackedCache::make(const Move& move) {
  const Key key(move.key, move.hash);
  Handle value = move.value;
  const bool goes_up = move.to < move.from;
  if (!goes_up && value.method() == 0) value = encoded_value(value);
  // A wait for a thread: the time of the system, whatever the entries are told.
  base::Clock& system = base::system_clock();
  const WriteOrder::Bringing turn(order_, move.hash, move.version, system,
                                  system.now() + kMovePatience);
  if (!turn.is_held()) {
    // Writes take as long as the last layer likes, and other moves wait behind this one.
    counts_.add(goes_up ? promotions_dropped : demotions_dropped);
    return;
  }
  if (!turn.is_current()) {
    counts_.add(stale_dropped);
    return;
  }
  Tier& target = *tiers_[move.to];
  if (surely_has(target, key)) return;
  if (target.is_persistent()) value = portable_value(value);
  const bool kept = value && target.put(key, value, {move.value.expires_ms()});
  if (kept && options_.exclusive && goes_up) tiers_[move.from]->remove(key);
}

LayeredStats StackedCache::stats() const {
  LayeredStats stats;
  for (const auto& tier : tiers_) stats.tiers.push_back({std::string(tier->name()), tier->stats()});
  stats.loads = counts_.sum(loads);
  stats.load_errors = counts_.sum(load_errors);
  stats.loads_shared = counts_.sum(loads_shared);
  stats.negative_hits = counts_.sum(negative_hits);
  stats.stale_dropped = counts_.sum(stale_dropped);
  stats.promotions = counts_.sum(promotions);
  stats.promotions_dropped = counts_.sum(promotions_dropped);
  stats.demotions = counts_.sum(demotions);
  stats.demotions_dropped = counts_.sum(demotions_dropped);
  stats.decode_errors = counts_.sum(decode_errors);
  stats.waiting_moves = moves_.count();
  stats.waiting_bytes = moves_.bytes();
  return stats;
}

void StackedCache::maintain() {
  for (const auto& tier : tiers_) tier->maintain();
  moves_.run_unless_pool();
}

void StackedCache::settle() {
  for (const auto& tier : tiers_) {
    tier->wait_until_known(kSettleTime);
    tier->maintain();
  }
  moves_.settle();
}

std::unique_ptr<LayeredCache> make_layered_cache(std::vector<std::unique_ptr<Tier>> tiers,
                                                 std::shared_ptr<Source> source,
                                                 LayeredOptions options) {
  return std::make_unique<StackedCache>(std::move(tiers), std::move(source), std::move(options));
}

}  // namespace varve::cache

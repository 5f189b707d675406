// Hits in the first two tiers.
#include <fmt/format.h>
#include <sched.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "base/result.h"
#include "cli/cache_bench/caches.h"
#include "cli/cache_bench/peers.h"
#include "cli/cache_bench/timing.h"
#include "varve/cache/compress.h"

namespace varve::cli::cache_bench {
namespace {

using cache::Handle;
using cache::LayeredCache;
using Vector = std::vector<float>;

constexpr std::size_t kFewKeys = 1000;
constexpr std::size_t kManyKeys = 100'000;
constexpr const char* kCopyPeer = "unordered_map + list + mutex, copies the vector";

Vector vector_of(std::size_t number) {
  return Vector(kCacheDim, static_cast<float>(number + 1) * 0.001F);
}

Result<std::unique_ptr<LayeredCache>> filled_ram(std::size_t keys) {
  std::vector<std::unique_ptr<cache::Tier>> tiers;
  tiers.push_back(ram_tier(0));
  auto made = cache::make_layered_cache(std::move(tiers), empty_source(), {});
  for (std::size_t i = 0; i < keys; ++i) {
    const Vector vector = vector_of(i);
    VARVE_CHECK(made->put(KeyStream::key_of(i), std::as_bytes(std::span(vector)), {}));
  }
  return made;
}

// A get whose answer is used, so that no compiler leaves it out.
auto getter(LayeredCache& cache, KeyStream& stream, std::size_t& missed) {
  return [&] {
    const Result<Handle> value = cache.get(stream.next());
    if (!value || value->bytes().size() != kCacheVectorBytes) ++missed;
  };
}

template <typename Value>
auto peer_getter(TextbookLru<Value>& peer, KeyStream& stream, std::size_t& missed) {
  return [&] {
    const auto value = peer.get(stream.next());
    if (!value) ++missed;
  };
}

Status all_were_hits(std::size_t missed, const std::string& name) {
  if (missed == 0) return {};
  return fail(ErrorKind::internal, fmt::format("{}: {} gets were no hits", name, missed));
}

template <typename Value, typename Make>
std::unique_ptr<TextbookLru<Value>> filled_peer(std::size_t keys, const Make& make) {
  auto peer = std::make_unique<TextbookLru<Value>>(keys);
  for (std::size_t i = 0; i < keys; ++i) peer->put(KeyStream::key_of(i), make(i));
  return peer;
}

using Encode = std::function<Handle(const Handle&)>;

Result<std::unique_ptr<LayeredCache>> filled_packed(const CodecSet& vectors, const Encode& encode) {
  auto made = cache_over(packed_tier(encode));
  for (std::size_t i = 0; i < vectors.count(); ++i) {
    const std::string key = KeyStream::key_of(i);
    made->tier(1).put(cache::Key(key), Handle::copy_of(vectors.vector(i)), {});
    VARVE_TRY(const Handle back, made->get(key));
    const bool same =
        back.bytes().size() == vectors.vector_bytes &&
        std::memcmp(back.bytes().data(), vectors.vector(i).data(), vectors.vector_bytes) == 0;
    if (!same)
      return fail(ErrorKind::internal, fmt::format("vector {} came back with other bits", i));
  }
  return made;
}

double compression_of(LayeredCache& cache) {
  const cache::TierStats stats = cache.tier(1).stats();
  return static_cast<double>(stats.raw_bytes) / static_cast<double>(stats.value_bytes);
}

CodecSet constant_vectors() {
  CodecSet set{"constant vectors, a value each", kCacheVectorBytes, {}};
  for (std::size_t i = 0; i < kCodecVectors; ++i) {
    const Vector vector = vector_of(i);
    const auto bytes = std::as_bytes(std::span(vector));
    set.bytes.insert(set.bytes.end(), bytes.begin(), bytes.end());
  }
  return set;
}

// Threads that the kernel puts on one core for a while say nothing about two.
void stay_on_core(unsigned number) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || number-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    static_cast<void>(::sched_setaffinity(0, sizeof(one), &one));
    return;
  }
}

// Gets of all threads together a second, each thread with its own stream.
double gets_per_second(unsigned threads, const std::function<void(unsigned)>& run_gets,
                       std::size_t gets) {
  std::atomic<unsigned> ready{0};
  std::vector<std::thread> running;
  std::vector<SteadyClock::time_point> begins(threads), ends(threads);
  for (unsigned number = 0; number < threads; ++number) {
    running.emplace_back([&, number] {
      stay_on_core(number);
      run_gets(number);  // warms up
      ++ready;
      while (ready.load() < threads) std::this_thread::yield();
      begins[number] = SteadyClock::now();
      run_gets(number);
      ends[number] = SteadyClock::now();
    });
  }
  for (std::thread& thread : running) thread.join();
  double rate = 0;
  for (unsigned number = 0; number < threads; ++number) {
    rate += static_cast<double>(gets) /
            std::chrono::duration<double>(ends[number] - begins[number]).count();
  }
  return rate;
}

struct Scaling {
  double one = 0, two = 0;  // gets a second
  double two_p99_ns = 0;    // of a get, over the rounds
};
double nanoseconds(double gets_per_second) { return 1e9 / gets_per_second; }

// The best of several rounds: other processes only ever take away.
Scaling scaling_of(const std::function<void(unsigned)>& run_gets, std::size_t gets) {
  constexpr int kRounds = 60;
  Scaling best;
  Times of_two;
  for (int round = 0; round < kRounds; ++round) {
    best.one = std::max(best.one, gets_per_second(1, run_gets, gets));
    const double two = gets_per_second(2, run_gets, gets);
    best.two = std::max(best.two, two);
    of_two.add(nanoseconds(two));
  }
  best.two_p99_ns = of_two.p99();
  return best;
}

}  // namespace

Rows measure_l1(const CacheBench&, const std::string& name) {
  const std::size_t keys = name == "l1_1k" ? kFewKeys : kManyKeys;
  VARVE_TRY(const auto ours, filled_ram(keys));
  KeyStream stream(keys), peer_stream(keys);
  std::size_t missed = 0;
  Times times, copies, shared;
  const auto get = getter(*ours, stream, missed);
  // Every key has been asked for before the clock starts, or nearly.
  // Many where they are short: one of them is quiet even on a busy machine.
  const Turns turns{keys <= 10'000 ? 240U : 36U, 128, 5 * keys};
  {
    const auto peer = filled_peer<Vector>(keys, vector_of);
    time_by_turns(times, get, copies, peer_getter(*peer, peer_stream, missed), turns);
  }
  Times beside_shared;
  const auto peer = filled_peer<std::shared_ptr<const Vector>>(
      keys, [](std::size_t i) { return std::make_shared<const Vector>(vector_of(i)); });
  time_by_turns(beside_shared, get, shared, peer_getter(*peer, peer_stream, missed), turns);
  VARVE_CHECK(all_were_hits(missed, name));
  CacheRow row{name, times.p50(), times.p99(), kCopyPeer, copies.p50(), {}, {}};
  row.about = "a handle through LayeredCache::get, not a copy";
  row.more = {{"entries", static_cast<double>(keys)},
              {"value_bytes", kCacheVectorBytes},
              {"shared_ptr_peer_p50_ns", shared.p50()},
              {"p50_beside_shared_ptr_peer_ns", beside_shared.p50()},
              {"p10_ns", times.at(0.10)}};
  return std::vector<CacheRow>{row};
}

Rows measure_l2(const CacheBench& bench, const std::string& name) {
  const bool constant = name == "l2_constant";
  const CodecSet vectors = constant ? constant_vectors() : bench.vectors;
  VARVE_TRY(const auto best, filled_packed(vectors, cache::compressed()));
  VARVE_TRY(const auto peer, filled_packed(vectors, by_zstd));
  KeyStream stream(vectors.count()), peer_stream(vectors.count());
  std::size_t missed = 0;
  Times times, peers;
  time_by_turns(times, getter(*best, stream, missed), peers, getter(*peer, peer_stream, missed),
                {24, 32, 2 * vectors.count()});
  VARVE_CHECK(all_were_hits(missed, name));
  CacheRow row{name,
               times.p50(),
               times.p99(),
               "the same tier with zstd-3",
               peers.p50(),
               vectors.name,
               {{"compression", compression_of(*best)},
                {"peer_compression", compression_of(*peer)},
                {"vectors", static_cast<double>(vectors.count())}}};
  CacheRow zstd{
      name + "_zstd",
      peers.p50(),
      peers.p99(),
      "the best codec",
      times.p50(),
      vectors.name,
      {{"compression", compression_of(*peer)}, {"peer_compression", compression_of(*best)}}};
  return std::vector<CacheRow>{row, zstd};
}

Rows measure_two_threads(const CacheBench&, const std::string& name) {
  constexpr std::size_t kGets = 400'000;
  VARVE_TRY(const auto ours, filled_ram(kFewKeys));
  const auto peer = filled_peer<Vector>(kFewKeys, vector_of);
  std::vector<KeyStream> streams(2, KeyStream(kFewKeys));
  std::atomic<std::size_t> missed = 0;
  const auto gets_with = [&](std::size_t gets, auto make_getter) {
    return [&, gets, make_getter](unsigned number) {
      std::size_t mine = 0;
      const auto get = make_getter(streams[number], mine);
      for (std::size_t i = 0; i < gets; ++i) get();
      missed += mine;
    };
  };
  const Scaling own = scaling_of(
      gets_with(kGets,
                [&](KeyStream& keys, std::size_t& mine) { return getter(*ours, keys, mine); }),
      kGets);
  const std::size_t fewer = kGets / 10;
  const Scaling others = scaling_of(
      gets_with(fewer,
                [&](KeyStream& keys, std::size_t& mine) { return peer_getter(*peer, keys, mine); }),
      fewer);
  VARVE_CHECK(all_were_hits(missed, name));
  CacheRow row{name, nanoseconds(own.two), own.two_p99_ns, kCopyPeer, nanoseconds(others.two), {},
               {}};
  row.about = "time of both threads together for one get; the best of 60 rounds, p99 over them";
  row.more = {{"one_thread_gets_per_second", own.one},
              {"two_threads_gets_per_second", own.two},
              {"scaling", own.two / own.one},
              {"peer_scaling", others.two / others.one}};
  return std::vector<CacheRow>{row};
}

}  // namespace varve::cli::cache_bench

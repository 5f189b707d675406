// Gets and batches of 6 KB values against a server of its own on a Unix socket.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "cache/redis/test_server.h"
#include "varve/cache/redis.h"

namespace varve::cache::redis {
namespace {

constexpr std::size_t kKeys = 1'000;
constexpr std::size_t kValueBytes = 6'144;

class RedisBench : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State& state) override {
    if (!TestServer::is_installed()) {
      state.SkipWithError("redis-server is not installed");
      return;
    }
    server_ = std::make_unique<TestServer>();
    RedisOptions options;
    options.url = server_->url();
    options.name_space = "bench";
    options.timeout = std::chrono::milliseconds(500);
    tier_ = std::move(*open_redis_tier(options));
    for (std::size_t i = 0; i < kKeys; ++i) names_.push_back(fmt::format("key-{}", i));
    for (const std::string& name : names_) keys_.emplace_back(name);
    values_.assign(kKeys, Handle::copy_of(base::as_bytes(std::string(kValueBytes, 'v'))));
    tier_->put_batch(keys_, values_, {});
  }
  void TearDown(benchmark::State&) override {
    tier_.reset();
    server_.reset();
    keys_.clear();
    names_.clear();
  }

 protected:
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<Tier> tier_;
  std::vector<std::string> names_;
  std::vector<Key> keys_;
  std::vector<Handle> values_;
};

BENCHMARK_DEFINE_F(RedisBench, Get)(benchmark::State& state) {
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(tier_->get(keys_[i++ % kKeys]));
  if (tier_->stats().misses != 0) state.SkipWithError("misses");
}
BENCHMARK_REGISTER_F(RedisBench, Get)->Unit(benchmark::kMicrosecond)->UseRealTime();

BENCHMARK_DEFINE_F(RedisBench, GetBatch)(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    std::vector<Handle> out(count);
    tier_->get_batch(std::span(keys_).first(count), out);
  }
  if (tier_->stats().misses != 0) state.SkipWithError("misses");
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_REGISTER_F(RedisBench, GetBatch)
    ->Arg(16)
    ->Arg(100)
    ->Arg(1'000)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

BENCHMARK_DEFINE_F(RedisBench, PutBatch)(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    tier_->put_batch(std::span(keys_).first(count), std::span(values_).first(count), {});
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_REGISTER_F(RedisBench, PutBatch)
    ->Arg(1)
    ->Arg(100)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

}  // namespace
}  // namespace varve::cache::redis

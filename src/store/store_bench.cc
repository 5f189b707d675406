// What a call of the local store costs, on the file system of $TMPDIR.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>

#include "store/local_store.h"

namespace varve::store {
namespace {

const auto kNever = base::Deadline::never();

struct Bench {
  std::filesystem::path path;
  std::shared_ptr<ObjectStore> store;

  Bench() {
    std::string name = (std::filesystem::temp_directory_path() / "varve-store-XXXXXX").string();
    path = ::mkdtemp(name.data());
    store = *open_local_store(path, base::Random::from_entropy());
  }
  ~Bench() { std::filesystem::remove_all(path); }

  void put(const std::string& key, std::size_t bytes) {
    const base::Buffer buffer(bytes);
    if (!store->create(key, buffer.span(), kNever)) std::abort();
  }
};

void get(benchmark::State& state) {
  Bench bench;
  bench.put("v1/i/ab/uuid/HEAD", static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(bench.store->get("v1/i/ab/uuid/HEAD", kNever));
}
BENCHMARK(get)->Arg(1024)->Arg(1 << 20);

// 64 ranges of one object in one batch.
void read_ranges(benchmark::State& state) {
  Bench bench;
  const auto bytes = static_cast<std::uint64_t>(state.range(0));
  bench.put("v1/group", 64 * 2 * bytes);
  std::vector<ReadRequest> requests;
  for (std::uint64_t i = 0; i < 64; ++i) requests.push_back({"v1/group", i * 2 * bytes, bytes, i});
  for (auto _ : state) {
    const auto batch = bench.store->read(requests, kNever);
    while (auto result = batch->next()) benchmark::DoNotOptimize(result->bytes);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(64 * bytes) * state.iterations());
}
BENCHMARK(read_ranges)->Arg(4096)->Arg(1 << 18);

// Two syncs: the file and its folder.
void create(benchmark::State& state) {
  Bench bench;
  int number = 0;
  for (auto _ : state) bench.put(fmt::format("v1/wal/{}", number++), 4096);
}
BENCHMARK(create)->Iterations(100)->UseRealTime();

void replace(benchmark::State& state) {
  Bench bench;
  std::uint64_t number = 0;
  auto etag = *bench.store->create("head", {}, kNever);
  for (auto _ : state) {
    const auto text = fmt::format("{:01000}", ++number);
    etag = *bench.store->replace("head", base::as_bytes(text), etag, kNever);
  }
}
BENCHMARK(replace)->Iterations(100)->UseRealTime();

}  // namespace
}  // namespace varve::store

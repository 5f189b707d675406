// What a call of the disk tier costs for vectors of 6,144 bytes, on the file system of $TMPDIR.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "codec/checksum.h"
#include "varve/cache/disk.h"
#include "varve/cache/policy.h"

namespace varve::cache {
namespace {

constexpr std::size_t kValueBytes = 6144;

struct Bed {
  std::filesystem::path folder;
  std::unique_ptr<Tier> tier;
  std::string value = std::string(kValueBytes, 'v');
  std::vector<std::string> keys;

  explicit Bed(std::uint64_t capacity = 0) {
    std::string name = (std::filesystem::temp_directory_path() / "varve-disk-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    open(capacity);
  }
  ~Bed() {
    tier.reset();
    std::filesystem::remove_all(folder);
  }
  void open(std::uint64_t capacity = 0) {
    DiskOptions options;
    options.folder = folder;
    options.capacity.bytes = capacity;
    tier.reset();
    tier = *open_disk_tier(options, *make_policy("fifo", 1));
  }
  void fill(std::size_t entries) {
    for (std::size_t i = 0; i < entries; ++i) {
      keys.push_back(fmt::format("docs/v/{:012}", i));
      if (!tier->put(Key(keys.back()), Handle::copy_of(base::as_bytes(value)), {})) std::abort();
    }
  }
  // Closes the tier, so that all is sealed, and drops the pages of its files.
  void make_cold() {
    tier.reset();
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      const int fd = ::open(file.path().c_str(), O_RDONLY);
      ::fsync(fd);
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      ::close(fd);
    }
    open();
    while (tier->stats().items < keys.size()) ::usleep(1000);
    drop_pages();
  }
  void drop_pages() {
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      const int fd = ::open(file.path().c_str(), O_RDONLY);
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      ::close(fd);
    }
  }
};

// Random entries of those in the page cache: how many, and whether the files were read since they
// were written, as after a restart. The kernel keeps what came by small writes in small pieces,
// which cost more to find than what came by reading ahead.
void get_warm(benchmark::State& state) {
  Bed bed;
  bed.fill(static_cast<std::size_t>(state.range(0)));
  if (state.range(1) != 0) {
    bed.make_cold();
    for (const auto& file : std::filesystem::directory_iterator(bed.folder)) {
      std::ifstream in(file.path(), std::ios::binary);
      std::string chunk(std::size_t{1} << 20, '\0');
      while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()))) continue;
    }
  }
  base::Random random(1);
  for (auto _ : state) {
    const std::string& key = bed.keys[random.below(bed.keys.size())];
    benchmark::DoNotOptimize(bed.tier->get(Key(key)));
  }
}
BENCHMARK(get_warm)->Args({64, 0})->Args({40'000, 0})->Args({40'000, 1});

void get_missing(benchmark::State& state) {
  Bed bed;
  bed.fill(40'000);
  for (auto _ : state) benchmark::DoNotOptimize(bed.tier->get(Key("docs/v/nothing")));
}
BENCHMARK(get_missing);

// Each entry once, from the device.
void get_cold(benchmark::State& state) {
  Bed bed;
  bed.fill(40'000);
  bed.make_cold();
  base::Random random(2);
  std::vector<double> took;
  for (auto _ : state) {
    const std::string& key = bed.keys[random.below(bed.keys.size())];
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(bed.tier->get(Key(key)));
    took.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(took.begin(), took.end());
  state.counters["p50_us"] = took[took.size() / 2] * 1e6;
  state.counters["p99_us"] = took[took.size() * 99 / 100] * 1e6;
}
BENCHMARK(get_cold)->Iterations(2000)->UseRealTime();

// Into a tier that is full: seals and reclaim included, which `worst_us` shows.
void put(benchmark::State& state) {
  Bed bed(std::uint64_t{256} << 20);
  const Handle value = Handle::copy_of(base::as_bytes(bed.value));
  std::uint64_t number = 0;
  std::chrono::duration<double, std::micro> worst{};
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    bed.tier->put(Key(fmt::format("docs/v/{:012}", number++)), value, {});
    worst = std::max<decltype(worst)>(worst, std::chrono::steady_clock::now() - start);
  }
  state.counters["worst_us"] = worst.count();
}
BENCHMARK(put)->Iterations(200'000);

void put_and_remove(benchmark::State& state) {
  Bed bed(std::uint64_t{256} << 20);
  const Handle value = Handle::copy_of(base::as_bytes(bed.value));
  for (auto _ : state) {
    bed.tier->put(Key("docs/v/one"), value, {});
    bed.tier->remove(Key("docs/v/one"));
  }
}
BENCHMARK(put_and_remove);

// From the call to the last of 1 GB being known. Opening alone is `open_us`.
void recover(benchmark::State& state) {
  Bed bed;
  bed.fill(165'000);
  double open_us = 0;
  for (auto _ : state) {
    bed.tier.reset();
    const auto start = std::chrono::steady_clock::now();
    bed.open();
    open_us = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() * 1e6;
    while (bed.tier->stats().items < bed.keys.size()) ::usleep(200);
  }
  state.counters["open_us"] = open_us;
  state.counters["index_bytes_per_entry"] =
      static_cast<double>(bed.tier->stats().index_bytes) / static_cast<double>(bed.keys.size());
}
BENCHMARK(recover)->Iterations(3)->UseRealTime()->Unit(benchmark::kMillisecond);

// What decides against a mapping (decision record 0012): the same bytes read and checked, without
// the tier. The argument: 0 pread into a new block, 1 a mapping.
void read_and_check(benchmark::State& state) {
  constexpr std::size_t kFileBytes = std::size_t{256} << 20;
  std::FILE* file = std::tmpfile();
  const int fd = ::fileno(file);
  const std::string chunk(std::size_t{1} << 20, 'c');
  for (std::size_t at = 0; at < kFileBytes; at += chunk.size()) {
    if (::pwrite(fd, chunk.data(), chunk.size(), static_cast<off_t>(at)) < 0) std::abort();
  }
  void* map = ::mmap(nullptr, kFileBytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
  const auto* mapped = static_cast<const std::byte*>(map);
  const auto owner = std::make_shared<int>(1);
  base::Random random(3);
  for (auto _ : state) {
    const std::size_t at = random.below((kFileBytes - kValueBytes) / 16) * 16;
    if (state.range(0) == 0) {
      std::span<std::byte> block;
      const Handle handle = Handle::make(kValueBytes, block);
      if (::pread(fd, block.data(), block.size(), static_cast<off_t>(at)) < 0) std::abort();
      benchmark::DoNotOptimize(codec::crc32c(handle.bytes()));
    } else {
      const Handle handle = Handle::borrow(owner, {mapped + at, kValueBytes});
      benchmark::DoNotOptimize(codec::crc32c(handle.bytes()));
    }
  }
  ::munmap(map, kFileBytes);
  std::fclose(file);
}
BENCHMARK(read_and_check)->Arg(0)->Arg(1);

}  // namespace
}  // namespace varve::cache

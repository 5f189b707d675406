// Hits on disk, from the page cache and without.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "base/random.h"
#include "base/result.h"
#include "cli/cache_bench/caches.h"
#include "cli/cache_bench/peers.h"
#include "cli/cache_bench/timing.h"
#include "varve/cache/compress.h"

namespace varve::cli::cache_bench {
namespace {

using cache::Handle;
using cache::LayeredCache;

constexpr std::size_t kColdGets = 1000;

struct OnDisk {
  std::unique_ptr<LayeredCache> cache;
  std::string folder;
  FilePerKey files;
};

bool is_same(const Result<Handle>& value, base::ByteSpan expected) {
  return value && value->bytes().size() == expected.size() &&
         std::memcmp(value->bytes().data(), expected.data(), expected.size()) == 0;
}

Result<OnDisk> fill(const CacheBench& bench) {
  const std::string folder = bench.folder + "/segments", peer_folder = bench.folder + "/files";
  VARVE_TRY(auto tier, disk_tier(folder));
  std::error_code failed;
  std::filesystem::create_directories(peer_folder, failed);
  OnDisk made{cache_over(std::move(tier)), folder, FilePerKey(peer_folder)};
  const auto encode = cache::compressed();
  for (std::size_t i = 0; i < bench.vectors.count(); ++i) {
    const base::ByteSpan raw = bench.vectors.vector(i);
    const std::string key = KeyStream::key_of(i);
    made.cache->tier(1).put(cache::Key(key), encode(Handle::copy_of(raw)), {});
    if (!is_same(made.cache->get(key), raw) || !made.files.put(key, base::as_text(raw))) {
      return fail(ErrorKind::internal, fmt::format("vector {} did not come back from disk", i));
    }
  }
  return made;
}

// Writes back what is dirty, which cannot be dropped otherwise.
void sync_files(const std::string& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ::fdatasync(file);
    ::close(file);
  }
}

// Files whose pages can be dropped from memory again and again.
class Droppable {
 public:
  explicit Droppable(const std::string& folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
      if (file >= 0) files_.push_back(file);
    }
  }
  ~Droppable() {
    for (const int file : files_) ::close(file);
  }
  Droppable(const Droppable&) = delete;
  Droppable& operator=(const Droppable&) = delete;
  void drop() const {
    for (const int file : files_) ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  }

 private:
  std::vector<int> files_;
};

// Reads of the device itself, past the page cache: what no cold get can be faster than. Two pages
// at random places of the largest file, as a value takes.
class DeviceReads {
 public:
  explicit DeviceReads(const std::string& folder) {
    std::string largest;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file() || entry.file_size() < bytes_) continue;
      bytes_ = entry.file_size();
      largest = entry.path();
    }
    if (bytes_ >= 2 * kReadBytes) file_ = ::open(largest.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  }
  ~DeviceReads() {
    if (file_ >= 0) ::close(file_);
  }
  DeviceReads(const DeviceReads&) = delete;
  DeviceReads& operator=(const DeviceReads&) = delete;
  // False where the file system has no such reads.
  bool is_open() const { return file_ >= 0; }
  void read_one() {
    const std::uint64_t page = random_.below((bytes_ - kReadBytes) / kPageBytes + 1);
    const auto got =
        ::pread(file_, block_.data(), kReadBytes, static_cast<off_t>(page * kPageBytes));
    if (got != static_cast<ssize_t>(kReadBytes)) ++failed_;
  }
  std::size_t failed() const { return failed_; }

 private:
  static constexpr std::uint64_t kPageBytes = 4096;
  static constexpr std::uint64_t kReadBytes = 2 * kPageBytes;
  int file_ = -1;
  std::uint64_t bytes_ = 0;
  std::size_t failed_ = 0;
  base::Random random_{1};
  // Such reads want whole pages in memory too.
  alignas(kPageBytes) std::array<std::byte, kReadBytes> block_;
};

bool is_in_memory(const std::string& folder) {
  struct statfs about {};
  return ::statfs(folder.c_str(), &about) == 0 && about.f_type == TMPFS_MAGIC;
}

template <typename Get>
double time_one(const Get& get) {
  const auto start = SteadyClock::now();
  get();
  return nanoseconds_since(start);
}

}  // namespace

Rows measure_l3(const CacheBench& bench, const std::string& name) {
  VARVE_TRY(const OnDisk disk, fill(bench));
  KeyStream stream(bench.vectors.count()), peer_stream(bench.vectors.count());
  const std::size_t floats = bench.vectors.vector_bytes / sizeof(float);
  std::size_t missed = 0;
  const auto get = [&] {
    const Result<Handle> value = disk.cache->get(stream.next());
    if (!value || value->bytes().size() != bench.vectors.vector_bytes) ++missed;
  };
  const auto get_peer = [&] {
    if (!disk.files.get(peer_stream.next(), floats)) ++missed;
  };
  CacheRow row{name, 0, 0, "a file for each key", 0, bench.vectors.name, {}};
  Times times, peers, device_times;
  DeviceReads device(disk.folder);
  if (name == "l3_warm") {
    time_by_turns(times, get, peers, get_peer, {24, 16, 64});
  } else {
    sync_files(bench.folder);
    const Droppable segments(disk.folder), files(bench.folder + "/files");
    for (std::size_t i = 0; i < kColdGets; ++i) {
      segments.drop();
      times.add(time_one(get));
      if (device.is_open()) device_times.add(time_one([&] { device.read_one(); }));
      if (i % 4 != 0) continue;
      files.drop();
      peers.add(time_one(get_peer));
    }
    row.about += is_in_memory(bench.folder) ? "; the folder is in memory: not cold"
                                            : "; pages dropped before every get";
  }
  missed += device.failed();
  if (missed > 0) {
    return fail(ErrorKind::internal, fmt::format("{}: {} gets were no hits", name, missed));
  }
  row.p50_ns = times.p50();
  row.p99_ns = times.p99();
  row.peer_p50_ns = peers.p50();
  const cache::TierStats stats = disk.cache->tier(1).stats();
  row.more = {{"peer_p99_ns", peers.p99()},
              {"compression",
               static_cast<double>(stats.raw_bytes) / static_cast<double>(stats.value_bytes)}};
  if (name == "l3_cold" && device.is_open()) {
    row.more.emplace_back("device_p50_ns", device_times.p50());
    row.more.emplace_back("device_p99_ns", device_times.p99());
  }
  return std::vector<CacheRow>{row};
}

}  // namespace varve::cli::cache_bench

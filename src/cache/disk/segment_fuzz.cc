// A file of a segment as somebody else may leave it. The first byte of an input decides what is
// made right, so that the fuzzer gets behind it: 1 the header, 2 the checksums of the footer.
#include <cstring>

#include "base/assert.h"
#include "base/manual_clock.h"
#include "base/pool.h"
#include "cache/disk/layout.h"
#include "cache/disk/memory_files.h"
#include "codec/checksum.h"
#include "varve/cache/disk.h"
#include "varve/cache/policy.h"

namespace varve::cache {
namespace {

void mend_crc(std::string& file, std::size_t from, std::size_t to, std::size_t at) {
  const std::uint32_t crc = codec::crc32c(base::as_bytes(file).subspan(from, to - from));
  std::memcpy(file.data() + at, &crc, sizeof(crc));
}

// Offsets as in docs/formats/cache-segment.md.
void mend_footer(std::string& file) {
  if (file.size() < kSegmentHeaderBytes + kTrailerBytes) return;
  const std::size_t end = file.size() - kTrailerBytes;
  std::uint64_t data_bytes = 0;
  std::uint32_t entries = 0, blocks = 0;
  std::memcpy(&data_bytes, file.data() + end + 16, sizeof(data_bytes));
  std::memcpy(&entries, file.data() + end + 24, sizeof(entries));
  std::memcpy(&blocks, file.data() + end + 28, sizeof(blocks));
  const std::uint64_t content = (std::uint64_t{entries} + blocks) * 32;
  if (data_bytes > end || content > end - data_bytes) return;
  mend_crc(file, data_bytes, data_bytes + content, end + 32);
  mend_crc(file, end + 8, file.size(), end + 4);
}

void use(MemoryFiles& files, base::Clock& clock, base::Pool& pool, const char* policy) {
  DiskOptions options;
  options.folder = "f";
  options.capacity.bytes = 24 << 10;
  options.immutable = true;  // believes the file
  options.files = &files;
  options.clock = &clock;
  options.background = &pool;
  const auto tier = *open_disk_tier(options, *make_policy(policy, 1));
  std::vector<std::string> keys;
  tier->each([&](std::string_view key, std::uint64_t, bool) {
    keys.emplace_back(key);
    return keys.size() < 64;
  });
  volatile std::uint32_t seen = 0;
  for (const std::string& key : keys) {
    // Reads each byte.
    seen = seen ^ codec::crc32c(tier->get(Key(key)).bytes());
  }
  const std::string filler(900, 'x');
  for (int i = 0; i < 24; ++i) {
    tier->put(Key("k" + std::to_string(i)), Handle::copy_of(base::as_bytes(filler)), {});
  }
  for (const std::string& key : keys) tier->remove(Key(key));
  for (const std::string& key : keys) VARVE_ASSERT(!tier->get(Key(key)));
  tier->maintain();
}

}  // namespace
}  // namespace varve::cache

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace varve;
  using namespace varve::cache;
  if (size == 0) return 0;
  std::string file(reinterpret_cast<const char*>(data + 1), size - 1);
  if ((data[0] & 1) != 0 && file.size() >= kSegmentHeaderBytes) {
    const auto header = encode_segment_header(1);
    std::memcpy(file.data(), header.data(), header.size());
  }
  if ((data[0] & 2) != 0) mend_footer(file);
  MemoryFiles files;
  files.set_contents({{"f/00000001.seg", file}});
  base::ManualClock clock{std::chrono::hours(24)};
  const auto pool = base::make_inline_pool();
  // Twice: the second start reads what the first one made of it.
  use(files, clock, *pool, "fifo");
  use(files, clock, *pool, "lru");
  return 0;
}

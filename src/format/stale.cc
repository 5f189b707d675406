#include <fmt/format.h>

#include "base/assert.h"
#include "format/blobs.h"
#include "format/coding.h"

// Bitmaps are stored in the portable Roaring format
// (https://github.com/RoaringBitmap/RoaringFormatSpec). The "safe" reader of CRoaring checks sizes
// only: unsorted values or a wrong cardinality pass and break later calls. So the bytes are checked
// here first, and CRoaring sees canonical ones only.

namespace varve::format {
namespace {

constexpr std::uint32_t kCookieNoRuns = 12346;
constexpr std::uint32_t kCookieRuns = 12347;
constexpr std::size_t kNoOffsetThreshold = 4;  // fewer containers with runs: no offsets
constexpr std::uint32_t kArrayMax = 4096;      // values; more stand in a bitset
constexpr std::size_t kBitsetBytes = 8192;
constexpr std::size_t kContainersMax = 65536;
constexpr std::size_t kPartBytesMin = 12 + 15;  // with the smallest bitmap: one run

struct Container {
  std::uint32_t cardinality = 0;
  bool runs = false;
};

void check_array(Reader& reader, std::uint32_t cardinality) {
  std::uint32_t next = 0;  // one more than the last
  for (std::uint32_t i = 0; i < cardinality && reader.ok(); ++i) {
    const std::uint32_t value = reader.u16("rows");
    if (value < next) reader.fail("rows", "not in order");
    next = value + 1;
  }
}

void check_bitset(Reader& reader, std::uint32_t cardinality) {
  std::uint32_t ones = 0;
  for (std::size_t i = 0; i < kBitsetBytes / sizeof(std::uint64_t) && reader.ok(); ++i) {
    ones += static_cast<std::uint32_t>(std::popcount(reader.u64("rows")));
  }
  if (ones != cardinality) reader.fail("rows", "not as many as recorded");
}

void check_runs(Reader& reader, std::uint32_t cardinality) {
  const std::uint32_t runs = reader.u16("runs");
  std::uint32_t total = 0;
  std::uint32_t next = 0;  // the least start: runs neither overlap nor touch
  for (std::uint32_t i = 0; i < runs && reader.ok(); ++i) {
    const std::uint32_t start = reader.u16("run");
    const std::uint32_t length = reader.u16("run") + 1U;
    if (start < next || start + length > 65536) reader.fail("run", "not in order");
    next = start + length + 1;
    total += length;
  }
  if (total != cardinality) reader.fail("runs", "not as many rows as recorded");
}

std::vector<Container> read_containers(Reader& reader, bool& offsets) {
  const std::uint32_t cookie = reader.u32("bitmap");
  const bool runs = (cookie & 0xFFFFU) == kCookieRuns;
  if (!runs && cookie != kCookieNoRuns) reader.fail("bitmap", "not in Roaring format");
  const std::size_t count = runs ? (cookie >> 16) + 1 : reader.u32("containers");
  if (count < 1 || count > kContainersMax) reader.fail("containers", "out of range");
  if (!reader.ok()) return {};
  const base::ByteSpan flags = reader.bytes(runs ? (count + 7) / 8 : 0, "run flags");
  if (count > reader.remaining() / 4) reader.fail("containers", "cut off");
  if (!reader.ok()) return {};

  std::vector<Container> containers(count);
  std::uint32_t next_key = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t key = reader.u16("container");
    if (key < next_key) reader.fail("container", "not in order");
    next_key = key + 1;
    containers[i].cardinality = reader.u16("container") + 1U;
    containers[i].runs = runs && std::to_integer<unsigned>(flags[i / 8] >> (i % 8)) % 2 != 0;
  }
  if (count % 8 != 0 && runs && std::to_integer<unsigned>(flags.back()) >> (count % 8) != 0) {
    reader.fail("run flags", "not zero");
  }
  offsets = !runs || count >= kNoOffsetThreshold;
  return containers;
}

Status check_bitmap(base::ByteSpan bytes, std::string_view context) {
  Reader reader(bytes, context);
  bool has_offsets = false;
  const std::vector<Container> containers = read_containers(reader, has_offsets);
  const std::size_t offset_bytes = has_offsets ? containers.size() * sizeof(std::uint32_t) : 0;
  const base::ByteSpan offsets = reader.bytes(offset_bytes, "container offsets");
  Reader offset_reader(offsets, context);
  for (std::size_t i = 0; i < containers.size() && reader.ok(); ++i) {
    if (has_offsets && offset_reader.u32("container offset") != reader.position()) {
      reader.fail("container offset", "wrong");
    }
    const std::uint32_t cardinality = containers[i].cardinality;
    if (containers[i].runs) {
      check_runs(reader, cardinality);
    } else if (cardinality <= kArrayMax) {
      check_array(reader, cardinality);
    } else {
      check_bitset(reader, cardinality);
    }
  }
  return reader.finish();
}

Result<Roaring> read_bitmap(base::ByteSpan bytes, std::string_view context) {
  VARVE_CHECK(check_bitmap(bytes, context));
  roaring_bitmap_t* bitmap = roaring_bitmap_portable_deserialize_safe(
      reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bitmap == nullptr) {
    return fail(ErrorKind::corrupt, fmt::format("{}: bitmap: not in Roaring format", context));
  }
  return Roaring(bitmap);  // takes it over
}

}  // namespace

base::Bytes encode_stale(const StaleRows& stale, const Uuid& index, std::string_view name,
                         base::Nonce nonce) {
  Writer writer(name, 1024);
  std::uint32_t parts = 0;
  for (const auto& [part, rows] : stale) parts += rows.isEmpty() ? 0 : 1;
  writer.u32(parts);
  for (const auto& [part, rows] : stale) {
    if (rows.isEmpty()) continue;
    Roaring packed = rows;
    packed.runOptimize();
    const std::size_t bytes = packed.getSizeInBytes();
    VARVE_ASSERT(bytes <= 0xFFFFFFFFU);
    writer.u64(part);
    writer.u32(static_cast<std::uint32_t>(bytes));
    const std::size_t written = packed.write(reinterpret_cast<char*>(writer.extend(bytes)));
    VARVE_ASSERT(written == bytes);
  }
  return writer.seal(Identity{Kind::stale, index, std::string(name), nonce});
}

Result<StaleRows> decode_stale(const base::Bytes& object, const Uuid& index,
                               std::string_view name) {
  VARVE_TRY(const Envelope envelope, decode_envelope(object, Kind::stale, index, name));
  const std::string context = fmt::format("object {}", name);
  Reader reader(envelope.body, context);
  StaleRows stale;
  const std::size_t parts = reader.count(kPartBytesMin, "parts");
  for (std::size_t i = 0; i < parts && reader.ok(); ++i) {
    const std::uint64_t part = reader.u64("part");
    const std::uint32_t bytes = reader.u32("bitmap length");
    const base::ByteSpan stored = reader.bytes(bytes, "bitmap");
    if (!stale.empty() && part <= stale.rbegin()->first) reader.fail("part", "not in order");
    if (!reader.ok()) break;
    VARVE_TRY(Roaring rows, read_bitmap(stored, fmt::format("{}: part {}", context, part)));
    stale.emplace_hint(stale.end(), part, std::move(rows));
  }
  VARVE_CHECK(reader.finish());
  return stale;
}

}  // namespace varve::format

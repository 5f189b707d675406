#include <benchmark/benchmark.h>

#include "format/blobs.h"
#include "format/group.h"
#include "format/manifest.h"

namespace varve::format {
namespace {

constexpr std::string_view kName = "v1/i/00/bench";

Manifest large_manifest(std::size_t parts) {
  Manifest manifest;
  manifest.dim = 128;
  manifest.next_part = parts;
  manifest.next_cluster = static_cast<std::uint32_t>(parts);
  for (std::size_t id = 0; id < parts; ++id) {
    if (id % 32 == 0) manifest.groups.push_back({{std::string(96, 'g'), 1 << 26, {}}, {}});
    PartRef part;
    part.id = id;
    part.cluster = static_cast<std::uint32_t>(id);
    part.rows = 500;
    part.row_stride = 512;
    part.section(Section::ids) = {4096, 2000, 4000, 1, SectionEncoding::zstd};
    part.section(Section::rows) = {1 << 20, 256'000, 256'000, 2, SectionEncoding::raw};
    part.section(Section::metadata) = {1 << 22, 20'000, 50'000, 3, SectionEncoding::zstd};
    manifest.groups.back().parts.push_back(part);
  }
  return manifest;
}

void encode_manifest_bench(benchmark::State& state) {
  const Manifest manifest = large_manifest(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(encode_manifest(manifest, Uuid{}, kName, base::Nonce{}));
  }
}
BENCHMARK(encode_manifest_bench)->Arg(20'000)->Unit(benchmark::kMillisecond);

void decode_manifest_bench(benchmark::State& state) {
  const Manifest manifest = large_manifest(static_cast<std::size_t>(state.range(0)));
  const base::Bytes object = encode_manifest(manifest, Uuid{}, kName, base::Nonce{});
  for (auto _ : state) benchmark::DoNotOptimize(decode_manifest(object, Uuid{}, kName));
  state.counters["object_bytes"] = static_cast<double>(object.size());
}
BENCHMARK(decode_manifest_bench)->Arg(20'000)->Unit(benchmark::kMillisecond);

std::vector<KeyLocation> locations(std::size_t count) {
  std::vector<KeyLocation> entries;
  for (std::size_t i = 0; i < count; ++i) {
    entries.push_back({key_hash(std::to_string(i)), i * 2654435761U % (count / 250),
                       static_cast<std::uint32_t>(i % 250)});
  }
  return entries;
}

void encode_key_map_bench(benchmark::State& state) {
  const auto entries = locations(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(encode_key_map(entries, Uuid{}, kName, base::Nonce{}));
  }
}
BENCHMARK(encode_key_map_bench)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void decode_key_map_bench(benchmark::State& state) {
  const base::Bytes object = encode_key_map(locations(static_cast<std::size_t>(state.range(0))),
                                            Uuid{}, kName, base::Nonce{});
  for (auto _ : state) benchmark::DoNotOptimize(KeyMapSegment::decode(object, Uuid{}, kName));
}
BENCHMARK(decode_key_map_bench)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void find_key_bench(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto segment = KeyMapSegment::decode(
      encode_key_map(locations(count), Uuid{}, kName, base::Nonce{}), Uuid{}, kName);
  std::vector<KeyLocation> found;
  std::size_t i = 0;
  for (auto _ : state) {
    found.clear();
    segment->find(key_hash(std::to_string(i++ * 7919 % count)), found);
    benchmark::DoNotOptimize(found.data());
  }
}
BENCHMARK(find_key_bench)->Arg(1'000'000)->Unit(benchmark::kNanosecond);

void decode_ids_bench(benchmark::State& state) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  const std::string prefix = state.range(1) == 0 ? "" : "document-";
  std::vector<std::string> keys;
  std::vector<Lsn> lsns;
  for (std::size_t i = 0; i < rows; ++i) {
    keys.push_back(prefix + std::to_string(i * 237));
    lsns.push_back(Lsn{1, 2, i * 237});
  }
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  const std::vector<float> values(rows);
  const PartInput input{1, 0, kernels::rows_of(values.data(), rows, 1), views, lsns, {}};
  const EncodedGroup group = encode_group({&input, 1}, Uuid{}, kName, base::Nonce{});
  const SectionRef& ref = group.ref.parts[0].section(Section::ids);
  const base::Bytes stored = group.object.slice(ref.offset, ref.stored_bytes);
  for (auto _ : state) {
    const auto section = decode_section(stored, ref, "bench");
    benchmark::DoNotOptimize(RowIds::decode(*section, static_cast<std::uint32_t>(rows), "bench"));
  }
  state.counters["bytes_per_row"] =
      static_cast<double>(ref.stored_bytes) / static_cast<double>(rows);
}
BENCHMARK(decode_ids_bench)->Args({500, 0})->Args({500, 1})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace varve::format

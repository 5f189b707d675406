// Nanoseconds per vector of the main kernels. "cached": rows of 1 MB together, in the second-level
// cache; "memory": 512 MB, read in order. VARVE_KERNELS_TARGET chooses the instruction set.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/distance.h"
#include "kernels/extra_codes.h"
#include "kernels/rotation.h"
#include "kernels/sign_codes.h"
#include "kernels/top_k.h"

namespace varve::kernels {
namespace {

constexpr std::size_t kCachedBytes = std::size_t{1} << 20;
constexpr std::size_t kMemoryBytes = std::size_t{1} << 29;
constexpr std::size_t kBlockRows = 1024;

std::vector<float> random_floats(std::size_t count) {
  std::mt19937 random(1);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 256);
  return values;
}

// 512 MB, made once, of small integers in every type's encoding.
const std::vector<std::byte>& memory_of(RowType type) {
  static std::vector<std::byte> bytes(kMemoryBytes);
  static RowType filled = RowType{};
  if (filled == type) return bytes;
  filled = type;
  auto values = random_floats(1 << 16);
  for (float& value : values) value = std::min(value, 127.0F);
  const std::size_t part = values.size() * element_bytes(type);
  narrow(values, type, bytes.data());
  for (std::size_t at = part; at < bytes.size(); at += part) {
    std::memcpy(bytes.data() + at, bytes.data(), part);
  }
  return bytes;
}

using Kernel = void (*)(const float*, const Rows&, float*);
void norm(const float*, const Rows& rows, float* out) { squared_norm(rows, out); }

void scan(benchmark::State& state, Kernel kernel, RowType type, std::uint32_t dim,
          std::size_t bytes) {
  const auto query = random_floats(dim);
  const std::size_t stride = dim * element_bytes(type);
  const Rows rows{memory_of(type).data(), bytes / stride, stride, dim, type};
  std::vector<float> out(kBlockRows);
  for (auto _ : state) {
    for (std::size_t i = 0; i < rows.count; i += kBlockRows) {
      kernel(query.data(), rows.sub(i, std::min(kBlockRows, rows.count - i)), out.data());
      benchmark::DoNotOptimize(out.data());
      benchmark::ClobberMemory();
    }
  }
  const auto done = static_cast<double>(state.iterations()) * static_cast<double>(rows.count);
  state.counters["per_vector"] =
      benchmark::Counter(done, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetBytesProcessed(static_cast<std::int64_t>(done) * static_cast<std::int64_t>(stride));
}

void product(benchmark::State& state) {
  const auto a_count = static_cast<std::size_t>(state.range(0));
  const auto b_count = static_cast<std::size_t>(state.range(1));
  const auto dim = static_cast<std::uint32_t>(state.range(2));
  const auto a = random_floats(a_count * dim);
  const auto b = random_floats(b_count * dim);
  std::vector<float> out(a_count * b_count);
  for (auto _ : state) {
    inner_product_matrix({a.data(), a_count, dim}, {b.data(), b_count, dim}, dim, out.data(),
                         b_count);
    benchmark::ClobberMemory();
  }
  const double flops = 2.0 * static_cast<double>(a_count * b_count * dim);
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(product)
    ->Args({256, 1024, 784})
    ->Args({256, 2048, 128})
    ->Args({256, 1024, 25})
    ->Args({256, 1024, 1536})
    ->Args({16, 1024, 784});

// One iteration sees 2^20 candidates in blocks of 1024.
void top_k(benchmark::State& state) {
  std::mt19937 random(1);
  std::vector<float> distances(std::size_t{1} << 20);
  for (float& d : distances) d = static_cast<float>(random());
  for (auto _ : state) {
    TopK top(static_cast<std::size_t>(state.range(0)));
    for (std::size_t i = 0; i < distances.size(); i += kBlockRows) {
      top.add_block(distances.data() + i, kBlockRows, i, nullptr);
    }
    benchmark::DoNotOptimize(top.take());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(distances.size()));
}
BENCHMARK(top_k)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->Arg(10000);

// `state.range(0)`: the type of the values. 2^18 values, in the second-level cache.
std::vector<float> values_of(RowType type) {
  auto values = random_floats(1 << 18);
  const auto with = [&](auto change) {
    std::transform(values.begin(), values.end(), values.begin(), change);
  };
  if (type == RowType::f32) with([](float v) { return v + 0.1F; });
  if (type == RowType::f16) with([](float v) { return v + 0.25F; });
  if (type == RowType::bf16) with([](float v) { return v * 0x1p40F; });
  if (type == RowType::i8) with([](float v) { return v - 128; });
  return values;
}

void find_narrowest(benchmark::State& state) {
  const auto values = values_of(static_cast<RowType>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(narrowest_type(values));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(values.size() * 4));
}
BENCHMARK(find_narrowest)->DenseRange(1, 5);

void narrow_and_widen(benchmark::State& state) {
  const auto type = static_cast<RowType>(state.range(0));
  auto values = values_of(type);
  std::vector<std::byte> narrowed(values.size() * 4);
  const auto dim = static_cast<std::uint32_t>(values.size());
  for (auto _ : state) {
    narrow(values, type, narrowed.data());
    widen(Rows{narrowed.data(), 1, 0, dim, type}, 0, values.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(values.size() * 4));
}
BENCHMARK(narrow_and_widen)->DenseRange(1, 5);

// What each query costs before it looks at a row.
void rotate(benchmark::State& state) {
  const auto dim = static_cast<std::uint32_t>(state.range(0));
  const Rotation rotation(dim, 1);
  const auto query = random_floats(dim);
  std::vector<float> rotated(rotation.padded_dim());
  for (auto _ : state) {
    rotation.apply(query.data(), rotated.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(rotate)->Arg(128)->Arg(784)->Arg(1024)->Arg(1536);

void tabulate(benchmark::State& state) {
  const auto dim = static_cast<std::uint32_t>(state.range(0));
  const auto rotated = random_floats(dim);
  SignTable table;
  for (auto _ : state) {
    table.set(rotated.data(), dim);
    benchmark::DoNotOptimize(table.entries());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(tabulate)->Arg(128)->Arg(832)->Arg(1024)->Arg(1536);

void encode(benchmark::State& state) {
  const auto dim = static_cast<std::uint32_t>(state.range(0));
  const auto row = random_floats(dim), centroid = random_floats(dim);
  std::vector<std::byte> block(sign_block_bytes(dim));
  std::size_t place = 0;
  for (auto _ : state) {
    encode_signs(row.data(), centroid.data(), dim, place++ % kSignBlockRows, block.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(encode)->Arg(128)->Arg(832)->Arg(1536);

// Codes of 512 KB, in the second-level cache, of which one row in a hundred is near enough.
void sign_scan(benchmark::State& state) {
  const auto dim = static_cast<std::uint32_t>(state.range(0));
  const std::size_t blocks = (std::size_t{1} << 19) / sign_block_bytes(dim);
  const std::size_t rows = blocks * kSignBlockRows;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> query(dim), row(dim);
  for (float& value : query) value = normal(random);
  const std::vector<float> centroid(dim);
  std::vector<std::byte> codes(blocks * sign_block_bytes(dim));
  for (std::size_t i = 0; i < rows; ++i) {
    for (float& value : row) value = normal(random);
    encode_signs(row.data(), centroid.data(), dim, i % kSignBlockRows,
                 codes.data() + i / kSignBlockRows * sign_block_bytes(dim));
  }
  SignTable table;
  table.set(query.data(), dim);
  std::vector<SignHit> hits(rows);
  const auto to_centroid = static_cast<float>(dim);
  std::size_t found = scan_signs(table, codes.data(), rows, to_centroid, 1e9F, hits.data());
  std::nth_element(hits.begin(), hits.begin() + static_cast<long>(rows / 100), hits.end(),
                   [](const SignHit& a, const SignHit& b) { return a.lower < b.lower; });
  const float limit = hits[rows / 100].lower;
  for (auto _ : state) {
    found = scan_signs(table, codes.data(), rows, to_centroid, limit, hits.data());
    benchmark::DoNotOptimize(found);
    benchmark::ClobberMemory();
  }
  const auto done = static_cast<double>(state.iterations()) * static_cast<double>(rows);
  state.counters["per_vector"] =
      benchmark::Counter(done, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(sign_scan)->Arg(128)->Arg(832)->Arg(1024)->Arg(1536);

// Arguments: dimension, bits, wider dimensions.
ExtraShape shape_of(const benchmark::State& state) {
  return {static_cast<std::uint32_t>(state.range(0)), static_cast<std::uint32_t>(state.range(1)),
          static_cast<std::uint32_t>(state.range(2)), static_cast<std::uint32_t>(state.range(3))};
}

Directions directions_of(const ExtraShape& shape) {
  std::vector<std::int16_t> values(std::size_t{shape.directions} * shape.padded_dim);
  for (std::size_t k = 0; k < shape.directions; ++k) {
    values[k * shape.padded_dim + k] = kDirectionLength;
  }
  return {shape.padded_dim, std::move(values)};
}

void extra_encode(benchmark::State& state) {
  const ExtraShape shape = shape_of(state);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> row(shape.padded_dim);
  for (float& value : row) value = normal(random);
  const std::vector<float> centroid = random_floats(shape.padded_dim);
  std::vector<std::byte> out(extra_row_bytes(shape));
  const Directions directions = directions_of(shape);
  const std::vector<float> along(shape.directions);
  for (auto _ : state) {
    encode_extra(row.data(), {centroid.data(), along.data()}, shape, directions, out.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(extra_encode)
    ->Args({768, 2, 448, 0})
    ->Args({768, 3, 0, 0})
    ->Args({768, 7, 0, 0})
    ->Args({768, 2, 64, 48});

// One row of one block, in the first-level cache.
void extra_estimate(benchmark::State& state) {
  const ExtraShape shape = shape_of(state);
  const auto row = random_floats(shape.padded_dim);
  std::vector<std::byte> block(sign_block_bytes(shape.padded_dim)), out(extra_row_bytes(shape));
  encode_signs(row.data(), row.data(), shape.padded_dim, 5, block.data());
  const Directions directions = directions_of(shape);
  const std::vector<float> along(shape.directions);
  encode_extra(row.data(), {row.data(), along.data()}, shape, directions, out.data());
  ExtraQuery query;
  query.set(row.data(), shape, directions);
  for (auto _ : state) {
    benchmark::DoNotOptimize(query.estimate(block.data(), 5, out.data(), 1));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(extra_estimate)
    ->Args({768, 2, 0, 0})
    ->Args({768, 2, 448, 0})
    ->Args({768, 3, 0, 0})
    ->Args({768, 7, 0, 0})
    ->Args({768, 2, 64, 48});

void extra_query(benchmark::State& state) {
  const ExtraShape shape = shape_of(state);
  const auto row = random_floats(shape.padded_dim);
  const Directions directions = directions_of(shape);
  ExtraQuery query;
  for (auto _ : state) {
    query.set(row.data(), shape, directions);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(extra_query)->Args({768, 3, 0, 0})->Args({768, 2, 64, 48});

void exact(benchmark::State& state) {
  const auto dim = static_cast<std::uint32_t>(state.range(0));
  const auto query = random_floats(dim);
  const Rows rows = rows_of(query.data(), 1, dim);
  for (auto _ : state) benchmark::DoNotOptimize(squared_l2_exact(query.data(), rows, 0));
}
BENCHMARK(exact)->Arg(128)->Arg(784);

void pair(benchmark::State& state) {
  const auto dim = static_cast<std::uint32_t>(state.range(0));
  const auto a = random_floats(dim);
  const auto b = random_floats(dim);
  for (auto _ : state) benchmark::DoNotOptimize(squared_l2_one(a.data(), b.data(), dim));
}
BENCHMARK(pair)->Arg(25)->Arg(128)->Arg(784);

const bool kRegistered = [] {
  const std::pair<const char*, Kernel> kernels[] = {
      {"squared_l2", squared_l2}, {"inner_product", inner_product}, {"squared_norm", norm}};
  for (const RowType type : {RowType::f32, RowType::f16, RowType::bf16, RowType::u8, RowType::i8}) {
    for (const auto& [name, kernel] : kernels) {
      for (const std::uint32_t dim : {128U, 784U, 1024U}) {
        for (const bool cached : {true, false}) {
          const std::string full = std::string(name) + "/" + std::string(to_string(type)) + "/" +
                                   std::to_string(dim) + (cached ? "/cached" : "/memory");
          benchmark::RegisterBenchmark(full.c_str(), scan, kernel, type, dim,
                                       cached ? kCachedBytes : kMemoryBytes);
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace varve::kernels

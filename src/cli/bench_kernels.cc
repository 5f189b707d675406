#include "cli/bench_kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "base/assert.h"
#include "cli/recall.h"
#include "kernels/distance.h"
#include "kernels/target.h"

namespace varve::cli {
namespace {

using kernels::RowType;

constexpr std::size_t kWarmUpCalls = 20;
constexpr std::size_t kCalls = 300;
constexpr const char* kPeer = "scalar";

using Kernel = void (*)(const float*, const kernels::Rows&, float*);
struct MetricKernel {
  const char* name;
  Kernel kernel;
};
constexpr MetricKernel kMetrics[] = {{"euclidean", kernels::squared_l2},
                                     {"cosine", kernels::inner_product}};
constexpr RowType kTypes[] = {RowType::f32, RowType::f16, RowType::bf16, RowType::u8, RowType::i8};
constexpr std::uint32_t kDims[] = {128, 768};

struct Case {
  Kernel kernel;
  std::vector<float> query;
  std::vector<std::byte> bytes;
  kernels::Rows rows;
};

// Small integers, which every type holds.
std::vector<float> values(std::size_t count) {
  std::mt19937 random(1);
  std::vector<float> drawn(count);
  for (float& value : drawn) value = static_cast<float>(random() % 128);
  return drawn;
}

Case make_case(Kernel kernel, RowType type, std::uint32_t dim) {
  Case made{kernel, values(dim), {}, {}};
  const std::size_t stride = dim * kernels::element_bytes(type);
  made.bytes.resize(kKernelVectors * stride);
  kernels::narrow(values(kKernelVectors * dim), type, made.bytes.data());
  made.rows = {made.bytes.data(), kKernelVectors, stride, dim, type};
  return made;
}

// Nanoseconds of each call, sorted.
std::vector<double> times_of(const Case& measured) {
  using SteadyClock = std::chrono::steady_clock;
  std::vector<float> out(kKernelVectors);
  std::vector<double> times;
  for (std::size_t i = 0; i < kWarmUpCalls + kCalls; ++i) {
    const auto start = SteadyClock::now();
    measured.kernel(measured.query.data(), measured.rows, out.data());
    const std::chrono::duration<double, std::nano> took = SteadyClock::now() - start;
    if (i >= kWarmUpCalls) times.push_back(took.count());
  }
  std::sort(times.begin(), times.end());
  return times;
}

// The name that use_target takes for the set in use.
std::string target_in_use() {
  std::string name(kernels::active_target());
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const auto known = kernels::supported_targets();
  const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
  return is_known ? name : std::string(known.back());
}

}  // namespace

std::vector<KernelRow> measure_kernels() {
  const std::string target = target_in_use();
  std::vector<KernelRow> report;
  for (const MetricKernel& metric : kMetrics) {
    for (const RowType type : kTypes) {
      for (const std::uint32_t dim : kDims) {
        const Case measured = make_case(metric.kernel, type, dim);
        VARVE_ASSERT(kernels::use_target(target));
        const auto times = times_of(measured);
        VARVE_ASSERT(kernels::use_target(kPeer));
        const auto peer_times = times_of(measured);
        KernelRow row;
        row.name = fmt::format("{} {} {}", metric.name, kernels::to_string(type), dim);
        row.p50_ns = percentile(times, 0.50);
        row.p99_ns = percentile(times, 0.99);
        row.vectors_per_second = row.p50_ns > 0 ? 1e9 * kKernelVectors / row.p50_ns : 0;
        row.peer_p50_ns = percentile(peer_times, 0.50);
        report.push_back(std::move(row));
      }
    }
  }
  VARVE_ASSERT(kernels::use_target(target));
  return report;
}

}  // namespace varve::cli

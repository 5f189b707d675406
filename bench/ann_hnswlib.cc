// hnswlib as a peer of `varve bench ann`: the job and the protocol are those of
// src/cli/ann_bench/peer.cc.
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <hnswlib/hnswlib.h>

namespace {

using Json = nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kM = 16, kEfConstruction = 200;

// What the headers chose at compile time, and what they find at run time.
const char* vector_code() {
#if defined(USE_AVX512)
  if (AVX512Capable()) return "AVX-512";
#endif
#if defined(USE_AVX)
  if (AVXCapable()) return "AVX";
#endif
#if defined(USE_SSE)
  return "SSE";
#else
  return "scalar";
#endif
}

std::vector<float> read_floats(const std::string& path, std::size_t count) {
  std::vector<float> values(count);
  const auto bytes = static_cast<std::streamsize>(count * sizeof(float));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), bytes);
  if (file.gcount() != bytes) throw std::runtime_error("cannot read " + path);
  return values;
}

template <typename T>
void write_values(const std::string& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(T)));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

void stay_on_core(int core) {
  if (core < 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(core), &one);
  sched_setaffinity(0, sizeof(one), &one);
}

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

class Peer {
 public:
  explicit Peer(const Json& job)
      : count_(job.at("rows")),
        queries_(job.at("queries")),
        dim_(job.at("dim")),
        k_(job.at("k")),
        threads_(job.at("build_threads")),
        warm_up_(job.at("warm_up")),
        folder_(job.at("folder")),
        rows_(read_floats(job.at("rows_file"), count_ * dim_)),
        asked_(read_floats(job.at("queries_file"), queries_ * dim_)) {
    if (job.at("metric") == "cosine") {
      // By the users' recipe: unit vectors and the inner product.
      normalize(rows_);
      normalize(asked_);
      space_ = std::make_unique<hnswlib::InnerProductSpace>(dim_);
    } else {
      space_ = std::make_unique<hnswlib::L2Space>(dim_);
    }
  }

  Json build() {
    const auto start = SteadyClock::now();
    graph_ = std::make_unique<Graph>(space_.get(), count_, kM, kEfConstruction);
    graph_->addPoint(rows_.data(), 0);
    std::atomic<std::size_t> next{1};
    const auto add = [&] {
      for (std::size_t i = next++; i < count_; i = next++) {
        graph_->addPoint(rows_.data() + i * dim_, i);
      }
    };
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < threads_; ++i) others.emplace_back(add);
    add();
    for (std::thread& other : others) other.join();
    const double seconds = seconds_since(start);
    rows_ = {};
    return {
        {"seconds", seconds},
        {"threads", threads_},
        {"bytes_per_vector", bytes_per_vector()},
        {"parameters", {{"M", kM}, {"efConstruction", kEfConstruction}, {"simd", vector_code()}}},
        {"about", std::string("hnswlib headers of Debian, -O3 -march=native, ") + vector_code()},
        {"sweep", Json::array({sweep()})}};
  }

  void run(const Json& parameters, int core) {
    stay_on_core(core);
    graph_->setEf(parameters.at("ef"));
    for (std::size_t i = 0; i < std::min(queries_, warm_up_); ++i) graph_->searchKnn(query(i), k_);
    std::vector<std::int64_t> ids(queries_ * k_, -1);
    std::vector<double> us(queries_);
    for (std::size_t i = 0; i < queries_; ++i) {
      const auto start = SteadyClock::now();
      auto nearest = graph_->searchKnn(query(i), k_);
      us[i] = seconds_since(start) * 1e6;
      for (std::size_t j = 0; !nearest.empty(); ++j, nearest.pop()) {
        ids[i * k_ + j] = static_cast<std::int64_t>(nearest.top().second);
      }
    }
    write_values(folder_ + "/ids", ids);
    write_values(folder_ + "/us", us);
  }

  std::size_t queries() const { return queries_; }

 private:
  using Graph = hnswlib::HierarchicalNSW<float>;

  const float* query(std::size_t i) const { return asked_.data() + i * dim_; }

  void normalize(std::vector<float>& values) const {
    for (std::size_t begin = 0; begin < values.size(); begin += dim_) {
      double sum = 0;
      for (std::size_t i = begin; i < begin + dim_; ++i) sum += double(values[i]) * values[i];
      const auto scale = static_cast<float>(1 / std::sqrt(sum));
      for (std::size_t i = begin; i < begin + dim_; ++i) values[i] *= scale;
    }
  }

  // The ground floor, the lists above it, and what stands beside them for each point.
  double bytes_per_vector() const {
    std::size_t above = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      above +=
          static_cast<std::size_t>(graph_->element_levels_[i]) * graph_->size_links_per_element_;
    }
    const double beside = sizeof(char*) + sizeof(int) + sizeof(std::mutex);
    return static_cast<double>(graph_->size_data_per_element_) + beside +
           static_cast<double>(above) / static_cast<double>(count_);
  }

  Json sweep() const {
    Json line = Json::array();
    for (const std::size_t ef : {10,  12,  14,  17,  20,  25,  30,  40,  50,   60,   80,
                                 100, 130, 170, 220, 300, 400, 600, 800, 1200, 1600, 2400}) {
      if (ef >= k_) line.push_back({{"ef", ef}});
    }
    return line;
  }

  const std::size_t count_, queries_, dim_, k_, threads_, warm_up_;
  const std::string folder_;
  std::vector<float> rows_, asked_;
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<Graph> graph_;
};

Json answer(Peer& peer, const Json& question) {
  if (question.at("do") == "build") return peer.build();
  peer.run(question.at("parameters"), question.at("core"));
  return {{"done", peer.queries()}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: varve_ann_hnswlib JOB.json, which `varve bench ann` writes\n";
    return 2;
  }
  std::unique_ptr<Peer> peer;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      if (!peer) {
        std::ifstream job(argv[1]);
        peer = std::make_unique<Peer>(Json::parse(job));
      }
      std::cout << answer(*peer, Json::parse(line)).dump() << std::endl;
    } catch (const std::exception& error) {
      std::cout << Json{{"error", error.what()}}.dump() << std::endl;
    }
  }
}

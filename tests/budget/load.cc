// Keeps a cache of several tiers under mixed load, for tests/budget/run to watch its memory.
//
//   budget_load SECONDS BUDGET_MIB SEED LARGEST_BYTES
//
// Eight threads get, put, remove and pin values of 100 B and more, a part of them with an end,
// while the capacities change. Everything that is returned is checked. Exits 1 if something was
// wrong.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "varve/cache/compress.h"
#include "varve/cache/layered.h"
#include "varve/cache/memory.h"

namespace {

using namespace varve;
using namespace varve::cache;
using Random = std::mt19937_64;

constexpr int kThreads = 8;
constexpr std::uint64_t kKeys = 200'000;
constexpr double kBytesMin = 100;
double bytes_max = 1 << 20;

std::int64_t wall_ms() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 31) * 0x9E3779B97F4A7C15;
  return value ^ value >> 29;
}

// Small ones are many, large ones take most of the memory: as many in each range of sizes, squared
// towards the small ones.
std::size_t bytes_of(std::uint64_t key) {
  const double unit = static_cast<double>(mixed(key) >> 11) / static_cast<double>(1ULL << 53);
  return static_cast<std::size_t>(kBytesMin * std::pow(bytes_max / kBytesMin, unit * unit));
}

// Values of one key are all the same. Half of the keys have values that can be compressed.
Handle value_of(std::uint64_t key) {
  std::span<std::byte> out;
  Handle value = Handle::make(bytes_of(key), out);
  std::uint64_t word = mixed(key + 1);
  for (std::size_t i = 0; i < out.size(); i += sizeof(word)) {
    std::memcpy(out.data() + i, &word, std::min(sizeof(word), out.size() - i));
    if (key % 2 == 0) word = word * 6364136223846793005 + 1442695040888963407;
  }
  return value;
}
bool is_value_of(std::uint64_t key, const Handle& value) {
  const std::uint64_t word = mixed(key + 1);
  return value.bytes().size() == bytes_of(key) &&
         std::memcmp(value.bytes().data(), &word, sizeof(word)) == 0;
}

std::string text_of(std::uint64_t key) { return "key " + std::to_string(key); }

// Makes any value on demand, so that the memory of the process is the cache's.
class Maker final : public Source {
 public:
  std::string_view name() const override { return "maker"; }
  std::unique_ptr<Loads> load(std::span<const Key> keys, std::chrono::milliseconds) override {
    auto loads = std::make_unique<Making>();
    for (const Key& key : keys) {
      loads->keys.push_back(std::stoull(std::string(key.bytes.substr(4))));
    }
    return loads;
  }
  Status put_batch(std::span<const Key>, std::span<const Handle>, const PutOptions&) override {
    return {};
  }
  Status remove_batch(std::span<const Key>) override { return {}; }

 private:
  struct Making final : Loads {
    std::optional<Loaded> next() override {
      if (done == keys.size()) return std::nullopt;
      Handle value = value_of(keys[done]);
      Loaded loaded;
      loaded.index = done++;
      loaded.value = std::move(value);
      return loaded;
    }
    std::vector<std::uint64_t> keys;
    std::size_t done = 0;
  };
};

struct Load {
  std::unique_ptr<LayeredCache> cache;
  std::uint64_t budget_bytes = 0;
  std::atomic<bool> is_over{false};
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> wrong{0};

  // Of the budget, the share of each tier.
  static constexpr double kShares[] = {0.6, 0.4};
  Capacity capacity_of(std::size_t tier, double part) const {
    return {static_cast<std::uint64_t>(static_cast<double>(budget_bytes) * kShares[tier] * part),
            0};
  }

  void get_many(Random& random) {
    std::vector<std::uint64_t> keys(4);
    std::vector<std::string> texts;
    for (std::uint64_t& key : keys) texts.push_back(text_of(key = draw_key(random)));
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const auto gets = cache->get_batch(views);
    while (auto got = gets->next()) {
      if (!got->value || !is_value_of(keys[got->index], *got->value)) ++wrong;
    }
  }
  void put(Random& random, std::uint64_t key) {
    const bool ends = random() % 4 == 0;
    const PutOptions options{ends ? wall_ms() + static_cast<std::int64_t>(random() % 3000) : 0};
    const Handle value = value_of(key);
    const std::string text = text_of(key);
    const std::string_view view = text;
    if (!cache->put_batch({&view, 1}, {&value, 1}, options)) ++wrong;
  }
  static std::uint64_t draw_key(Random& random) {
    return random() % kKeys >> random() % 10;  // some are hot
  }

  void step(Random& random) {
    const std::uint64_t key = draw_key(random);
    const std::uint64_t action = random() % 100;
    if (action < 70) {
      const Result<Handle> value = cache->get(text_of(key));
      if (!value || !is_value_of(key, *value)) ++wrong;
    } else if (action < 74) {
      get_many(random);
    } else if (action < 92) {
      put(random, key);
    } else if (action < 96) {
      if (!cache->remove(text_of(key))) ++wrong;
    } else if (action < 98) {
      if (!cache->pin(text_of(key), wall_ms() + 500)) ++wrong;
    } else {
      cache->unpin(text_of(key));
    }
    ++done;
  }
};

void change_capacities(Load& load, Random random) {
  while (!load.is_over) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1000));
    for (std::size_t tier = 0; tier < load.cache->tier_count(); ++tier) {
      const double part = random() % 3 == 0 ? 0.3 : 1;
      load.cache->tier(tier).set_capacity(load.capacity_of(tier, part));
    }
    load.cache->settle();
  }
}

void print(const Load& load) {
  const LayeredStats stats = load.cache->stats();
  std::printf("%llu operations, %llu wrong\n", static_cast<unsigned long long>(load.done),
              static_cast<unsigned long long>(load.wrong));
  for (const auto& [name, tier] : stats.tiers) {
    std::printf("%s: %.1f MiB resident, %.1f of it bookkeeping, %llu items, %llu hits\n",
                name.c_str(), static_cast<double>(tier.resident_bytes) / (1 << 20),
                static_cast<double>(tier.index_bytes) / (1 << 20),
                static_cast<unsigned long long>(tier.items),
                static_cast<unsigned long long>(tier.hits));
  }
}

void open(Load& load) {
  std::vector<std::unique_ptr<Tier>> tiers;
  for (std::size_t i = 0; i < 2; ++i) {
    MemoryOptions options;
    options.capacity = load.capacity_of(i, 1);
    if (i > 0) options.encode = compressed();
    tiers.push_back(make_memory_tier(std::move(options), make_policy("s3-fifo", 1).value()));
  }
  LayeredOptions options;
  options.encode = compressed();
  load.cache = make_layered_cache(std::move(tiers), std::make_shared<Maker>(), options);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: budget_load SECONDS BUDGET_MIB SEED LARGEST_BYTES\n");
    return 2;
  }
  const std::chrono::seconds seconds(std::stoi(argv[1]));
  const std::uint64_t seed = std::stoull(argv[3]);
  bytes_max = std::stod(argv[4]);
  Load load;
  load.budget_bytes = std::stoull(argv[2]) << 20;
  open(load);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&load, random = Random(seed * kThreads + t)]() mutable {
      while (!load.is_over) load.step(random);
    });
  }
  threads.emplace_back([&load, seed] { change_capacities(load, Random(seed)); });
  std::this_thread::sleep_for(seconds);
  load.is_over = true;
  for (std::thread& thread : threads) thread.join();
  print(load);
  return load.wrong == 0 ? 0 : 1;
}

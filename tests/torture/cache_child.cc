// The process that tests/torture/cache_kill kills: writes to a disk tier and says what it has done,
// or opens it and says what it holds.
//
//   cache_child FOLDER write SEED VERSION    until it is killed; "P key version" before a put, "p"
//   in
//                                            front after it, "R key" and "r key" for removals
//   cache_child FOLDER fill BYTES            so many bytes of values of 6,144 bytes; then waits
//   cache_child FOLDER check                 "open MICROSECONDS", "ready MICROSECONDS", "items N",
//                                            then "key version" of each entry that is whole
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "varve/cache/disk.h"
#include "varve/cache/policy.h"

namespace {

using namespace varve;
using namespace varve::cache;

constexpr std::uint64_t kKeys = 400;

void say(const std::string& line) {
  // Not buffered: what was said before the kill counts.
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::exit(3);
}

// Says whose it is, and repeats that to the end, so that a wrong byte anywhere shows.
std::string value_of(std::string_view key, std::uint64_t version) {
  const std::string name = fmt::format("{} {} ", key, version);
  const std::size_t bytes = 100 + version * 7919 % 8000;
  std::string value;
  while (value.size() < bytes) value += name;
  value.resize(bytes);
  return value;
}

std::unique_ptr<Tier> open_tier(const std::string& folder, std::uint64_t capacity) {
  DiskOptions options;
  options.folder = folder;
  options.capacity.bytes = capacity;
  auto tier = open_disk_tier(options, *make_policy("fifo", 1));
  if (tier) return std::move(*tier);
  say("error " + tier.error().message + "\n");
  std::exit(2);
}

void write_for_ever(Tier& tier, std::uint64_t seed, std::uint64_t version) {
  base::Random random(seed);
  for (;;) {
    const std::string key = fmt::format("key{}", random.below(kKeys));
    if (random.below(4) == 0) {
      say(fmt::format("R {}\n", key));
      tier.remove(Key(key));
      say(fmt::format("r {}\n", key));
    } else {
      say(fmt::format("P {} {}\n", key, ++version));
      const std::string value = value_of(key, version);
      const bool kept = tier.put(Key(key), Handle::copy_of(base::as_bytes(value)), {});
      say(kept ? fmt::format("p {} {}\n", key, version) : fmt::format("r {}\n", key));
    }
  }
}

void fill(Tier& tier, std::uint64_t bytes) {
  const std::string value(6144, 'v');
  for (std::uint64_t i = 0; i * value.size() < bytes; ++i) {
    tier.put(Key(fmt::format("big{}", i)), Handle::copy_of(base::as_bytes(value)), {});
  }
  say(fmt::format("filled {}\n", tier.stats().items));
  ::pause();
}

void check(const std::string& folder) {
  base::Clock& clock = base::system_clock();
  const auto start = clock.now();
  const auto since = [&] { return (clock.now() - start).count() / 1000; };
  const auto tier = open_tier(folder, 0);
  say(fmt::format("open {}\n", since()));
  // False only when all that is there is known.
  while (tier->may_contain(Key("nothing of that name"))) {
    clock.sleep_for(std::chrono::microseconds(100));
  }
  say(fmt::format("ready {}\nitems {}\n", since(), tier->stats().items));
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const std::string key = fmt::format("key{}", i);
    const Handle got = tier->get(Key(key));
    if (!got) continue;
    const std::string text(base::as_text(got.bytes()));
    const std::size_t space = text.find(' ');
    const std::uint64_t version =
        space == std::string::npos ? 0 : std::strtoull(text.c_str() + space, nullptr, 10);
    say(text == value_of(key, version) ? fmt::format("{} {}\n", key, version)
                                       : fmt::format("wrong {}\n", key));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 2 ? argv[2] : "";
  const auto number = [&](int i) { return i < argc ? std::strtoull(argv[i], nullptr, 10) : 0; };
  if (verb == "check") {
    check(argv[1]);
    return 0;
  }
  if (verb == "write") write_for_ever(*open_tier(argv[1], 64 << 20), number(3), number(4));
  if (verb == "fill") fill(*open_tier(argv[1], 0), number(3));
  return 2;
}

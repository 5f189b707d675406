// Random operations, faults and changes of the files by others, against a map that knows what each
// key may say: its newest value, or nothing.
#include <cstdlib>
#include <cstring>

#include "cache/disk/disk_test.h"
#include "codec/checksum.h"

namespace varve::cache {
namespace {

using namespace disk_test;

class Model {
 public:
  Model(Bed& bed, base::Random& random) : bed_(bed), random_(random) {}

  void step() {
    const std::string key = fmt::format("key {}", random_.below(60));
    switch (random_.below(8)) {
      case 0:
      case 1:
      case 2:
        put_one(key, 0);
        return;
      case 3:
        put_one(key, bed_.clock.wall_ms() + 1 + static_cast<std::int64_t>(random_.below(5000)));
        return;
      case 4:
        bed_.tier->remove(Key(key));
        known_.erase(key);
        return;
      case 5:
        bed_.clock.advance(std::chrono::milliseconds(random_.below(2000)));
        if (random_.below(4) == 0) bed_.tier->maintain();
        return;
      case 6:
        random_.below(2) == 0 ? bed_.tier->pin(Key(key), 0) : bed_.tier->unpin(Key(key));
        return;
      default:
        check(key);
    }
  }
  void check(const std::string& key) {
    const std::string got = get(*bed_.tier, key);
    hits_ += got != "(miss)";
    if (got == "(miss)") return;
    ASSERT_TRUE(known_.contains(key)) << key << " came back as " << got.substr(0, 40);
    ASSERT_EQ(got, known_[key].text) << key;
    ASSERT_TRUE(known_[key].expires_ms == 0 || known_[key].expires_ms > bed_.clock.wall_ms());
  }
  void check_all() {
    for (int i = 0; i < 60; ++i) check(fmt::format("key {}", i));
  }
  std::size_t live() const { return known_.size(); }
  int hits() const { return hits_; }

 private:
  struct Known {
    std::string text;
    std::int64_t expires_ms = 0;
  };

  void put_one(const std::string& key, std::int64_t expires_ms) {
    const std::string text = long_value(++version_, 20 + random_.below(400));
    known_.erase(key);
    if (put(*bed_.tier, key, text, expires_ms)) known_[key] = {text, expires_ms};
  }

  Bed& bed_;
  base::Random& random_;
  std::map<std::string, Known> known_;
  int version_ = 0;
  int hits_ = 0;
};

TEST(DiskModel, RandomOperationsAndRestartsAgreeWithAMap) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    Bed bed;
    bed.policy = policy_names()[seed % policy_names().size()];
    if (seed % 4 != 0) bed.options.capacity.bytes = (40 + random.below(60)) << 10;
    bed.open();
    Model model(bed, random);
    for (int step = 0; step < 4000 && !testing::Test::HasFatalFailure(); ++step) {
      model.step();
      const std::uint64_t event = random.below(400);
      if (event == 0) bed.open();
      if (event == 1) bed.reopen_after_kill();
    }
    model.check_all();
    EXPECT_GT(model.hits(), 200);
    EXPECT_EQ(bed.tier->stats().errors + bed.tier->stats().corrupt, 0U);
    if (HasFatalFailure()) return;
  }
}

std::string random_path(const Bed& bed, base::Random& random) {
  // Sometimes the one that says whether the others are believed.
  const auto files = random.below(50) == 0 ? bed.files.contents() : bed.segments();
  if (files.empty()) return "f/00000001.seg";
  return std::next(files.begin(), static_cast<int>(random.below(files.size())))->first;
}

void set_version(std::string& bytes, base::Random& random) {
  if (bytes.size() < 64) return;
  bytes[8] = static_cast<char>(2 + random.below(200));
  const auto crc = codec::crc32c(base::as_bytes(bytes).subspan(8, 56));
  if (random.below(2) == 0) std::memcpy(bytes.data() + 4, &crc, sizeof(crc));
}

// One change of the folder by somebody else.
void mutate(Bed& bed, base::Random& random) {
  const std::string path = random_path(bed, random);
  switch (random.below(7)) {
    case 0:
    case 1:
      bed.files.change(path, [&](std::string& bytes) {
        if (bytes.empty()) return;
        char& byte = bytes[random.below(bytes.size())];
        byte = static_cast<char>(byte ^ 1 << random.below(8));
      });
      return;
    case 2:
      bed.files.change(path,
                       [&](std::string& bytes) { bytes.resize(random.below(bytes.size() + 1)); });
      return;
    case 3:
      bed.files.swap(path, random_path(bed, random));
      return;
    case 4:
      bed.files.change(path, [&](std::string& bytes) { set_version(bytes, random); });
      return;
    case 5:
      bed.files.unlink(path);
      return;
    default:
      // A full disk: what is there can be changed in place.
      bed.files.set_faults([](MemoryFiles::Call call) {
        using enum MemoryFiles::Call;
        const bool needs_room = call == create || call == reserve || call == extend;
        return needs_room ? MemoryFiles::Fault::part : MemoryFiles::Fault::none;
      });
  }
}

TEST(DiskModel, NoChangeOfTheFolderMakesAWrongByteOrBringsBackWhatWasDeleted) {
  const char* wanted = std::getenv("VARVE_CACHE_MUTATIONS");
  const int mutations = wanted != nullptr ? std::atoi(wanted) : 2000;
  const int mutations_of_a_folder = 20;
  int hits = 0;
  for (int done = 0, seed = 1; done < mutations; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(static_cast<std::uint64_t>(seed));
    Bed bed;
    bed.policy = policy_names()[static_cast<std::size_t>(seed) % policy_names().size()];
    if (seed % 3 != 0) bed.options.capacity.bytes = (40 + random.below(60)) << 10;
    bed.open();
    Model model(bed, random);
    for (int turn = 0; turn < mutations_of_a_folder; ++turn, ++done) {
      for (int step = 0; step < 60; ++step) model.step();
      mutate(bed, random);
      for (int step = 0; step < 20; ++step) model.step();
      if (random.below(3) == 0) bed.open();
      if (random.below(3) == 0) bed.reopen_after_kill();
      model.check_all();
      if (random.below(2) == 0) bed.files.set_faults(nullptr);
      if (HasFatalFailure()) return;
    }
    hits += model.hits();
  }
  EXPECT_GT(hits, mutations * 20);
}

// A script that reaches every kind of write: appends, replacements, removals, seals, reclaim.
void run_script(Bed& bed, std::map<std::string, std::string>& known) {
  for (int i = 0; i < 90; ++i) {
    const std::string key = fmt::format("key {}", i % 40);
    known.erase(key);
    if (put(*bed.tier, key, long_value(i, 400))) known[key] = long_value(i, 400);
    if (i % 3 == 0) get(*bed.tier, key);
    if (i % 5 != 0) continue;
    const std::string gone = fmt::format("key {}", (i * 7) % 40);
    bed.tier->remove(Key(gone));
    known.erase(gone);
    bed.clock.advance(std::chrono::milliseconds(700));
  }
}

TEST(DiskFaults, AFaultOfAnyCallIsAMissAtMost) {
  for (const auto fault : {MemoryFiles::Fault::fails, MemoryFiles::Fault::part}) {
    for (const char* policy : {"fifo", "lru"}) {
      bool reached = true;
      for (int number = 0; reached; ++number) {
        SCOPED_TRACE(fmt::format("{}, call {} with fault {}", policy, number, int(fault)));
        Bed bed;
        bed.policy = policy;
        bed.options.capacity.bytes = 32 << 10;
        bed.options.sync_at_seal = true;
        bed.open();
        int calls = 0;
        reached = false;
        bed.files.set_faults([&](MemoryFiles::Call) {
          if (calls++ != number) return MemoryFiles::Fault::none;
          reached = true;
          return fault;
        });
        std::map<std::string, std::string> known;
        run_script(bed, known);
        bed.files.set_faults(nullptr);
        for (const bool after_kill : {false, true}) {
          if (after_kill) bed.reopen_after_kill();
          std::size_t hits = 0;
          for (int i = 0; i < 40; ++i) {
            const std::string key = fmt::format("key {}", i);
            const std::string got = get(*bed.tier, key);
            if (got == "(miss)") continue;
            ++hits;
            ASSERT_TRUE(known.contains(key)) << key;
            ASSERT_EQ(got, known[key]) << key;
          }
          ASSERT_GT(hits, 10U);
        }
        if (number > 400) number += 7;
      }
    }
  }
}

TEST(DiskFaults, AFullDiskIsAskedAgainAfterAWhile) {
  Bed bed;
  Tier& tier = bed.open();
  put(tier, "k", "v");
  int asked = 0;
  bed.files.set_faults([&](MemoryFiles::Call call) {
    const bool needs_room = call == MemoryFiles::Call::extend;
    asked += needs_room;
    return needs_room ? MemoryFiles::Fault::fails : MemoryFiles::Fault::none;
  });
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(put(tier, fmt::format("{}", i), "v"));
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(tier.stats().available);
  EXPECT_EQ(get(tier, "k"), "v");
  EXPECT_TRUE(tier.remove(Key("k")));
  bed.files.set_faults(nullptr);
  bed.clock.advance(std::chrono::seconds(2));
  EXPECT_TRUE(put(tier, "k2", "v"));
  EXPECT_TRUE(tier.stats().available);
  EXPECT_EQ(get(bed.reopen_after_kill(), "k"), "(miss)");
  EXPECT_EQ(get(*bed.tier, "k2"), "v");
}

TEST(DiskFaults, ReadErrorsAndDamageAreMissesThatAreCounted) {
  Bed bed;
  std::vector<Cause> told;
  bed.options.on_removal = [&](const Removal& removal) { told.push_back(removal.cause); };
  Tier& tier = bed.open();
  put(tier, "a", long_value(1));
  put(tier, "b", long_value(2));
  bed.files.set_faults([](MemoryFiles::Call call) {
    return call == MemoryFiles::Call::read ? MemoryFiles::Fault::fails : MemoryFiles::Fault::none;
  });
  EXPECT_EQ(get(tier, "a"), "(miss)");
  EXPECT_EQ(tier.stats().errors, 1U);
  bed.files.set_faults(nullptr);
  EXPECT_EQ(get(tier, "a"), long_value(1));
  bed.files.change(bed.path_of_newest(), [](std::string& bytes) { bytes[200] ^= 1; });
  EXPECT_EQ(get(tier, "a"), "(miss)");
  EXPECT_EQ(tier.stats().corrupt, 1U);
  EXPECT_EQ(tier.stats().lost, 1U);
  EXPECT_EQ(told, std::vector<Cause>{Cause::lost});
  EXPECT_EQ(get(tier, "b"), long_value(2));
}

TEST(DiskFaults, ADeletedFolderIsMadeAgain) {
  Bed bed;
  Tier& tier = bed.open();
  put(tier, "a", "v");
  bed.files.unlink(bed.path_of_newest());
  EXPECT_EQ(get(tier, "a"), "v");
  tier.maintain();
  EXPECT_EQ(get(tier, "a"), "(miss)");
  EXPECT_EQ(tier.stats().lost, 1U);
  EXPECT_TRUE(put(tier, "b", "v"));
  EXPECT_EQ(get(bed.reopen_after_kill(), "b"), "v");
}

}  // namespace
}  // namespace varve::cache

// Which folders are believed after the machine went down.
#include "cache/disk/folder_state.h"
#include "cache/disk/disk_test.h"

namespace varve::cache {
namespace {

using namespace disk_test;

TEST(FolderState, AfterAPowerFailureNoOlderValueIsServed) {
  for (const bool immutable : {false, true}) {
    Bed bed;
    bed.options.immutable = immutable;
    put(bed.open(), "k", "old");
    put(bed.open(), "other", "v");
    const auto on_device = bed.files.contents();
    put(*bed.tier, "k", "new");
    Tier& tier = bed.reopen_after_power_failure(on_device);
    EXPECT_EQ(get(tier, "k"), immutable ? "old" : "(miss)");
    EXPECT_EQ(get(tier, "other"), immutable ? "v" : "(miss)");
    EXPECT_TRUE(put(tier, "k", "newest"));
    EXPECT_EQ(get(bed.reopen_after_kill(), "k"), "newest");
  }
}

TEST(FolderState, WhatWasClosedOrKilledIsBelieved) {
  Bed bed;
  put(bed.open(), "k", "v");
  EXPECT_EQ(get(bed.reopen_after_kill(), "k"), "v");
  bed.tier.reset();
  EXPECT_EQ(get(bed.reopen_after_power_failure(bed.files.contents()), "k"), "v");
}

TEST(FolderState, WhereItCannotBeToldNothingIsBelieved) {
  const auto after = [](const std::function<void(Bed&)>& change) {
    Bed bed;
    put(bed.open(), "k", "v");
    bed.tier.reset();
    change(bed);
    return get(bed.open(), "k");
  };
  const std::string path = std::string("f/") + kStateName;
  EXPECT_EQ(after([](Bed&) {}), "v");
  EXPECT_EQ(after([&](Bed& bed) { bed.files.unlink(path); }), "(miss)");
  EXPECT_EQ(after([&](Bed& bed) { bed.files.change(path, [](auto& text) { text += "x"; }); }),
            "(miss)");
  Bed bed;
  bed.files.set_boot("");
  put(bed.open(), "k", "v");
  EXPECT_EQ(get(bed.reopen_after_kill(), "k"), "(miss)");
}

TEST(FolderState, AFolderThatCannotBeSyncedCountsAsOpen) {
  Bed bed;
  put(bed.open(), "k", "v");
  bed.files.set_faults([](MemoryFiles::Call call) {
    return call == MemoryFiles::Call::sync ? MemoryFiles::Fault::fails : MemoryFiles::Fault::none;
  });
  bed.tier.reset();
  bed.files.set_faults(nullptr);
  EXPECT_EQ(get(bed.reopen_after_power_failure(bed.files.contents()), "k"), "(miss)");
}

}  // namespace
}  // namespace varve::cache

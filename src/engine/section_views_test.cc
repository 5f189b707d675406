// Ids as caches keep them: keys and LSNs come back, and bytes that are no such section are refused.
#include "engine/section_views.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/random.h"
#include "format/group.h"

namespace varve::engine {
namespace {

constexpr std::uint64_t kFourGi = std::uint64_t{1} << 32;

// A part of rows with these LSNs, as it lies in a group.
struct Part {
  explicit Part(std::vector<Lsn> of_rows) : lsns(std::move(of_rows)) {
    values.assign(lsns.size(), 0.5F);
    for (std::size_t i = 0; i < lsns.size(); ++i) keys.push_back(fmt::format("key{}", i * i));
    const std::vector<std::string_view> names(keys.begin(), keys.end());
    format::PartInput input;
    input.rows = kernels::rows_of(values.data(), values.size(), 1);
    input.keys = names;
    input.lsns = lsns;
    group = format::encode_group({&input, 1}, format::Uuid{}, "g", base::Nonce{});
    slot.emplace(group.ref.parts[0], "g");
  }

  Result<cache::Handle> prepared() const {
    const format::SectionRef& ref = slot->ref.section(format::Section::ids);
    VARVE_TRY(base::Bytes section,
              format::decode_section(group.object.slice(ref.offset, ref.stored_bytes), ref, "g"));
    return prepare_section(format::Section::ids, std::move(section), *slot, {});
  }

  std::vector<Lsn> lsns;
  std::vector<float> values;
  std::vector<std::string> keys;
  format::EncodedGroup group;
  std::optional<PartSlot> slot;
};

std::vector<Lsn> of_one_batch(std::size_t rows) {
  std::vector<Lsn> lsns;
  for (std::size_t i = 0; i < rows; ++i) lsns.push_back({3, 9, 70'000 + i * 17});
  return lsns;
}

std::vector<Lsn> of_many_batches(std::size_t rows) {
  base::Random random(4);
  std::vector<Lsn> lsns;
  for (std::size_t i = 0; i < rows; ++i) {
    lsns.push_back({random.below(3), kFourGi * random.below(4), random.below(3 * kFourGi)});
  }
  return lsns;
}

TEST(IdsView, GivesBackKeysAndLsns) {
  for (const auto& lsns : {of_one_batch(1), of_one_batch(200), of_many_batches(200)}) {
    const Part part(lsns);
    auto prepared = part.prepared();
    ASSERT_TRUE(prepared) << prepared.error().message;
    EXPECT_LE(prepared->bytes().size(), prepared_bytes_max(format::Section::ids, part.slot->ref));
    IdsView view;
    ASSERT_TRUE(view.open(std::move(*prepared), *part.slot, {}));
    for (std::size_t row = 0; row < lsns.size(); ++row) {
      EXPECT_EQ(view.lsn(row), lsns[row]);
      EXPECT_EQ(view.key(row), part.keys[row]);
    }
  }
}

TEST(IdsView, RowsOfOneBatchTakeEightBytesBesideTheirKeys) {
  const Part part(of_one_batch(1'000));
  std::size_t key_bytes = 0;
  for (const std::string& key : part.keys) key_bytes += key.size();
  EXPECT_LE(part.prepared()->bytes().size(), key_bytes + 8 * 1'000 + 64);
}

TEST(IdsView, RefusesWhatWouldBeReadOutOfBounds) {
  const Part part(of_many_batches(50));
  const auto prepared = part.prepared();
  ASSERT_TRUE(prepared);
  base::Random random(8);
  std::size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes(prepared->bytes().begin(), prepared->bytes().end());
    if (random.below(4) == 0) bytes.resize(random.below(bytes.size()));
    for (std::uint64_t flips = random.below(4); flips > 0 && !bytes.empty(); --flips) {
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.below(256));
    }
    IdsView view;
    if (!view.open(cache::Handle::copy_of(bytes), *part.slot, {})) {
      ++refused;
      continue;
    }
    for (std::size_t row = 0; row < 50; ++row) {
      static_cast<void>(view.lsn(row));
      EXPECT_LE(view.key(row).size(), view.text.size());
    }
  }
  EXPECT_GT(refused, 4'000U);
}

}  // namespace
}  // namespace varve::engine

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "format/coding.h"
#include "format/samples.h"

namespace varve::format {
namespace {

constexpr std::uint64_t kSeed = 20261120;
constexpr int kRounds = 40;
constexpr std::string_view kName = "v1/i/ab/an-index/an-object";

// The value of a result that must be there, with the error in the failure if it is not.
template <typename T>
T value_of(Result<T> result) {
  EXPECT_TRUE(result.has_value()) << result.error().message;
  return std::move(*result);
}

TEST(RoundTrip, Uuid) {
  Sampler sampler(kSeed);
  const Uuid uuid = sampler.uuid();
  EXPECT_EQ(uuid.hex().size(), 32U);
  EXPECT_EQ(value_of(Uuid::from_hex(uuid.hex())), uuid);
  for (const std::string bad :
       {"", "0", "zz", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdeg",
        "0123456789abcdef0123456789abcdef0"}) {
    EXPECT_EQ(Uuid::from_hex(bad).error().kind, ErrorKind::invalid) << bad;
  }
}

TEST(RoundTrip, VarintsOfEveryLengthAndNoLongerForm) {
  Writer writer;
  std::vector<std::uint64_t> numbers;
  for (unsigned bits = 0; bits <= 64; ++bits) {
    const std::uint64_t top = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    for (const std::uint64_t n : {top, top - 1, top + 1}) numbers.push_back(n);
  }
  for (const std::uint64_t n : numbers) writer.varint(n);
  Reader reader(writer.span(), "test");
  for (const std::uint64_t n : numbers) EXPECT_EQ(reader.varint("number"), n);
  EXPECT_TRUE(reader.finish().has_value());

  for (const std::string_view bad :
       {"", "\x80", "\x80\x80", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}) {
    Reader broken(base::as_bytes(bad), "test");
    broken.varint("number");
    EXPECT_FALSE(broken.ok());
  }
  const char longer[] = {'\x81', '\0'};  // 1, in two bytes
  Reader broken(base::as_bytes(std::string_view(longer, 2)), "test");
  broken.varint("number");
  EXPECT_FALSE(broken.ok());
}

TEST(RoundTrip, ZigzagHoldsEveryDifference) {
  Sampler sampler(kSeed);
  EXPECT_EQ(zigzag(5, 5), 0U);
  EXPECT_EQ(zigzag(5, 4), 1U);
  EXPECT_EQ(zigzag(5, 6), 2U);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t a = sampler.number();
    const std::uint64_t b = sampler.number();
    EXPECT_EQ(unzigzag(a, zigzag(a, b)), b);
  }
}

TEST(Keys, AreUtf8WithoutNulOfLimitedLength) {
  for (const std::string& good :
       {std::string("a"), std::string(1024, 'k'), std::string("\u00e9\u6d77"),
        std::string("\U0010FFFF"), std::string("\uD7FF\uE000")}) {
    EXPECT_TRUE(is_key(good)) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string(1025, 'k'), std::string("a\0b", 3), std::string("\x80"),
        std::string("\xc0\xaf"), std::string("\xc1\xbf"), std::string("\xe0\x9f\xbf"),
        std::string("\xed\xa0\x80"), std::string("\xf0\x8f\xbf\xbf"),
        std::string("\xf4\x90\x80\x80"), std::string("\xf5\x80\x80\x80"), std::string("\xe6\xb5"),
        std::string("\xc3"), std::string("\xff")}) {
    EXPECT_FALSE(is_key(bad)) << bad.size();
  }
}

TEST(RoundTrip, Envelope) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const Identity identity{static_cast<Kind>(1 + sampler.below(10)), sampler.uuid(),
                            sampler.text(1, 200), sampler.nonce()};
    const std::string body = sampler.text(0, 300);
    const base::Bytes object = encode_envelope(identity, base::as_bytes(body));
    const auto envelope =
        value_of(decode_envelope(object, identity.kind, identity.index, identity.name));
    EXPECT_EQ(base::as_text(envelope.body), body);
    EXPECT_EQ(envelope.identity.nonce, identity.nonce);
    EXPECT_EQ(envelope.identity.name, identity.name);
    EXPECT_EQ(envelope.header_bytes % 64, 0U);
    EXPECT_EQ(envelope.object_bytes, object.size());
  }
}

TEST(RoundTrip, HeadStaysBelow4KiBHoweverFull) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    Head head = sampler.head();
    if (round == 0) {
      head.manifest_name = std::string(128, 'm');
      head.parents.resize(kParentsMax);
      head.jobs.resize(kJobsMax);
      for (Job& job : head.jobs) job.owner = std::string(128, 'o');
      head.retired.resize(kRetiredMax);
      for (RetiredRef& ref : head.retired) ref.list_name = std::string(128, 'r');
    }
    const Uuid index = sampler.uuid();
    const base::Bytes object = encode_head(head, index, kName);
    EXPECT_LE(object.size(), 4096U);
    EXPECT_TRUE(same(value_of(decode_head(object, index, kName)), head)) << "round " << round;
  }
}

TEST(RoundTrip, Manifest) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const Manifest manifest = sampler.manifest(sampler.below(6), sampler.below(6));
    const Uuid index = sampler.uuid();
    const base::Bytes object = encode_manifest(manifest, index, kName, sampler.nonce());
    EXPECT_TRUE(same(value_of(decode_manifest(object, index, kName)), manifest)) << round;
  }
}

TEST(RoundTrip, ManifestOf20000Parts) {
  Sampler sampler(kSeed);
  const Manifest manifest = sampler.manifest(625, 32);
  const base::Bytes object = encode_manifest(manifest, Uuid{}, kName, sampler.nonce());
  EXPECT_TRUE(same(value_of(decode_manifest(object, Uuid{}, kName)), manifest));
  EXPECT_LT(object.size(), 20'000U * 110);
}

TEST(RoundTrip, LogAtEveryAlignmentOfTheBuffer) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const auto dim = static_cast<std::uint32_t>(1 + sampler.below(70));
    const OwnedOps owned = sample_ops(sampler, sampler.below(30), dim);
    const LogPosition position{sampler.number(), sampler.number()};
    const base::Sha256 previous = sampler.sha256();
    const base::Nonce nonce = sampler.nonce();
    const Uuid index = sampler.uuid();
    base::Bytes object = encode_batch(position, previous, owned.ops, dim, index, kName, nonce);
    const std::size_t shift = sampler.below(8);
    const std::string shifted = std::string(shift, '\0') + std::string(base::as_text(object));
    object = base::Bytes::copy_of(base::as_bytes(shifted)).slice(shift, object.size());

    const LogEntry entry = value_of(decode_log(object, position, dim, index, kName));
    const auto& batch = std::get<LogBatch>(entry);
    EXPECT_EQ(batch.position, position);
    EXPECT_EQ(batch.previous, previous);
    EXPECT_EQ(batch.nonce, nonce);
    ASSERT_EQ(batch.ops.size(), owned.ops.size());
    for (std::size_t i = 0; i < owned.ops.size(); ++i) {
      EXPECT_TRUE(same(batch.ops[i], owned.ops[i])) << "operation " << i;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch.ops[i].vector.data()) % 4, 0U);
    }
  }
}

TEST(RoundTrip, Seal) {
  Sampler sampler(kSeed);
  const Seal seal{{7, 12}, sampler.nonce(), 8};
  const base::Bytes object = encode_seal(seal, Uuid{}, kName);
  const auto entry = value_of(decode_log(object, seal.position, 3, Uuid{}, kName));
  EXPECT_EQ(std::get<Seal>(entry).position, seal.position);
  EXPECT_EQ(std::get<Seal>(entry).nonce, seal.nonce);
  EXPECT_EQ(std::get<Seal>(entry).new_epoch, 8U);
}

TEST(RoundTrip, Centroids) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const auto dim = static_cast<std::uint32_t>(1 + sampler.below(130));
    const Centroids centroids = sampler.centroids(dim, sampler.below(50));
    const base::Bytes object = encode_centroids(centroids, Uuid{}, kName, sampler.nonce());
    EXPECT_TRUE(same(value_of(decode_centroids(object, dim, Uuid{}, kName)), centroids));
    const auto directions =
        sampler.directions(dim, 16 * (1 + static_cast<std::uint32_t>(sampler.below(8))));
    const base::Bytes encoded = encode_directions(directions, Uuid{}, kName, sampler.nonce());
    EXPECT_TRUE(same(value_of(decode_directions(encoded, dim, Uuid{}, kName)), directions));
  }
}

TEST(RoundTrip, StaleRows) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const StaleRows stale = sampler.stale(sampler.below(8));
    const base::Bytes object = encode_stale(stale, Uuid{}, kName, sampler.nonce());
    EXPECT_TRUE(value_of(decode_stale(object, Uuid{}, kName)) == stale) << round;
  }
}

TEST(RoundTrip, StaleRowsOfOnePartInOneRun) {
  StaleRows stale;
  stale[3].addRange(0, 5);  // the smallest bitmap that Roaring writes
  const base::Bytes object = encode_stale(stale, Uuid{}, kName, base::Nonce{1, 2});
  EXPECT_TRUE(value_of(decode_stale(object, Uuid{}, kName)) == stale);
}

TEST(RoundTrip, StaleRowsLeaveOutPartsWithoutAny) {
  StaleRows stale;
  stale[3].add(7);
  stale[4];
  const base::Bytes object = encode_stale(stale, Uuid{}, kName, base::Nonce{1, 2});
  const StaleRows back = value_of(decode_stale(object, Uuid{}, kName));
  EXPECT_EQ(back.size(), 1U);
  EXPECT_TRUE(back.contains(3));
}

TEST(RoundTrip, RetiredAndCatalog) {
  SCOPED_TRACE(kSeed);
  Sampler sampler(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::string> names(sampler.below(20));
    for (std::string& name : names) name = sampler.text(1, 1024);
    base::Bytes object = encode_retired(names, Uuid{}, kName, sampler.nonce());
    EXPECT_EQ(value_of(decode_retired(object, Uuid{}, kName)), names);

    const Catalog catalog = sampler.catalog(sampler.below(20));
    object = encode_catalog(catalog, kName, sampler.nonce());
    EXPECT_TRUE(same(value_of(decode_catalog(object, kName)), catalog));
  }
}

}  // namespace
}  // namespace varve::format

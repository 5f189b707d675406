#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "codec/checksum.h"
#include "codec/zstd.h"

namespace varve::codec {
namespace {

constexpr std::uint64_t kSeed = 20261120;

base::Bytes random_bytes(base::Random& random, std::size_t size, std::uint64_t symbols) {
  base::Buffer buffer(size);
  for (std::byte& byte : buffer.span()) byte = static_cast<std::byte>(random.below(symbols));
  return base::Bytes(std::move(buffer));
}

bool same(base::ByteSpan a, base::ByteSpan b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

TEST(Checksum, Crc32cAgreesWithTheCheckValueOfItsSpecification) {
  EXPECT_EQ(crc32c(base::as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c(base::as_bytes("")), 0U);
  // RFC 3720, B.4: 32 bytes of zeros, and of ones.
  EXPECT_EQ(crc32c(base::as_bytes(std::string(32, '\0'))), 0x8A9136AAU);
  EXPECT_EQ(crc32c(base::as_bytes(std::string(32, '\xff'))), 0x62A8AB43U);
}

TEST(Checksum, Crc32cIsTheSameAtEveryAlignmentAndLength) {
  SCOPED_TRACE(kSeed);
  base::Random random(kSeed);
  const auto bit_by_bit = [](base::ByteSpan bytes) {
    std::uint32_t crc = 0xFFFFFFFFU;
    for (const std::byte byte : bytes) {
      crc ^= std::to_integer<std::uint32_t>(byte);
      for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ (crc % 2 != 0 ? 0x82F63B78U : 0U);
    }
    return ~crc;
  };
  const base::Bytes bytes = random_bytes(random, 700, 256);
  for (std::size_t begin = 0; begin < 16; ++begin) {
    for (std::size_t size = 0; size < 600; size += 7) {
      const base::ByteSpan part = bytes.span().subspan(begin, size);
      ASSERT_EQ(crc32c(part), bit_by_bit(part)) << begin << " " << size;
    }
  }
}

TEST(Checksum, Xxh3AgreesWithItsPublishedValues) {
  EXPECT_EQ(hash64(base::as_bytes("")), 0x2D06800538D394C2U);
  EXPECT_EQ(hash128(base::as_bytes("")), (Hash128{0x99AA06D3014798D8U, 0x6001C324468D497FU}));
  // Keys are hashed with it: the value is part of the format.
  EXPECT_EQ(hash64(base::as_bytes("varve")), 0xC64E3D9268DD4F6FU);
}

TEST(Zstd, EveryLevelGivesBackTheBytes) {
  SCOPED_TRACE(kSeed);
  base::Random random(kSeed);
  const base::Bytes inputs[] = {base::Bytes(), random_bytes(random, 1, 256),
                                random_bytes(random, 3000, 4), random_bytes(random, 3000, 256)};
  for (int level = 1; level <= 22; ++level) {
    for (const base::Bytes& input : inputs) {
      const base::Bytes frame = compress(input, level);
      const auto back = decompress(frame, input.size());
      ASSERT_TRUE(back.has_value()) << back.error().message;
      EXPECT_TRUE(same(*back, input)) << "level " << level << ", " << input.size() << " bytes";
    }
  }
}

TEST(Zstd, KeepsThePayloadOfEveryNan) {
  std::vector<std::uint32_t> bits;
  for (std::uint32_t payload = 1; payload < (1U << 23); payload += 12345) {
    bits.push_back(0x7F800000U | payload);
    bits.push_back(0xFF800000U | payload);
  }
  const base::ByteSpan input = std::as_bytes(std::span(bits));
  const auto back = decompress(compress(input, 3), input.size());
  ASSERT_TRUE(back.has_value());
  EXPECT_TRUE(same(*back, input));
}

TEST(Zstd, RefusesEverySizeButTheRightOne) {
  const base::Bytes frame = compress(base::as_bytes("a varve is a layer of sediment"), 3);
  for (const std::size_t size : {0, 1, 29, 31, 1 << 30}) {
    const auto result = decompress(frame, size);
    ASSERT_FALSE(result.has_value()) << size;
    EXPECT_EQ(result.error().kind, ErrorKind::corrupt);
  }
  EXPECT_TRUE(decompress(frame, 30).has_value());
}

TEST(Zstd, RefusesACutFrameAndBytesBehindAFrame) {
  SCOPED_TRACE(kSeed);
  base::Random random(kSeed);
  const base::Bytes input = random_bytes(random, 500, 5);
  const base::Bytes frame = compress(input, 3);
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(decompress(frame.span().first(size), input.size()).has_value()) << size;
  }
  const std::string text(base::as_text(frame));
  EXPECT_FALSE(decompress(base::as_bytes(text + '\0'), input.size()).has_value());
  const base::Bytes nothing = compress(base::ByteSpan(), 3);
  const std::string two = text + std::string(base::as_text(nothing));
  EXPECT_FALSE(decompress(base::as_bytes(two), input.size()).has_value());
}

TEST(Zstd, AFlippedBitIsRefusedOrHarmless) {
  SCOPED_TRACE(kSeed);
  base::Random random(kSeed);
  const base::Bytes input = random_bytes(random, 400, 6);
  std::string frame(base::as_text(compress(input, 3)));
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ (1 << bit % 8));
    const auto back = decompress(base::as_bytes(frame), input.size());
    if (back) {
      EXPECT_TRUE(same(*back, input)) << "bit " << bit;
    } else {
      ++refused;
    }
    frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ (1 << bit % 8));
  }
  EXPECT_GT(refused, frame.size() * 8 * 9 / 10);
}

TEST(Zstd, ThreadsDoNotShareContexts) {
  SCOPED_TRACE(kSeed);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong] {
      base::Random random(kSeed + static_cast<std::uint64_t>(t));
      for (int i = 0; i < 50; ++i) {
        const base::Bytes input = random_bytes(random, 1 + random.below(2000), 7);
        const auto back = decompress(compress(input, 1 + i % 5), input.size());
        if (!back || !same(*back, input)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace varve::codec

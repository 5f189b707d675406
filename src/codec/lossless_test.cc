// The contract of codec/lossless.h, on all methods and on every target.
#include "codec/lossless.h"

#include <algorithm>
#include <array>

#include "codec/codec_test_util.h"

namespace varve::codec {
namespace {

constexpr Method kAllMethods[] = {Method::raw,  Method::repeat,         Method::bf16,
                                  Method::f16,  Method::int8,           Method::exponent,
                                  Method::zstd, Method::zstd_dictionary};
constexpr std::size_t kVectorBytes = 6144;

const Dictionary& dictionary() {
  static const Dictionary trained = [] {
    std::vector<std::string> texts;
    std::vector<base::ByteSpan> samples;
    for (int i = 0; i < 2000; ++i) {
      texts.push_back("{\"key\": \"doc-" + std::to_string(i * 7919 % 10007) +
                      "\", \"score\": " + std::to_string(i % 97) + ", \"text\": \"layer\"}");
    }
    for (const std::string& text : texts) samples.push_back(base::as_bytes(text));
    return Dictionary::train(samples, 4096).value();
  }();
  return trained;
}

EncodeOptions everything() { return {true, 3, &dictionary()}; }

// Decodes into the middle of a larger block, so that a write outside of it shows without ASan too.
std::string decoded(Method method, base::ByteSpan stored, std::size_t size) {
  constexpr std::size_t kMargin = 64;
  constexpr std::byte kMark{0xA5};
  std::vector<std::byte> block(size + 2 * kMargin, kMark);
  const auto out = std::span(block).subspan(kMargin, size);
  const Status status = decode(method, stored, out, &dictionary());
  const auto untouched = [&](std::size_t at) {
    return std::all_of(block.begin() + static_cast<std::ptrdiff_t>(at),
                       block.begin() + static_cast<std::ptrdiff_t>(at + kMargin),
                       [&](std::byte byte) { return byte == kMark; });
  };
  EXPECT_TRUE(untouched(0));
  EXPECT_TRUE(untouched(kMargin + size));
  return status ? text_of(out) : "error: " + status.error().message;
}

void expect_round_trip(base::ByteSpan raw) {
  const std::string text = text_of(raw);
  const Encoded best = encode(raw, everything());
  ASSERT_LE(best.bytes.size(), raw.size());
  ASSERT_EQ(decoded(best.method, best.bytes, raw.size()), text) << to_string(best.method);
  for (const Method method : kAllMethods) {
    const auto stored = encode_as(method, raw, everything());
    if (!stored) continue;
    ASSERT_TRUE(method == Method::raw || stored->size() < raw.size()) << to_string(method);
    ASSERT_LE(best.bytes.size(), stored->size()) << to_string(method);
    ASSERT_EQ(decoded(method, *stored, raw.size()), text) << to_string(method);
  }
}

TEST(Lossless, GivesBackAllBitsOfEverySizeAndShape) {
  SCOPED_TRACE(kTestSeed);
  std::mt19937 random(kTestSeed);
  for (std::size_t size = 0; size <= 300; ++size) {
    for (const Shape& shape : shapes(random, 76)) {
      SCOPED_TRACE(std::string(shape.name) + ", bytes: " + std::to_string(size));
      expect_round_trip(bytes_of(shape.words).first(size));
    }
  }
}

TEST(Lossless, GivesBackAllBitsOnEveryTarget) {
  on_each_target([](std::int64_t) {
    std::mt19937 random(kTestSeed);
    for (const std::size_t count : {1UL, 63UL, 64UL, 65UL, 257UL, 1000UL, 1536UL}) {
      for (const Shape& shape : shapes(random, count + 1)) {
        SCOPED_TRACE(std::string(shape.name) + ", values: " + std::to_string(count));
        expect_round_trip(bytes_of(shape.words).first(4 * count));
        expect_round_trip(bytes_of(shape.words).subspan(1, 4 * count + 2));
      }
    }
  });
}

TEST(Lossless, StoresTheSameBytesOnEveryTarget) {
  std::vector<std::string> reference;
  on_each_target([&](std::int64_t) {
    std::mt19937 random(kTestSeed);
    std::vector<std::string> stored;
    for (const std::size_t count : {1UL, 100UL, 500UL, 1536UL}) {
      for (const Shape& shape : shapes(random, count)) {
        for (const Method method : kAllMethods) {
          const auto bytes = encode_as(method, bytes_of(shape.words), everything());
          stored.push_back(bytes ? text_of(*bytes) : "does not apply");
        }
      }
    }
    if (reference.empty()) reference = stored;
    ASSERT_EQ(stored, reference);
  });
}

TEST(Lossless, GivesBackAMillionRandomPatterns) {
  SCOPED_TRACE(kTestSeed);
  std::mt19937 random(kTestSeed);
  for (std::size_t done = 0; done < 1000000;) {
    // The shape of most of them is narrowed, so that every method has its turn.
    Words words = random_words(random, 1 + random() % 2000);
    const std::uint32_t keep = random() % 2 == 0 ? 0xffffffffU : 0xffffffffU << random() % 32;
    const std::uint32_t mask = random() % 3 == 0 ? 0x83ffffffU : 0xffffffffU;
    const std::uint32_t base = random() % 3 == 0 ? 0x3c000000U : 0;
    for (std::uint32_t& word : words) word = (word & keep & mask) | base;
    expect_round_trip(bytes_of(words));
    done += words.size();
  }
}

struct Expected {
  const char* shape;
  Method method;
  double ratio;
};

TEST(Lossless, PicksTheMethodThatTheBitsWereMadeBy) {
  SCOPED_TRACE(kTestSeed);
  std::mt19937 random(kTestSeed);
  const auto all = shapes(random, kVectorBytes / 4);
  constexpr Expected expected[] = {{"random", Method::raw, 1},
                                   {"normal", Method::exponent, 1.15},
                                   {"bf16", Method::bf16, 2},
                                   {"f16", Method::f16, 2},
                                   {"int8", Method::int8, 3.98},
                                   {"int8 divided", Method::int8, 3.98},
                                   {"uint8", Method::int8, 3.98},
                                   {"uint8 scaled", Method::int8, 3.98},
                                   {"constant", Method::repeat, 1536},
                                   {"period of 16", Method::repeat, 96},
                                   {"period of 64", Method::repeat, 24},
                                   {"zeros", Method::repeat, 6144}};
  for (const Expected& row : expected) {
    const auto shape = std::find_if(all.begin(), all.end(), [&](const Shape& candidate) {
      return std::string_view(candidate.name) == row.shape;
    });
    const Encoded encoded = encode(bytes_of(shape->words), EncodeOptions{});
    EXPECT_EQ(to_string(encoded.method), to_string(row.method)) << row.shape;
    EXPECT_GE(kVectorBytes / static_cast<double>(encoded.bytes.size()), row.ratio) << row.shape;
  }
}

TEST(Lossless, FindsTheScaleOfBytes) {
  SCOPED_TRACE(kTestSeed);
  std::mt19937 random(kTestSeed);
  std::uniform_real_distribution<float> exponent(-30, 10);
  for (int i = 0; i < 2000; ++i) {
    const float scale = std::exp(exponent(random));
    const int highest = 1 + static_cast<int>(random() % 127);
    const bool divide = random() % 2 == 0;
    Words words = scaled_words(random, 200, -highest, highest, scale, divide);
    // -0.0 is no product of a byte.
    std::replace(words.begin(), words.end(), 0x80000000U, 0U);
    const auto stored = encode_as(Method::int8, bytes_of(words), EncodeOptions{});
    ASSERT_TRUE(stored.has_value()) << scale << " " << highest << " " << divide;
  }
}

TEST(Lossless, ListsExponentsThatStandFarApart) {
  std::mt19937 random(kTestSeed);
  for (const std::size_t first : {0UL, 254UL, 255UL, 256UL, 257UL, 1000UL}) {
    for (const std::size_t gap : {1UL, 254UL, 255UL, 256UL, 511UL, 700UL}) {
      Words words(5000, 0x3f800000U);
      for (std::uint32_t& word : words) {
        word |= static_cast<std::uint32_t>(random()) & 0x807fffffU;
      }
      for (std::size_t at = first; at < words.size(); at += gap) words[at] = 0x00012345;
      const auto stored = encode_as(Method::exponent, bytes_of(words), EncodeOptions{});
      if (gap == 1) continue;
      ASSERT_TRUE(stored.has_value());
      ASSERT_EQ(decoded(Method::exponent, *stored, 20000), text_of(bytes_of(words)));
    }
  }
}

TEST(Lossless, RefusesRecordsOfTheWrongSize) {
  std::mt19937 random(kTestSeed);
  for (const Shape& shape : shapes(random, 100)) {
    for (const Method method : kAllMethods) {
      const auto stored = encode_as(method, bytes_of(shape.words), everything());
      if (!stored) continue;
      SCOPED_TRACE(std::string(shape.name) + " " + std::string(to_string(method)));
      for (std::size_t size = 0; size < stored->size(); ++size) {
        // A shorter period is a period.
        if (method == Method::repeat && size > 0) continue;
        std::vector<std::byte> out(400);
        const Status status = decode(method, stored->span().first(size), out, &dictionary());
        ASSERT_FALSE(status.has_value()) << size;
        ASSERT_EQ(status.error().kind, ErrorKind::corrupt);
      }
    }
  }
}

TEST(Lossless, DamagedRecordsStayInsideTheirBounds) {
  std::mt19937 random(kTestSeed);
  for (const Shape& shape : shapes(random, 90)) {
    for (const Method method : kAllMethods) {
      const auto stored = encode_as(method, bytes_of(shape.words), everything());
      if (!stored) continue;
      for (std::size_t bit = 0; bit < 8 * stored->size(); ++bit) {
        // On the heap, and of the exact size, so that ASan sees each read behind it.
        std::vector<std::byte> damaged(stored->span().begin(), stored->span().end());
        damaged[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        decoded(method, damaged, 360);
        decoded(method, damaged, 359);
        decoded(method, damaged, 1 + random() % 500);
      }
    }
  }
}

TEST(Lossless, RandomRecordsStayInsideTheirBounds) {
  on_each_target([](std::int64_t) {
    std::mt19937 random(kTestSeed);
    for (int i = 0; i < 20000; ++i) {
      std::vector<std::byte> stored(random() % 260);
      for (std::byte& byte : stored) byte = static_cast<std::byte>(random());
      // Small numbers of exceptions are likelier to pass the first check.
      if (stored.size() > 1) stored[1] &= std::byte{0x0f};
      decoded(kAllMethods[random() % kMethods], stored, random() % 300);
    }
  });
}

TEST(Lossless, ADictionaryIsNeededAgain) {
  const std::string text = R"({"key": "doc-123", "score": 5, "text": "layer"})";
  const EncodeOptions options{false, 19, &dictionary()};
  const Encoded encoded = encode(base::as_bytes(text), options);
  ASSERT_EQ(encoded.method, Method::zstd_dictionary);
  EXPECT_LT(encoded.bytes.size(), text.size() / 2);
  EXPECT_EQ(decoded(encoded.method, encoded.bytes, text.size()), text);
  std::vector<std::byte> out(text.size());
  const Status status = decode(encoded.method, encoded.bytes, out, nullptr);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::invalid);
}

// The tail in its own words: planes of the values in order, lowest byte first.
TEST(Lossless, StoresAFewExponentsAsDescribed) {
  // Exponents of 120 to 123, first covered by the window from 116, and one of 0.
  Words words;
  for (std::uint32_t i = 0; i < 20; ++i) {
    words.push_back((i % 3 == 1 ? 0x80000000U : 0) | (120 + i % 4) << 23 | i << 15 | i << 7 | i);
  }
  words[7] = 7U;
  std::string expected = {116, 1};  // base of the window, one exception
  std::string bits[3] = {std::string(3, '\0'), std::string(3, '\0'), std::string(3, '\0')};
  std::string bytes[3];
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint32_t rotated = words[i] << 1 | words[i] >> 31;
    const std::uint32_t code = (rotated >> 24) - 116;
    for (std::size_t p = 0; p < 3; ++p) {
      bits[p][i / 8] = static_cast<char>(bits[p][i / 8] | (code >> p & 1U) << i % 8);
      bytes[p].push_back(static_cast<char>(rotated >> 8 * p & 255U));
    }
  }
  for (const auto& plane : bits) expected += plane;
  for (const auto& plane : bytes) expected += plane;
  expected += {7, 0};  // at value 7, exponent 0
  const auto stored = encode_as(Method::exponent, bytes_of(words), EncodeOptions{});
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(text_of(*stored), expected);
}

TEST(Lossless, NumbersOfMethodsNeverChange) {
  constexpr std::array<std::string_view, kMethods> names = {
      "raw", "repeat", "bf16", "f16", "int8", "exponent", "zstd", "zstd_dictionary"};
  for (std::uint8_t number = 0; number < kMethods; ++number) {
    ASSERT_TRUE(method_of(number).has_value());
    EXPECT_EQ(to_string(*method_of(number)), names[number]);
  }
  EXPECT_FALSE(method_of(8).has_value());
  EXPECT_FALSE(method_of(255).has_value());
}

TEST(Lossless, LeavesWhatIsTooLargeForZstdToOtherMethods) {
  // Never read.
  const std::byte one{};
  const base::ByteSpan huge(&one, std::size_t{1} << 31);
  EXPECT_FALSE(encode_as(Method::zstd, huge, {.floats = false, .zstd_level = 3}));
}

}  // namespace
}  // namespace varve::codec

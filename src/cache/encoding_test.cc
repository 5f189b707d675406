#include "cache/encoding.h"

#include <string>

#include "cache/test_tiers.h"

namespace varve::cache {
namespace {

constexpr std::uint8_t kZstdDictionary = 7;

// Small texts that have much in common, by `word`.
Handle text_number(const std::string& word, int i) {
  return handle_of_text(word + " number " + std::to_string(i * 7919 % 10007) +
                        " of the layers below the lake, with " + std::to_string(i % 89) +
                        " grains");
}

// Encoded once a dictionary was trained.
Handle with_dictionary(const std::function<Handle(const Handle&)>& encode,
                       const std::string& word) {
  for (int i = 0; i < 10'000; ++i) {
    Handle encoded = encode(text_number(word, i));
    if (encoded.method() == kZstdDictionary) {
      EXPECT_EQ(text_of(decode_value(encoded)), text_of(text_number(word, i)));
      return encoded;
    }
  }
  return {};
}

TEST(Encoding, FindsTheDictionaryThatARecordNames) {
  const CompressOptions options{.floats = false, .zstd_level = 3, .dictionary_bytes = 2048};
  const auto of_lakes = compressed(options), of_seas = compressed(options);
  const Handle lakes = with_dictionary(of_lakes, "loess");
  const Handle seas = with_dictionary(of_seas, "gneiss");
  ASSERT_TRUE(lakes);
  ASSERT_TRUE(seas);
  EXPECT_NE(text_of(decode_value(lakes)), text_of(decode_value(seas)));
  EXPECT_NE(portable_value(lakes).method(), kZstdDictionary);
  EXPECT_EQ(text_of(decode_value(portable_value(lakes))), text_of(decode_value(lakes)));
}

TEST(Encoding, KeepsWhatWasMadeWithADictionaryBeyondItsFunction) {
  Handle encoded;
  {
    const auto encode = compressed({.floats = false, .zstd_level = 3, .dictionary_bytes = 2048});
    encoded = with_dictionary(encode, "basalt");
  }
  ASSERT_TRUE(encoded);
  EXPECT_TRUE(decode_value(encoded));
}

TEST(Encoding, RefusesADictionaryThatNobodyTrained) {
  for (const std::string& bytes : {std::string(), std::string("x"), noise(100, 1)}) {
    Handle hostile = handle_of_text(bytes);
    hostile.set_encoding(kZstdDictionary, 1000);
    EXPECT_FALSE(decode_value(hostile));
  }
}

}  // namespace
}  // namespace varve::cache

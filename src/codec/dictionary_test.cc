#include "codec/dictionary.h"

#include <thread>

#include "codec/codec_test_util.h"
#include "codec/lossless.h"
#include "codec/zstd.h"

namespace varve::codec {
namespace {

std::vector<std::string> texts(int count, const char* word) {
  std::vector<std::string> made;
  for (int i = 0; i < count; ++i) {
    made.push_back(std::string(word) + " number " + std::to_string(i * 7919 % 10007) +
                   " of the layers below the lake, with " + std::to_string(i % 89) + " grains");
  }
  return made;
}

std::vector<base::ByteSpan> spans(const std::vector<std::string>& made) {
  std::vector<base::ByteSpan> parts;
  for (const std::string& text : made) parts.push_back(base::as_bytes(text));
  return parts;
}

Dictionary trained(const char* word) {
  const auto samples = texts(2000, word);
  return Dictionary::train(spans(samples), 2048).value();
}

TEST(Dictionary, MakesSmallTextsSmaller) {
  const Dictionary dictionary = trained("varve");
  const std::string text = texts(3000, "varve").back();
  for (int level = 1; level <= 22; ++level) {
    const base::Bytes frame = compress(base::as_bytes(text), level, &dictionary);
    EXPECT_LT(frame.size(), compress(base::as_bytes(text), level).size());
    const auto back = decompress(frame, text.size(), &dictionary);
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(text_of(*back), text);
  }
  EXPECT_GT(dictionary.memory_bytes(), dictionary.bytes().size());
}

TEST(Dictionary, ComesBackFromItsBytes) {
  const Dictionary dictionary = trained("varve");
  const auto again = Dictionary::from_bytes(dictionary.bytes());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->id(), dictionary.id());
  EXPECT_NE(again->id(), 0U);
  const std::string text = texts(1, "varve")[0];
  const auto back =
      decompress(compress(base::as_bytes(text), 3, &dictionary), text.size(), &*again);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(text_of(*back), text);
}

TEST(Dictionary, AnotherOneIsRefused) {
  const Dictionary dictionary = trained("varve");
  const Dictionary other = trained("loess");
  const std::string text = texts(1, "varve")[0];
  const base::Bytes frame = compress(base::as_bytes(text), 3, &dictionary);
  for (const Dictionary* wrong : {&other, static_cast<const Dictionary*>(nullptr)}) {
    const auto back = decompress(frame, text.size(), wrong);
    ASSERT_FALSE(back.has_value());
    EXPECT_EQ(back.error().kind, ErrorKind::invalid);
  }
}

TEST(Dictionary, IsNamedByTheRecordsMadeWithIt) {
  const Dictionary dictionary = trained("varve");
  const std::string text = texts(3, "varve").back();
  const auto record = encode_as(Method::zstd_dictionary, base::as_bytes(text),
                                {.floats = false, .zstd_level = 3, .dictionary = &dictionary});
  ASSERT_TRUE(record);
  EXPECT_EQ(dictionary_id(*record), dictionary.id());
  EXPECT_EQ(dictionary_id({}), 0U);
  EXPECT_EQ(dictionary_id(base::ByteSpan(*record).first(3)), 0U);
}

TEST(Dictionary, TooFewSamplesAreNamed) {
  const auto few = texts(2, "varve");
  for (const auto& samples : {spans(few), std::vector<base::ByteSpan>()}) {
    const auto dictionary = Dictionary::train(samples);
    ASSERT_FALSE(dictionary.has_value());
    EXPECT_EQ(dictionary.error().kind, ErrorKind::invalid);
    EXPECT_NE(dictionary.error().message.find(std::to_string(samples.size()) + " samples"),
              std::string::npos);
  }
  EXPECT_FALSE(Dictionary::train({}, 10).has_value());
  EXPECT_FALSE(Dictionary::train({}, std::size_t{1} << 40).has_value());
}

TEST(Dictionary, BytesThatAreNoneAreRefused) {
  const std::string text = text_of(trained("varve").bytes());
  EXPECT_FALSE(Dictionary::from_bytes(base::Bytes()).has_value());
  EXPECT_FALSE(Dictionary::from_bytes(base::Bytes(std::string("text"))).has_value());
  for (std::size_t size = 0; size < 100; ++size) {
    const auto cut = Dictionary::from_bytes(base::Bytes(text.substr(0, size)));
    ASSERT_FALSE(cut.has_value()) << size;
    EXPECT_EQ(cut.error().kind, ErrorKind::corrupt);
  }
}

TEST(ZstdContexts, StaySmallForSmallPayloads) {
  // In a thread of its own, so that no other test has grown its contexts.
  std::thread([] {
    const std::size_t before = zstd_context_bytes();
    std::mt19937 random(kTestSeed);
    const Words vector = normal_words(random, 1536);
    for (const int level : {1, 3, 19, 22}) {
      const auto frame = compress(bytes_of(vector), level);
      ASSERT_TRUE(decompress(frame, 6144).has_value());
      EXPECT_LT(zstd_context_bytes() - before, std::size_t{1} << 20) << level;
    }
    EXPECT_GT(zstd_context_bytes(), before + 100000);
    // A large payload does not stay in what small ones use.
    const Words large = periodic_words(random, 2 << 20, 1000);
    compress(bytes_of(large), 19);
    EXPECT_LT(zstd_context_bytes() - before, std::size_t{20} << 20);
  }).join();
}

TEST(ZstdContexts, AreCountedUntilTheThreadEnds) {
  const std::size_t before = zstd_context_bytes();
  std::thread([&] {
    compress(base::as_bytes("sediment"), 3);
    EXPECT_GT(zstd_context_bytes(), before);
  }).join();
  EXPECT_EQ(zstd_context_bytes(), before);
}

TEST(ZstdBatch, GivesEachPartBack) {
  const auto pool = base::make_thread_pool(2);
  const auto made = texts(200, "varve");
  const auto frames = compress_all(spans(made), 3, *pool);
  ASSERT_EQ(frames.size(), made.size());
  std::vector<SizedFrame> sized;
  for (std::size_t i = 0; i < made.size(); ++i) sized.push_back({frames[i], made[i].size()});
  const auto back = decompress_all(sized, *pool);
  ASSERT_TRUE(back.has_value());
  for (std::size_t i = 0; i < made.size(); ++i) EXPECT_EQ(text_of((*back)[i]), made[i]);
  sized[77].size += 1;
  const auto refused = decompress_all(sized, *pool);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::corrupt);
}

}  // namespace
}  // namespace varve::codec

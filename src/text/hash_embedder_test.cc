#include "text/hash_embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "text/words.h"

namespace varve::text {
namespace {

double cosine(std::string_view a, std::string_view b) {
  const auto embedder = make_embedder(kDefaultEmbedder).value();
  const auto x = embedder->embed(a).value(), y = embedder->embed(b).value();
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

TEST(HashEmbedder, MakesUnitVectorsOfTheWantedDimension) {
  for (const char* name : {"hash:32", "hash:384", "hash:4096"}) {
    const auto embedder = make_embedder(name).value();
    EXPECT_EQ(embedder->name(), name);
    const auto vector = embedder->embed("a lake in winter").value();
    EXPECT_EQ(vector.size(), embedder->dim());
    EXPECT_NEAR(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0), 1, 1e-6);
  }
  for (const char* name : {"", "hash", "hash:", "hash:31", "hash:4097", "hash:384x", "hash:-1",
                           "hash:99999999999", "openai:x"}) {
    EXPECT_EQ(make_embedder(name).error().kind, ErrorKind::invalid) << name;
  }
}

TEST(HashEmbedder, IsTheSameEachTime) {
  EXPECT_NEAR(cosine("The frozen lakes", "the FROZEN lakes"), 1, 1e-6);
  // Known values: a change here is a change of every stored vector.
  const auto vector = make_embedder("hash:384").value()->embed("varve").value();
  std::vector<std::size_t> set;
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (vector[i] != 0) set.push_back(i);
  }
  EXPECT_EQ(set.size(), 13U);
}

TEST(HashEmbedder, PutsLikeTextsNearer) {
  const char* question = "restoring backups";
  EXPECT_GT(cosine(question, "how a backup is restored"), cosine(question, "how bread is baked"));
  EXPECT_GT(cosine("searching vectors", "vector search"), 0.3);
  EXPECT_GT(cosine("ÄPFEL Ωμέγα Привет", "äpfel ωμέγα привет"), 0.999);
}

TEST(HashEmbedder, RefusesWhatHoldsNothing) {
  const auto embedder = make_embedder(kDefaultEmbedder).value();
  for (const char* text : {"", " \n", "...", "\xff\xfe"}) {
    EXPECT_EQ(embedder->embed(text).error().kind, ErrorKind::invalid) << text;
  }
  EXPECT_TRUE(embedder->embed("the of and"));
  EXPECT_TRUE(embedder->embed("7"));
  EXPECT_TRUE(embedder->embed("漢字"));
}

TEST(Words, AreLowerCaseRunsOfLettersAndDigits) {
  EXPECT_THAT(split_words("It's 2 o'Clock, ÜBER-Große!"),
              testing::ElementsAre("it", "s", "2", "o", "clock", "über", "große"));
  EXPECT_TRUE(is_common_word("the"));
  EXPECT_FALSE(is_common_word("lake"));
}

TEST(Words, OfOneStemMeet) {
  EXPECT_EQ(stem("layers"), stem("layered"));
  EXPECT_EQ(stem("storing"), stem("stores"));
  EXPECT_EQ(stem("bodies"), stem("body"));
  EXPECT_EQ(stem("glass"), "glass");
  EXPECT_EQ(stem("is"), "is");
}

}  // namespace
}  // namespace varve::text

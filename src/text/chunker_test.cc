#include "text/chunker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "text/file_list.h"

namespace varve::text {
namespace {

using testing::HasSubstr;

constexpr ChunkOptions kSmall{.target_characters = 100, .overlap_characters = 40};

TEST(Chunker, KeepsAShortTextWholeWithItsTitle) {
  const auto chunks = chunk_markdown("# Title\n\nOne.\r\n\r\nTwo\nlines.\n", {});
  ASSERT_EQ(chunks.size(), 1U);
  EXPECT_EQ(chunks[0].title, "Title");
  EXPECT_EQ(chunks[0].heading, "");
  EXPECT_EQ(chunks[0].text, "One.\n\nTwo\nlines.");
}

TEST(Chunker, NamesTheHeadingsAChunkBeginsUnder) {
  const std::string body(60, 'x');
  const auto chunks = chunk_markdown(
      "# T\n\n## A\n\n" + body + "\n\n### B ##\n\n" + body + "\n\n## C\n\n" + body, kSmall);
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks[0].heading, "A");
  EXPECT_EQ(chunks[1].heading, "A > B");
  EXPECT_EQ(chunks[2].heading, "C");
  EXPECT_EQ(chunks[2].text, body);  // no overlap across a heading
}

TEST(Chunker, JoinsShortSections) {
  const auto chunks = chunk_markdown("## A\n\none\n\n## B\n\ntwo", kSmall);
  ASSERT_EQ(chunks.size(), 1U);
  EXPECT_EQ(chunks[0].text, "one\n\nB\n\ntwo");
}

TEST(Chunker, RepeatsTheLastSentencesWithinASection) {
  const auto chunks = chunk_markdown(
      "First sentence here is rather long indeed. Second one. Third one. Fourth sentence is long "
      "enough to need another chunk.",
      kSmall);
  ASSERT_EQ(chunks.size(), 2U);
  EXPECT_THAT(chunks[0].text, testing::EndsWith("Second one. Third one."));
  EXPECT_THAT(chunks[1].text, testing::StartsWith("Second one. Third one. Fourth"));
}

TEST(Chunker, TakesHashesInsideFencesAsText) {
  const auto chunks = chunk_markdown("# T\n\n```\n# not a title\n\nx\n```\n", {});
  ASSERT_EQ(chunks.size(), 1U);
  EXPECT_THAT(chunks[0].text, HasSubstr("# not a title\n\nx"));
}

TEST(Chunker, HasAChunkForHeadingsAloneAndNoneForNothing) {
  EXPECT_EQ(chunk_markdown("# Only a title", {}).size(), 1U);
  EXPECT_EQ(chunk_markdown("## Only\n### Headings", {}).at(0).text, "Only > Headings");
  EXPECT_TRUE(chunk_markdown("", {}).empty());
  EXPECT_TRUE(chunk_markdown(" \n\n\t\n", {}).empty());
}

// Random texts of every kind of seam: chunks stay within bounds, are UTF-8, lose no word.
TEST(Chunker, LosesNothingAndCutsNoCharacter) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const std::array<std::string, 10> parts{"word ",  "ünïcödé ", "漢字", "a. ",   "\n\n",
                                            "\n## h", "\n",       "🙂", "long ", "!\n"};
    std::string text, expected;
    for (int i = 0; i < 600; ++i) text += parts[random() % parts.size()];
    const ChunkOptions options{.target_characters = 100 + random() % 200, .overlap_characters = 50};
    const auto chunks = chunk_markdown(text, options);
    std::string all;
    for (const Chunk& chunk : chunks) {
      EXPECT_TRUE(base::is_utf8(chunk.text));
      EXPECT_FALSE(chunk.text.empty());
      EXPECT_LE(base::count_characters(chunk.text), options.target_characters * 2 + 50);
      all += chunk.text;
    }
    const auto count = [](const std::string& in, const std::string& what) {
      std::size_t found = 0;
      for (auto at = in.find(what); at != std::string::npos; at = in.find(what, at + 1)) ++found;
      return found;
    };
    // Headings of sections that end in nothing are dropped; all else is kept at least once.
    EXPECT_GE(count(all, "🙂") + 20, count(text, "🙂"));
  }
}

// Looking at the rest of the text for each piece takes minutes for these.
TEST(Chunker, TakesTimeInProportionToTheText) {
  constexpr std::size_t kBytes = 4 << 20;
  const auto repeated = [](const std::string& part) {
    std::string text;
    while (text.size() < kBytes) text += part;
    return text;
  };
  for (const std::string part : {"word ", "x", "a. ", "# a\n", "< ", "<a", "&", "</"}) {
    SCOPED_TRACE(part);
    const std::string text = repeated(part);
    std::size_t bytes = 0;
    for (const Chunk& chunk : chunk_markdown(text, {})) bytes += chunk.text.size();
    EXPECT_GT(bytes, part == "# a\n" ? 0 : kBytes / 2);
    const std::string markdown = markdown_of_html(text);
    EXPECT_LE(markdown.size(), 2 * kBytes);
  }
}

TEST(Chunker, TakesALongHeadingForText) {
  const std::string longest = "# " + std::string(200, 'a');
  EXPECT_EQ(chunk_markdown(longest + "\n\ntext", {}).at(0).title, longest.substr(2));
  std::string words;
  while (words.size() < 60'000) words += "wörd ";
  for (const char* mark : {"# ", "## "}) {
    const auto chunks = chunk_markdown(mark + words + "\n\ntext", {});
    EXPECT_GT(chunks.size(), 50U);
    for (const Chunk& chunk : chunks) {
      EXPECT_EQ(chunk.title + chunk.heading, "");
      EXPECT_LE(base::count_characters(chunk.text), 1000U);
    }
  }
}

TEST(Chunker, OverlapsByAnEighthUnlessTold) {
  EXPECT_EQ(overlap_characters({}), 100U);
  EXPECT_EQ(overlap_characters({.target_characters = 160, .overlap_characters = {}}), 20U);
  EXPECT_EQ(overlap_characters({.target_characters = 8000, .overlap_characters = {}}), 100U);
  EXPECT_EQ(overlap_characters({.target_characters = 160, .overlap_characters = 0}), 0U);
}

TEST(Html, BecomesMarkdownWithoutTags) {
  const std::string markdown = markdown_of_html(
      "<html><head><title>T</title><style>p{}</style><script>if (a<b) x();</script></head>"
      "<body><h2 class='x'>A &amp; B</h2><p>one <b>two</b> 1 < 2<!-- gone --></p></body>");
  EXPECT_THAT(markdown, HasSubstr("## A & B"));
  EXPECT_THAT(markdown, HasSubstr("one two 1 < 2"));
  EXPECT_THAT(markdown, testing::Not(HasSubstr("gone")));
  EXPECT_THAT(markdown, testing::Not(HasSubstr("x()")));
  EXPECT_EQ(markdown_of_html("<p"), "\n\n");
  EXPECT_EQ(markdown_of_html("<!-- no end"), "");
  EXPECT_EQ(markdown_of_html("<script>no end"), "");
}

}  // namespace
}  // namespace varve::text

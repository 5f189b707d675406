#include "text/chunker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "text/file_list.h"
#include "text/utf8.h"

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
      EXPECT_TRUE(is_utf8(chunk.text));
      EXPECT_FALSE(chunk.text.empty());
      EXPECT_LE(count_characters(chunk.text), options.target_characters * 2 + 50);
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

TEST(Utf8, TellsWellFormedFromMalformed) {
  for (const char* good : {"", "a", "ä", "漢", "🙂", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xc3"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
  EXPECT_EQ(count_characters("aä漢🙂"), 4U);
  EXPECT_EQ(bytes_of_characters("aä漢🙂", 2), 3U);
}

}  // namespace
}  // namespace varve::text

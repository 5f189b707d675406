#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "cli/duration.h"
#include "cli/exit_code.h"
#include "cli/line_feed.h"
#include "cli/output.h"
#include "cli/progress/progress.h"
#include "cli/recall.h"

namespace varve::cli {
namespace {

using testing::HasSubstr;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_.data()), 0); }
  ~Pipe() {
    ::close(ends_[0]);
    end();
  }
  int read_end() const { return ends_[0]; }
  void write(std::string_view text) {
    EXPECT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{};
};

TEST(LineFeed, TellsWhenNothingIsReadyAndKeepsHalfALine) {
  Pipe pipe;
  LineFeed feed = LineFeed::of_descriptor(pipe.read_end(), "pipe");
  std::string line;
  EXPECT_EQ(feed.next(line, 0, 100).value(), Feed::pending);
  pipe.write("one\ntw");
  EXPECT_EQ(feed.next(line, 0, 100).value(), Feed::line);
  EXPECT_EQ(line, "one");
  EXPECT_EQ(feed.next(line, 0, 100).value(), Feed::pending);
  pipe.write("o\r\n\nlast");
  EXPECT_EQ(feed.next(line, 0, 100).value(), Feed::line);
  EXPECT_EQ(line, "two");
  EXPECT_EQ(feed.next(line, 0, 100).value(), Feed::line);
  EXPECT_EQ(line, "");
  pipe.end();
  EXPECT_EQ(feed.next(line, -1, 100).value(), Feed::line);
  EXPECT_EQ(line, "last");
  EXPECT_EQ(feed.line_number(), 4U);
  EXPECT_EQ(feed.next(line, -1, 100).value(), Feed::end);
}

TEST(LineFeed, RefusesALineThatNeverEnds) {
  Pipe pipe;
  LineFeed feed = LineFeed::of_descriptor(pipe.read_end(), "pipe");
  std::string line;
  pipe.write(std::string(200, 'x'));
  const auto result = feed.next(line, 0, 100);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("line 1"));
}

TEST(Output, IsAlwaysOneLinePerError) {
  const Error error{ErrorKind::not_found, "index 'a\nb' not found", "varve index ls"};
  EXPECT_EQ(error_line(OutputMode::table, error),
            "varve: error: index 'a\\x0ab' not found (hint: varve index ls)");
  EXPECT_EQ(error_line(OutputMode::json, error),
            R"({"error":{"code":"not_found","message":"index 'a\nb' not found",)"
            R"("hint":"varve index ls"}})");
}

TEST(Output, EscapesWhatATerminalMayObey) {
  EXPECT_EQ(escaped_controls("a\x1b[31m\x7f"), "a\\x1b[31m\\x7f");
  EXPECT_EQ(escaped_controls("ä漢\xc2\xa0\xc2\x9b\xe4."), "ä漢\xc2\xa0\\xc2\\x9b\\xe4.");
}

TEST(Output, WritesNumbersForPeople) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(12345678), "12,345,678");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(one_line("a\nbä漢x", 4), "a bä...");
}

TEST(Output, WritesFloatsThatReadBackEqual) {
  const std::array<float, 5> vector{1, -0.1F, 16777216, 1e-30F, 3.4028235e38F};
  EXPECT_EQ(json_vector(vector), "[1,-0.1,16777216,1e-30,3.4028235e+38]");
  for (const float value : vector) {
    EXPECT_EQ(std::stof(json_vector(std::array{value}).substr(1)), value);
  }
  EXPECT_EQ(json_record({"k\"", {1}, R"({"a":1})"}),
            R"({"key":"k\"","vector":[1],"metadata":{"a":1}})");
}

TEST(Output, AlignsTables) {
  Table table({{"name", Table::Align::left}, {"n", Table::Align::right}});
  table.add({"ä", "10"});
  table.add({"long name", "5"});
  EXPECT_EQ(table.text(), "name        n\nä          10\nlong name   5\n");
}

TEST(ExitCode, FollowsTheTable) {
  EXPECT_EQ(exit_code_of(ErrorKind::invalid), 2);
  EXPECT_EQ(exit_code_of(ErrorKind::not_found), 3);
  EXPECT_EQ(exit_code_of(ErrorKind::conflict), 4);
  EXPECT_EQ(exit_code_of(ErrorKind::unavailable), 7);
  EXPECT_EQ(exit_code_of(ErrorKind::overloaded), 7);  // such as a full disk
  EXPECT_EQ(exit_code_of(ErrorKind::internal), 1);
  EXPECT_EQ(exit_code_of(ErrorKind::corrupt), 1);
}

TEST(Duration, TakesUnitsAndRefusesTheRest) {
  EXPECT_EQ(parse_duration("500ms")->count(), 500);
  EXPECT_EQ(parse_duration("30s")->count(), 30'000);
  EXPECT_EQ(parse_duration("2m")->count(), 120'000);
  EXPECT_EQ(parse_duration("12h")->count(), 43'200'000);
  EXPECT_EQ(parse_duration("7d")->count(), 604'800'000);
  EXPECT_EQ(parse_duration("1.5")->count(), 1500);
  for (const char* bad : {"", "s", "-1s", "0", "1001d", "1w", "nan", "inf", "1e99", "5 s"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(Eta, FollowsTheRecentRateWithinAFactorOfTwo) {
  Eta eta;
  EXPECT_FALSE(eta.seconds_left(100));
  for (int second = 1; second <= 10; ++second) eta.add(second, second * 100ULL);
  EXPECT_NEAR(eta.rate(), 100, 1e-9);
  EXPECT_NEAR(*eta.seconds_left(2000), 10, 1e-9);
  // A burst does not take the estimate below half of what the whole run says.
  eta.add(10.1, 2000);
  EXPECT_LE(eta.rate(), 2 * 2000 / 10.1 + 1e-9);
  // A stall does not take it above twice.
  for (int second = 11; second <= 100; ++second) eta.add(second, 2000);
  EXPECT_NEAR(eta.rate(), 2000 / 100.0 / 2, 1e-9);
}

TEST(Progress, DrawsBarAndPlainLine) {
  const ProgressView view{"import demo/sift", {"train", 5300, 10000, "vectors"}, 8211, 41.2, 200};
  EXPECT_EQ(bar_line(view),
            "import demo/sift  train  ██████████▌·········   53 %  5,300/10,000 vectors  "
            "8,211 vectors/s  ETA 0:41");
  EXPECT_EQ(plain_line(view),
            "import demo/sift  train   53 %  5,300/10,000 vectors  8,211 vectors/s  ETA 0:41");
  ProgressView narrow = view;
  narrow.terminal_columns = 90;
  EXPECT_EQ(bar_line(narrow),
            "import demo/sift  train  ████▏···   53 %  5,300/10,000 vectors  8,211 vectors/s  "
            "ETA 0:41");
  narrow.terminal_columns = 80;
  EXPECT_EQ(bar_line(narrow),
            "import demo/sift  train  ███████▉·······   53 %  5,300/10,000 vectors  ETA 0:41");
  narrow.terminal_columns = 60;
  EXPECT_EQ(bar_line(narrow), "import demo/sift  trai 53 %  5,300/10,000 vectors  ETA 0:41");
  narrow.terminal_columns = 20;
  EXPECT_EQ(bar_line(narrow), "impo 53 %  ETA 0:41");
  narrow.terminal_columns = 0;
  EXPECT_EQ(bar_line(narrow), "");
  ProgressView unknown = view;
  unknown.progress.total = 0;
  unknown.seconds_left = -1;
  EXPECT_EQ(plain_line(unknown), "import demo/sift  train  5,300 vectors  8,211 vectors/s");
  EXPECT_EQ(duration_text(3723.4), "1:02:03");
}

std::vector<Hit> hits(std::initializer_list<std::pair<const char*, double>> list) {
  std::vector<Hit> all;
  for (const auto& [key, distance] : list) all.push_back({key, distance, ""});
  return all;
}

TEST(Percentile, IsTheNearestRank) {
  const std::array<double, 4> values{1, 2, 3, 4};
  EXPECT_EQ(percentile(values, 0), 1);
  EXPECT_EQ(percentile(values, 0.25), 1);
  EXPECT_EQ(percentile(values, 0.5), 2);
  EXPECT_EQ(percentile(values, 0.51), 3);
  EXPECT_EQ(percentile(values, 1), 4);
  EXPECT_EQ(percentile({}, 0.5), 0);
}

TEST(Recall, CountsKeysAndTies) {
  const auto exact = hits({{"a", 1}, {"b", 2}, {"c", 3}, {"d", 3}});
  EXPECT_EQ(recall_of(exact, exact), 1);
  EXPECT_EQ(recall_of(hits({{"a", 1}, {"b", 2}, {"c", 3}, {"e", 3}}), exact), 1);
  EXPECT_EQ(recall_of(hits({{"a", 1}, {"b", 2}, {"c", 3}, {"e", 3.1}}), exact), 0.75);
  EXPECT_EQ(recall_of(hits({{"a", 1}, {"b", 2}, {"c", 3}, {"e", 0.5}}), exact, true), 0.75)
      << "an estimate says nothing about a tie";
  EXPECT_EQ(recall_of({}, exact), 0);
  EXPECT_EQ(recall_of({}, {}), 1);
}

}  // namespace
}  // namespace varve::cli

#include "cli/ann_bench/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/scratch_folder.h"

namespace varve::cli::ann_bench {
namespace {

using testing::HasSubstr;

class ChildProcessTest : public testing::Test {
 protected:
  Result<std::unique_ptr<ChildProcess>> shell(const std::string& script) {
    return ChildProcess::start({"/bin/sh", "-c", script}, scratch_.path() + "/errors");
  }
  ScratchFolder scratch_ = std::move(ScratchFolder::make({}).value());
};

TEST_F(ChildProcessTest, AnswersLineByLine) {
  const auto child = shell("while read line; do echo \"got $line\"; done").value();
  EXPECT_EQ(child->ask("one").value(), "got one");
  EXPECT_EQ(child->ask("two").value(), "got two");
}

TEST_F(ChildProcessTest, SaysHowItEnded) {
  const auto exited = shell("read line; exit 3").value();
  const auto answer = exited->ask("x");
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("ended"));
  EXPECT_FALSE(exited->ask("again"));
  const auto killed = shell("read line; kill -ABRT $$").value();
  EXPECT_FALSE(killed->ask("x"));
}

TEST_F(ChildProcessTest, WhatIsNotThereIsNotFound) {
  const auto child = ChildProcess::start({"/nowhere/program"}, scratch_.path() + "/errors");
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace varve::cli::ann_bench

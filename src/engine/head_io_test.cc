#include "engine/head_io.h"

#include <gtest/gtest.h>

#include "engine/test_env.h"
#include "store/fault.h"

namespace varve::engine {
namespace {

// An index whose HEAD is reached through a store that fails by plan, and directly.
class SwapHead : public ::testing::Test {
 protected:
  SwapHead()
      : memory_(store::make_memory_store(test_clock())),
        fault_(std::make_shared<store::FaultStore>(memory_, test_clock(), 1, store::FaultPlan{})),
        faulty_(fault_, 1),
        other_(memory_, 2) {
    const auto index =
        *other_.database().create_index({"test", "head"}, {4, Metric::euclidean}, false);
    index_ = *format::Uuid::from_hex(index->info()->uuid);
    names_.emplace(index_);
  }

  // A change that shows how often it was made.
  Result<StoredHead> count_up(Process& process) {
    return update_head(process.env(), *names_, index_, [](format::Head& head) -> Status {
      ++head.next_job;
      return {};
    });
  }

  StoredHead now() { return *read_head(other_.env(), *names_, index_); }

  std::shared_ptr<store::ObjectStore> memory_;
  std::shared_ptr<store::FaultStore> fault_;
  Process faulty_, other_;
  format::Uuid index_;
  std::optional<Names> names_;
};

// The requests of one change on HEAD: it is read, replaced, and read to learn what became of it.
constexpr unsigned kReplace = 2, kReadBack = 3;

TEST_F(SwapHead, AChangeWhoseAnswerIsLostIsMadeOnce) {
  const format::Head before = now().head;
  unsigned requests = 0;
  store::FaultPlan plan;
  plan.lose_answer = 1.0;
  plan.applies_to = [&](std::string_view) { return ++requests == kReplace; };
  fault_->set_plan(plan);
  const auto changed = count_up(faulty_);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(fault_->counts().lost_answers, 1);
  EXPECT_EQ(now().head.version, before.version + 1);
  EXPECT_EQ(now().head.next_job, before.next_job + 1);
}

TEST_F(SwapHead, AChangeWhoseAnswerIsLostIsMadeOnceThoughOthersBuiltOnIt) {
  const format::Head before = now().head;
  unsigned requests = 0;
  store::FaultPlan plan;
  plan.lose_answer = 1.0;
  plan.applies_to = [&](std::string_view) {
    if (++requests == kReadBack) {
      EXPECT_TRUE(count_up(other_));
    }
    return requests == kReplace;
  };
  fault_->set_plan(plan);
  const auto changed = count_up(faulty_);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(fault_->counts().lost_answers, 1);
  EXPECT_EQ(now().head.version, before.version + 2);
  EXPECT_EQ(now().head.next_job, before.next_job + 2);
}

TEST_F(SwapHead, AChangeThatLandsLateIsMadeOnce) {
  const format::Head before = now().head;
  store::FaultPlan plan;
  plan.land_late = 1.0;
  plan.late_requests_max = 1;
  fault_->set_plan(plan);
  const auto changed = count_up(faulty_);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(fault_->counts().landed_late, 1);
  EXPECT_EQ(now().head.version, before.version + 1);
  EXPECT_EQ(now().head.next_job, before.next_job + 1);
}

TEST_F(SwapHead, AChangeThatAnotherOneOvertakesIsLost) {
  const StoredHead base = now();
  ASSERT_TRUE(count_up(other_));
  const auto outcome = swap_head(faulty_.env(), *names_, index_, base, base.head);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->verdict, CasOutcome::Verdict::lost);
  EXPECT_EQ(outcome->now.head.next_job, base.head.next_job + 1);
}

}  // namespace
}  // namespace varve::engine

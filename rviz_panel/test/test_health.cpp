#include "gtest.hpp"
#include "health.hpp"

using namespace medal_panel;

namespace
{

NodeView find(const Health & health, const std::string & name, double now, bool moves = false)
{
  for (const NodeView & node : health.view(now, moves)) {
    if (node.name == name) {return node;}
  }
  return {"", Pulse::ok, "not in the list"};
}

}  // namespace

TEST(Health, ANodeIsMissingOnlyAfterTimeToBeHeard)
{
  const Health health(100.0);
  EXPECT_TRUE(find(health, "trainer", 104.0).pulse == Pulse::waits);
  EXPECT_TRUE(find(health, "trainer", 106.0).pulse == Pulse::unheard);
  EXPECT_EQ(find(health, "trainer", 106.0).words, "never heard");
}

TEST(Health, ASilentNodeSaysSinceWhen)
{
  Health health(0.0);
  health.heard("reward", false, "ok", 10.0);
  EXPECT_TRUE(find(health, "reward", 14.0).pulse == Pulse::ok);
  EXPECT_TRUE(find(health, "reward", 17.0).pulse == Pulse::silent);
  EXPECT_EQ(find(health, "reward", 17.0).words, "silent for 7 s");
  health.heard("reward", true, "for stored steps", 18.0);
  EXPECT_TRUE(find(health, "reward", 18.0).pulse == Pulse::waits);
  EXPECT_EQ(find(health, "reward", 18.0).words, "for stored steps");
}

TEST(Health, AnyArmIsTheArm)
{
  Health health(0.0);
  EXPECT_TRUE(find(health, "arm", 10.0).pulse == Pulse::unheard);
  EXPECT_TRUE(find(health, "arm", 10.0, true).pulse == Pulse::ok);  // it has no heartbeat
  health.heard("franka_arm", false, "ok", 10.0);
  EXPECT_EQ(find(health, "arm", 10.0).words, "not in the list");
  EXPECT_TRUE(find(health, "franka_arm", 10.0).pulse == Pulse::ok);
}

TEST(Health, WhatIsMissingComesFirstAndWhatNobodyNeedsIsForgotten)
{
  Health health(0.0);
  for (const char * node : {"camera_sync", "supervisor", "policy_server", "trainer", "sim_arm"}) {
    health.heard(node, false, "ok", 100.0);
  }
  health.heard("evaluator", false, "ok", 30.0);
  EXPECT_EQ(health.view(80.0, true)[0].name, "reward");
  EXPECT_EQ(find(health, "evaluator", 80.0).words, "silent for 50 s");
  EXPECT_EQ(find(health, "evaluator", 100.0).words, "not in the list");
}

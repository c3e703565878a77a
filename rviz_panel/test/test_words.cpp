#include "gtest.hpp"
#include "rate.hpp"
#include "words.hpp"

using namespace medal_panel;

TEST(Words, Durations)
{
  EXPECT_EQ(duration(0.4), "0 s");
  EXPECT_EQ(duration(14.2), "14 s");
  EXPECT_EQ(duration(125.0), "2:05 min");
  EXPECT_EQ(duration(7320.0), "2:02 h");
  EXPECT_EQ(duration(-3.0), "0 s");
}

TEST(Words, Numbers)
{
  EXPECT_EQ(percent(0.847), "85 %");
  EXPECT_EQ(number(1.734), "1.73");
  EXPECT_EQ(number(1234.56), "1235");
  EXPECT_EQ(count(1, "step"), "1 step");
  EXPECT_EQ(count(2, "step"), "2 steps");
}

TEST(Words, ABarForEachShare)
{
  EXPECT_EQ(spark({0.0, 0.5, 1.0}), "▁▅█");
  EXPECT_EQ(spark({}), "");
}

TEST(Rate, IsTheGrowthOverTheTime)
{
  Rate rate;
  rate.add(10.0, 100);
  EXPECT_EQ(rate.value(), 0.0);
  rate.add(12.0, 120);
  EXPECT_NEAR(rate.value(), 10.0, 1e-9);
}

TEST(Rate, ForgetsWhatIsOld)
{
  Rate rate;
  for (int i = 0; i <= 100; ++i) {rate.add(0.1 * i, i);}          // 10 a second
  for (int i = 1; i <= 100; ++i) {rate.add(10.0 + 0.1 * i, 100);}  // then it stands still
  EXPECT_EQ(rate.value(), 0.0);
}

TEST(Rate, StartsAnewWhereTheCounterDoes)
{
  Rate rate;
  rate.add(0.0, 5000);
  rate.add(1.0, 5010);
  rate.add(2.0, 3);
  EXPECT_EQ(rate.value(), 0.0);
  rate.add(3.0, 23);
  EXPECT_NEAR(rate.value(), 20.0, 1e-9);
}

TEST(Rate, ManyMessagesAtOnceAreNoRate)
{
  Rate rate;
  for (int i = 0; i < 200; ++i) {rate.add(5.0, i);}
  EXPECT_EQ(rate.value(), 0.0);
}

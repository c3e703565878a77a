#include "gtest.hpp"
#include "requests.hpp"

using namespace medal_panel;

TEST(Requests, EachButtonHasItsRow)
{
  for (std::size_t i = 0; i < kButtons; ++i) {EXPECT_EQ(index_of(kRequests[i].button), i);}
}

TEST(Requests, ARefusalSaysWhatEndsIt)
{
  EXPECT_EQ(refusal(Button::home, "paused", ""), "practice is paused: resume first");
  EXPECT_EQ(refusal(Button::forward, "help", ""), "help is awaited: answer with reset done first");
  EXPECT_EQ(refusal(Button::resume, "practice", ""), "not paused");
  EXPECT_EQ(refusal(Button::reset_done, "help", "a reflex"), "the arm asks for help: a reflex");
}

TEST(Requests, NothingIsOfferedBeforeTheFirstState)
{
  for (const Request & request : kRequests) {
    EXPECT_EQ(refusal(request.button, "", "").empty(), request.button == Button::save);
  }
}

TEST(Requests, AModeOfALaterSupervisorIsLeftToIt)
{
  for (const Request & request : kRequests) {
    EXPECT_EQ(refusal(request.button, "dancing", ""), "");
  }
}

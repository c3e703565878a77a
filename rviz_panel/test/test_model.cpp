#include <algorithm>

#include "gtest.hpp"
#include "model.hpp"

using namespace medal_panel;

namespace
{

State state(
  std::uint64_t steps, const char * mode = "practice", const char * agent = "forward",
  std::uint32_t segment = 1, std::uint32_t index = 0)
{
  State s;
  s.stamp = 1000.0 + 0.1 * static_cast<double>(steps);  // ten policy steps a second
  s.sequence = s.steps = steps;
  s.mode = mode;
  s.agent = agent;
  s.segment = segment;
  s.index = index;
  s.total_steps = 1000;
  return s;
}

// A model that has heard everything that a healthy graph says, until this time.
Model healthy(double now, const State & newest = state(0))
{
  Model model(0.0);
  for (const char * node :
    {"camera_sync", "supervisor", "policy_server", "reward", "trainer", "sim_arm"})
  {
    model.on_heartbeat(node, false, "ok", now);
  }
  for (const Request & request : kRequests) {model.on_offer(request.button, true);}
  model.on_state(newest, now);
  return model;
}

bool enabled(const View & view, Button button) {return view.buttons[index_of(button)].enabled;}
std::string tip(const View & view, Button button) {return view.buttons[index_of(button)].tip;}

bool says(const std::string & text, const std::string & part)
{
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST(Model, NothingHeardIsSaidInWords)
{
  const View view = Model(0.0).view(10.0);
  EXPECT_EQ(view.headline, "No graph is heard");
  EXPECT_EQ(
    view.health, "✗ missing: camera_sync, supervisor, policy_server, reward, trainer, arm");
  for (const ButtonView & button : view.buttons) {EXPECT_FALSE(button.enabled);}
  EXPECT_TRUE(says(tip(view, Button::pause), "supervisor is missing: nobody offers pause"));
  EXPECT_TRUE(says(tip(view, Button::save), "trainer is missing"));
}

TEST(Model, WhoIsInControlIsWordAndSignAndTone)
{
  const View forward = healthy(1.0).view(1.0);
  EXPECT_EQ(forward.sign + " " + forward.headline, "→ Forward policy in control");
  EXPECT_TRUE(forward.tone == Tone::forward);
  State asks = state(5, "help");
  asks.reason = "nothing has moved for 300 steps";
  const View help = healthy(1.0, asks).view(1.0);
  EXPECT_EQ(help.sign + " " + help.headline, "▲ Help is needed");
  EXPECT_EQ(help.reason, "nothing has moved for 300 steps");
  EXPECT_TRUE(help.tone == Tone::alarm);
  EXPECT_TRUE(enabled(help, Button::reset_done));
  EXPECT_EQ(healthy(1.0, state(5, "dancing")).view(1.0).headline, "dancing");
}

TEST(Model, AnOldStateIsNotShownAsTheTruth)
{
  Model model = healthy(1.0);
  model.on_parameters(200, true);
  EXPECT_EQ(model.view(1.0).next, "backward takes over in 200 steps");
  const View view = model.view(8.0);
  EXPECT_EQ(view.next, "");
  EXPECT_EQ(view.headline, "No news for 7 s");
  EXPECT_EQ(view.reason, "The last was: forward in control.");
  EXPECT_TRUE(view.tone == Tone::unknown);
  EXPECT_TRUE(says(view.health, "✗ missing: "));
  EXPECT_FALSE(enabled(view, Button::pause));
  EXPECT_TRUE(says(tip(view, Button::pause), "the supervisor is silent"));
}

TEST(Model, PracticeThatStandsStillCanBePaused)
{
  Model model = healthy(1.0);
  model.on_heartbeat("supervisor", true, "waiting for step 7", 8.0);
  EXPECT_TRUE(enabled(model.view(8.0), Button::pause));
}

TEST(Model, TheNextSwitchIsStepsLeftOverPace)
{
  Model model = healthy(0.0);
  for (int i = 1; i <= 57; ++i) {
    model.on_state(state(i, "practice", "forward", 1, i), 0.1 * i);
  }
  EXPECT_EQ(model.view(6.0).next, "");  // nobody has said how long a segment is
  model.on_parameters(200, true);
  const View view = model.view(6.0);
  EXPECT_EQ(view.segment, "step 57 of 200, segment 1");
  EXPECT_EQ(view.next, "backward takes over in about 14 s (143 steps)");  // 143 / 10
  EXPECT_NEAR(view.share, 57.0 / 200.0, 1e-9);
  EXPECT_TRUE(says(view.rates, "control 10.0 steps/s"));
  model.on_parameters(200, false);
  EXPECT_EQ(model.view(6.0).next, "forward starts again in about 14 s (143 steps)");
}

TEST(Model, StepsOfAPauseDoNotCountTowardsTheSegment)
{
  Model model = healthy(0.0);
  model.on_parameters(200, true);
  model.on_state(state(10, "paused", "forward", 1, 10), 1.0);
  model.on_state(state(10, "paused", "forward", 1, 90), 9.0);
  EXPECT_EQ(model.view(9.0).segment, "step 10 of 200, segment 1");
  EXPECT_EQ(model.view(9.0).next, "forward waits, 190 steps left");
}

TEST(Model, ASegmentThatIsJoinedLateBeganByItsIndex)
{
  Model model = healthy(0.0, state(640, "practice", "backward", 4, 40));
  model.on_parameters(200, true);
  EXPECT_EQ(model.view(0.0).next, "forward takes over in 160 steps");
}

TEST(Model, RewardIsThatOfThePolicyInControl)
{
  Model model = healthy(0.0);
  model.on_reward(1.5, 0.2, 0.777, 1.0);
  EXPECT_EQ(
    model.view(1.0).reward, "success probability 0.78, forward's reward 1.50 (dashed)");
  model.on_state(state(1, "practice", "backward", 2), 1.1);
  model.on_reward(1.5, 0.2, 0.777, 1.2);
  EXPECT_EQ(
    model.view(1.2).reward, "success probability 0.78, backward's reward 0.20 (dashed)");
  EXPECT_EQ(model.view(1.2).trace.size(), 2u);
  EXPECT_TRUE(says(model.view(10.2).reward, ", 9 s ago"));
  EXPECT_EQ(model.view(40.0).trace.size(), 0u);
}

TEST(Model, LastSuccesses)
{
  Model model = healthy(0.0);
  model.on_evaluation({"forward", 0, 20, 0.25});
  model.on_evaluation({"forward", 500, 20, 0.85});
  for (std::uint32_t segment = 1; segment <= 3; ++segment) {
    model.on_state(state(100 * segment, "practice", "forward", segment), segment);
    model.on_reward(0.0, 0.0, segment == 2 ? 0.1 : 0.9, segment);
  }
  model.on_state(state(400, "practice", "backward", 4), 3.5);
  model.on_label("success", 2);
  model.on_label("failure", 3);
  const auto lines = model.view(3.5).successes;
  EXPECT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "forward 85 % of 20 starts at step 500  ▃▇");
  EXPECT_TRUE(says(lines[1], "●○●  2 of 3 look done"));
  EXPECT_EQ(lines[2], "people's labels  ✓✗  last: segment 3 failure");
}

TEST(Model, ASegmentEndsWhereTheArmResetsItself)
{
  Model model = healthy(0.0);
  model.on_reward(0.0, 0.0, 0.9, 0.5);
  model.on_state(state(50, "arm_reset", "backward", 1, 50), 1.0);  // backward is the next
  model.on_reward(0.0, 0.0, 0.1, 1.5);
  model.on_state(state(50, "practice", "backward", 2), 2.0);
  EXPECT_EQ(model.view(2.0).successes[0], "ends of forward's segments  ●  1 of 1 look done");
}

TEST(Model, ASegmentWithoutARewardHasNoEnd)
{
  Model model = healthy(0.0);
  model.on_state(state(1, "practice", "backward", 2), 1.0);
  EXPECT_EQ(model.view(1.0).successes.size(), 0u);
}

TEST(Model, Learner)
{
  Model model = healthy(0.0);
  EXPECT_TRUE(says(model.view(0.0).rates, "learner: nothing heard"));
  model.on_learner({640, 2, 12, 0, 20.25}, 0.0);
  EXPECT_TRUE(
    says(model.view(1.0).rates, "20.2 updates/s, 12 owed, 640 steps stored, 2 refused"));
  EXPECT_TRUE(says(model.view(9.0).rates, "learner silent for 9 s"));
}

TEST(Model, ARequestWaitsForItsAnswerAndSaysIt)
{
  Model model = healthy(0.0);
  EXPECT_TRUE(model.press(Button::pause, 1.0));
  EXPECT_FALSE(enabled(model.view(1.0), Button::pause));
  EXPECT_TRUE(enabled(model.view(1.0), Button::intervene));
  EXPECT_FALSE(model.press(Button::pause, 1.1));
  model.on_answer(Button::pause, true, "paused");
  EXPECT_EQ(model.view(1.2).answer, "✓ pause true: paused");
  EXPECT_TRUE(model.press(Button::home, 2.0));
  model.on_answer(Button::home, false, "practice is paused");
  EXPECT_EQ(model.view(2.0).answer, "✗ home refused: practice is paused");
}

TEST(Model, ARequestThatNobodyAnswersIsGivenUp)
{
  Model model = healthy(0.0);
  model.press(Button::save, 1.0);
  EXPECT_EQ(model.expire(5.9).size(), 0u);
  EXPECT_EQ(model.expire(6.1).size(), 1u);
  EXPECT_TRUE(says(model.view(6.1).answer, "▲ save_checkpoint: no answer for 5 s"));
  model.on_answer(Button::save, true, "too late");
  EXPECT_FALSE(says(model.view(6.2).answer, "too late"));
}

TEST(Model, TheArmsPleaHoldsBackWhatTheSupervisorWouldRefuse)
{
  Model model = healthy(0.0, state(3, "help"));
  model.on_arm_help("user stop");
  EXPECT_FALSE(enabled(model.view(0.0), Button::reset_done));
  EXPECT_TRUE(says(tip(model.view(0.0), Button::reset_done), "the arm asks for help: user stop"));
  EXPECT_TRUE(enabled(model.view(0.0), Button::intervene));
  model.on_arm_help("");
  EXPECT_TRUE(enabled(model.view(0.0), Button::reset_done));
}

TEST(Model, AGraphThatStartsAgainIsANewRun)
{
  Model model = healthy(0.0, state(640, "practice", "forward", 4));
  model.on_parameters(200, true);
  model.on_evaluation({"forward", 500, 20, 0.85});
  model.on_reward(1.0, 1.0, 0.5, 0.0);
  model.on_state(state(0, "practice", "forward", 0), 20.0);
  EXPECT_FALSE(model.knows_segments());
  const View view = model.view(20.0);
  EXPECT_EQ(view.headline, "Forward policy in control");
  EXPECT_EQ(view.successes.size(), 0u);
  EXPECT_EQ(view.trace.size(), 0u);
}

TEST(Model, ASupervisorThatComesBackIsAskedAgain)
{
  Model model = healthy(0.0);
  model.on_parameters(200, true);
  model.on_heartbeat("supervisor", false, "ok", 4.0);
  EXPECT_TRUE(model.knows_segments());
  model.on_heartbeat("supervisor", false, "ok", 30.0);
  EXPECT_FALSE(model.knows_segments());
}

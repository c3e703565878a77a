// What is known of a graph, and what of it a person is shown. No Qt, no ROS: times are seconds of
// one clock that never goes back, and come with every call.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "health.hpp"
#include "rate.hpp"
#include "requests.hpp"

namespace medal_panel
{

// The topic `state`; `stamp` in seconds of the supervisor's clock.
struct State
{
  double stamp = 0.0;
  std::uint64_t sequence = 0;
  std::string mode, agent;
  std::uint32_t segment = 0, index = 0;
  std::uint64_t steps = 0, total_steps = 0;
  std::uint32_t interventions = 0;
  std::string reason;
};

// The topic `learner`.
struct Learner
{
  std::uint64_t stored = 0, refused = 0, owed = 0, dropped = 0;
  double updates_per_second = 0.0;
};

// The topic `evaluation`.
struct Evaluation
{
  std::string agent;
  std::uint64_t steps = 0;
  std::uint32_t episodes = 0;
  double success = 0.0;
};

// One live reward, of the policy in control then.
struct Reward
{
  double time = 0.0, reward = 0.0, probability = 0.0;
};

// How urgent something is; shown as a colour beside words that say the same.
enum class Tone { unknown, forward, backward, calm, attention, alarm };

struct ButtonView
{
  bool enabled = false;
  std::string tip;  // what it does, or why it cannot
};

struct View
{
  Tone tone = Tone::unknown;
  std::string sign, headline, reason;
  double share = 0.0;  // of the segment, in [0, 1]
  std::string segment, next, run, reward, rates;
  std::vector<std::string> successes;
  std::vector<Reward> trace;  // of the last kTrace seconds
  double now = 0.0;           // where the trace ends
  std::vector<NodeView> nodes;
  std::string health;         // all of it in a line
  bool missing = false;       // whether a node is
  std::array<ButtonView, kButtons> buttons;
  std::string answer;
  Tone answer_tone = Tone::unknown;
};

class Model
{
public:
  static constexpr double kTrace = 30.0;    // seconds of reward that are drawn
  static constexpr double kStale = 3.0;     // seconds after which a live value is an old one
  static constexpr double kPatience = 5.0;  // seconds that an answer may take

  explicit Model(double now)
  : health_(now) {}

  // What the topics say.
  void on_state(const State & state, double now);
  void on_reward(double forward, double backward, double probability, double now);
  void on_learner(const Learner & learner, double now);
  void on_evaluation(const Evaluation & evaluation);
  void on_label(const std::string & label, std::uint32_t segment);
  void on_arm_help(const std::string & why) {plea_ = why;}
  void on_heartbeat(
    const std::string & node, bool waits, const std::string & words, double now);

  // What the supervisor's parameters say; `knows_segments` is false until they did, and again
  // after it was started anew.
  void on_parameters(std::uint64_t segment_steps, bool alternate);
  bool knows_segments() const {return segment_steps_ > 0;}

  // Whether somebody offers the service behind a button now.
  void on_offer(Button button, bool offered) {offered_[index_of(button)] = offered;}

  // A person presses a button: whether the request is to be sent now. Then its answer, or `expire`
  // within kPatience, ends the wait.
  bool press(Button button, double now);
  void on_answer(Button button, bool accepted, const std::string & message);

  // Gives up on what was not answered in time and returns it.
  std::vector<Button> expire(double now);

  View view(double now) const;

private:
  void forget_run();
  bool fresh(double now) const {return state_ && now - state_at_ <= kStale;}
  std::string why_not(Button button, double now) const;
  std::uint64_t taken() const;  // policy steps of the segment

  void show_control(View & view, double now) const;
  void show_segment(View & view) const;
  void show_reward(View & view, double now) const;
  void show_successes(View & view) const;
  void show_rates(View & view, double now) const;
  void show_health(View & view, double now) const;

  Health health_;
  std::optional<State> state_;
  double state_at_ = 0.0;
  std::uint64_t segment_began_ = 0;  // policy steps of the run when the segment began
  Rate control_, practice_;          // observations, and policy steps of uninterrupted practice
  std::string plea_;
  std::uint64_t segment_steps_ = 0;
  bool alternate_ = true;
  std::optional<Learner> learner_;
  double learner_at_ = 0.0;
  std::deque<Reward> trace_;
  std::optional<double> end_;  // the newest success probability of this segment
  std::deque<double> ends_;    // the last one of each of forward's segments
  std::map<std::string, std::deque<Evaluation>> evaluations_;
  std::deque<std::pair<std::string, std::uint32_t>> labels_;  // what was said of which segment
  std::array<bool, kButtons> offered_{};
  std::map<Button, double> awaited_;
  std::string answer_;
  Tone answer_tone_ = Tone::unknown;
};

}  // namespace medal_panel

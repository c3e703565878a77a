#include "model.hpp"

#include <algorithm>
#include <cmath>

namespace medal_panel
{
namespace
{

constexpr std::size_t kKept = 10;  // ends of segments, evaluations, labels

template<class Sequence, class Value>
void keep(Sequence & sequence, Value && value)
{
  sequence.push_back(std::forward<Value>(value));
  if (sequence.size() > kKept) {sequence.pop_front();}
}

std::string name_of(Button button)
{
  const Request & request = request_of(button);
  const std::string argument = request.argument;
  return argument.empty() ? request.service : std::string(request.service) + " " + argument;
}

}  // namespace

void Model::forget_run()
{
  trace_.clear();
  end_.reset();
  ends_.clear();
  evaluations_.clear();
  labels_.clear();
  learner_.reset();
  segment_steps_ = 0;
  plea_.clear();
}

void Model::on_state(const State & state, double now)
{
  // Steps are never taken back: another supervisor counts, of another run.
  if (state_ && state.steps < state_->steps) {
    forget_run();
    state_.reset();
  }
  const bool other = !state_ || state.segment != state_->segment;
  if (other || state.mode == "arm_reset") {  // the arm resets itself between two segments
    const bool ended = state_ && state_->mode == "practice" && state_->agent == "forward";
    if (ended && end_) {keep(ends_, *end_);}
    end_.reset();
  }
  if (other) {
    // The index counts the steps before this one, if somebody held the arm a few too many.
    segment_began_ = state.steps - std::min<std::uint64_t>(state.steps, state.index);
  }
  control_.add(state.stamp, state.sequence);
  if (state.mode != "practice" || !state_ || state_->mode != "practice") {practice_.clear();}
  practice_.add(state.stamp, state.steps);
  state_ = state;
  state_at_ = now;
}

void Model::on_reward(double forward, double backward, double probability, double now)
{
  const double reward = state_ && state_->agent == "backward" ? backward : forward;
  if (!std::isfinite(reward) || !std::isfinite(probability)) {return;}
  trace_.push_back({now, reward, probability});
  end_ = probability;
  while (trace_.front().time < now - kTrace) {trace_.pop_front();}
}

void Model::on_learner(const Learner & learner, double now)
{
  learner_ = learner;
  learner_at_ = now;
}

void Model::on_evaluation(const Evaluation & evaluation)
{
  auto & seen = evaluations_[evaluation.agent];
  if (!seen.empty() && evaluation.steps < seen.back().steps) {seen.clear();}  // of another run
  keep(seen, evaluation);
}

void Model::on_label(const std::string & label, std::uint32_t segment)
{
  keep(labels_, std::make_pair(label, segment));
}

void Model::on_heartbeat(
  const std::string & node, bool waits, const std::string & words, double now)
{
  // Its parameters may have changed while it was away.
  if (node == "supervisor" && !health_.alive(node, now)) {segment_steps_ = 0;}
  health_.heard(node, waits, words, now);
}

void Model::on_parameters(std::uint64_t segment_steps, bool alternate)
{
  segment_steps_ = segment_steps;
  alternate_ = alternate;
}

std::uint64_t Model::taken() const
{
  return state_->steps - std::min(state_->steps, segment_began_);
}

std::string Model::why_not(Button button, double now) const
{
  if (awaited_.count(button)) {return "waiting for the answer";}
  const std::string owner = button == Button::save ? "trainer" : "supervisor";
  if (!offered_[index_of(button)]) {
    return "the " + owner + " is missing: nobody offers " + request_of(button).service;
  }
  // The middleware notices a killed process late. Either sign of life will do: practice that
  // stands still must be controllable.
  if (!health_.alive(owner, now) && (button == Button::save || !fresh(now))) {
    return "the " + owner + " is silent";
  }
  return refusal(button, state_ ? state_->mode : "", plea_);
}

bool Model::press(Button button, double now)
{
  const std::string why = why_not(button, now);
  if (!why.empty()) {
    answer_ = "✗ " + name_of(button) + ": " + why;
    answer_tone_ = Tone::attention;
    return false;
  }
  awaited_[button] = now;
  answer_ = "… " + name_of(button) + ": waiting for the answer";
  answer_tone_ = Tone::unknown;
  return true;
}

void Model::on_answer(Button button, bool accepted, const std::string & message)
{
  if (awaited_.erase(button) == 0) {return;}
  answer_ = (accepted ? "✓ " : "✗ ") + name_of(button) + (accepted ? "" : " refused") +
    ": " + message;
  answer_tone_ = accepted ? Tone::calm : Tone::attention;
}

std::vector<Button> Model::expire(double now)
{
  std::vector<Button> expired;
  for (const auto & [button, since] : awaited_) {
    if (now - since > kPatience) {expired.push_back(button);}
  }
  for (const Button button : expired) {
    awaited_.erase(button);
    answer_ = "▲ " + name_of(button) + ": no answer for 5 s; it may still take effect";
    answer_tone_ = Tone::alarm;
  }
  return expired;
}

}  // namespace medal_panel

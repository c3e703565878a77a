// How what is known becomes what is shown: the other half of Model.
#include <algorithm>
#include <array>

#include "model.hpp"
#include "words.hpp"

namespace medal_panel
{
namespace
{

struct Look
{
  const char * mode;
  Tone tone;
  const char * sign;
  const char * headline;
};

// Practice is not among them: its look is the policy's.
constexpr std::array<Look, 5> kLooks{{
  {"arm_reset", Tone::calm, "↺", "The arm resets itself"},
  {"paused", Tone::attention, "❚❚", "Paused"},
  {"intervention", Tone::attention, "◆", "A person is in control"},
  {"help", Tone::alarm, "▲", "Help is needed"},
  {"done", Tone::calm, "■", "The run is done"},
}};

std::string sign_of(const std::string & label)
{
  return label == "success" ? "✓" : label == "failure" ? "✗" : "–";
}

std::string listed(const std::vector<std::string> & words)
{
  std::string line;
  for (const std::string & word : words) {line += (line.empty() ? "" : ", ") + word;}
  return line;
}

}  // namespace

View Model::view(double now) const
{
  View view;
  view.now = now;
  show_control(view, now);
  if (state_) {show_segment(view);}
  if (!fresh(now)) {view.next.clear();}
  show_reward(view, now);
  show_successes(view);
  show_rates(view, now);
  show_health(view, now);
  for (const Request & request : kRequests) {
    const std::string why = why_not(request.button, now);
    view.buttons[index_of(request.button)] = {
      why.empty(), request.meaning + (why.empty() ? "" : ".\nNot now: " + why)};
  }
  view.answer = answer_;
  view.answer_tone = answer_tone_;
  return view;
}

void Model::show_control(View & view, double now) const
{
  view.sign = "?";
  if (!state_) {
    view.headline = "No graph is heard";
    view.reason = "Nobody says who is in control.";
    return;
  }
  const State & s = *state_;
  if (!fresh(now)) {
    view.headline = "No news for " + duration(now - state_at_);
    view.reason = "The last was: " + (s.mode == "practice" ? s.agent + " in control" : s.mode) +
      (s.reason.empty() ? "." : ", " + s.reason + ".");
    return;
  }
  view.reason = s.reason;
  if (s.mode == "practice") {
    const bool backward = s.agent == "backward";
    view.tone = backward ? Tone::backward : Tone::forward;
    view.sign = backward ? "←" : "→";
    view.headline = (backward ? "Backward" : "Forward") + std::string(" policy in control");
    return;
  }
  view.headline = s.mode;
  for (const Look & look : kLooks) {
    if (s.mode == look.mode) {
      view.tone = look.tone;
      view.sign = look.sign;
      view.headline = look.headline;
    }
  }
}

void Model::show_segment(View & view) const
{
  const State & s = *state_;
  const std::string of = segment_steps_ ? " of " + std::to_string(segment_steps_) : "";
  view.segment = "step " + std::to_string(taken()) + of + ", segment " + std::to_string(s.segment);
  const std::uint64_t left = segment_steps_ - std::min(segment_steps_, taken());
  if (segment_steps_) {
    view.share = 1.0 - static_cast<double>(left) / static_cast<double>(segment_steps_);
  }
  view.run = std::to_string(s.steps) +
    (s.total_steps ? " of " + std::to_string(s.total_steps) : "") + " steps, " +
    count(s.interventions, "intervention");
  if (s.mode == "help" || s.mode == "intervention") {
    view.next = "forward starts afresh afterwards";
  } else if (s.mode == "arm_reset") {
    view.next = s.agent + " goes on when the arm is at its start pose";
  } else if (s.mode == "paused") {
    view.next = s.agent + " waits" + (segment_steps_ ? ", " + count(left, "step") + " left" : "");
  } else if (s.mode == "practice" && segment_steps_) {
    const std::string other = s.agent == "forward" ? "backward" : "forward";
    view.next = alternate_ ? other + " takes over" : s.agent + " starts again";
    const double pace = practice_.value();
    view.next += pace > 0.0 ?
      " in about " + duration(static_cast<double>(left) / pace) + " (" + count(left, "step") + ")" :
      " in " + count(left, "step");
  }
}

void Model::show_reward(View & view, double now) const
{
  for (const Reward & reward : trace_) {
    if (reward.time >= now - kTrace) {view.trace.push_back(reward);}
  }
  if (trace_.empty()) {
    view.reward = "no reward yet";
    return;
  }
  const Reward & last = trace_.back();
  const std::string whose = state_ ? state_->agent + "'s reward " : "reward ";
  view.reward = "success probability " + number(last.probability) + ", " + whose +
    number(last.reward) + " (dashed)";
  if (now - last.time > kStale) {view.reward += ", " + duration(now - last.time) + " ago";}
}

void Model::show_successes(View & view) const
{
  for (const char * agent : {"forward", "backward", "cloning"}) {
    const auto found = evaluations_.find(agent);
    if (found == evaluations_.end()) {continue;}
    const auto & seen = found->second;
    std::deque<double> shares;
    for (const Evaluation & evaluation : seen) {shares.push_back(evaluation.success);}
    const Evaluation & last = seen.back();
    view.successes.push_back(
      agent + (" " + percent(last.success)) + " of " + count(last.episodes, "start") + " at step " +
      std::to_string(last.steps) + "  " + spark(shares));
  }
  if (!ends_.empty()) {
    std::string marks;
    for (const double end : ends_) {marks += end >= 0.5 ? "●" : "○";}
    const auto done = std::count_if(ends_.begin(), ends_.end(), [](double p) {return p >= 0.5;});
    view.successes.push_back(
      "ends of forward's segments  " + marks + "  " + std::to_string(done) + " of " +
      std::to_string(ends_.size()) + " look done");
  }
  if (!labels_.empty()) {
    std::string marks;
    for (const auto & [label, segment] : labels_) {marks += sign_of(label);}
    view.successes.push_back(
      "people's labels  " + marks + "  last: segment " + std::to_string(labels_.back().second) +
      " " + labels_.back().first);
  }
}

void Model::show_rates(View & view, double now) const
{
  const bool moves = fresh(now) && control_.value() > 0.0;
  view.rates = "control " + (moves ? number(control_.value(), 1) + " steps/s" : "stands still");
  if (!learner_) {
    view.rates += "\nlearner: nothing heard";
    return;
  }
  const Learner & l = *learner_;
  const bool old = now - learner_at_ > kStale;
  view.rates += "\nlearner " +
    (old ? "silent for " + duration(now - learner_at_) :
    number(l.updates_per_second, 1) + " updates/s") +
    ", " + std::to_string(l.owed) + " owed, " + count(l.stored, "step") + " stored";
  if (l.refused) {view.rates += ", " + std::to_string(l.refused) + " refused";}
  if (l.dropped) {view.rates += ", " + std::to_string(l.dropped) + " updates dropped";}
}

void Model::show_health(View & view, double now) const
{
  view.nodes = health_.view(now, fresh(now));
  std::vector<std::string> missing;
  for (const NodeView & node : view.nodes) {
    if (node.pulse == Pulse::silent || node.pulse == Pulse::unheard) {missing.push_back(node.name);}
  }
  view.missing = !missing.empty();
  view.health = view.missing ? "✗ missing: " + listed(missing) :
    "✓ " + count(view.nodes.size(), "node") + ", none missing";
}

}  // namespace medal_panel

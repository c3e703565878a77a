#include "health.hpp"

#include <algorithm>
#include <array>

#include "words.hpp"

namespace medal_panel
{
namespace
{

constexpr std::array<const char *, 5> kNeeded{
  "camera_sync", "supervisor", "policy_server", "reward", "trainer"};
constexpr double kForgotten = 60.0;  // seconds after which a node that nobody needs is forgotten

bool is_arm(const std::string & node)
{
  const std::string end = "_arm";
  return node.size() > end.size() && node.compare(node.size() - end.size(), end.size(), end) == 0;
}

bool is_needed(const std::string & node)
{
  return std::find(kNeeded.begin(), kNeeded.end(), node) != kNeeded.end();
}

int urgency(const NodeView & node)
{
  return node.pulse == Pulse::ok ? 2 : node.pulse == Pulse::waits ? 1 : 0;
}

}  // namespace

void Health::heard(const std::string & node, bool waits, const std::string & words, double now)
{
  beats_[node] = {now, waits, words};
}

bool Health::alive(const std::string & node, double now) const
{
  const auto found = beats_.find(node);
  return found != beats_.end() && now - found->second.at <= kLimit;
}

NodeView Health::look(const std::string & node, double now) const
{
  const auto found = beats_.find(node);
  if (found == beats_.end()) {
    if (now - began_ <= kLimit) {return {node, Pulse::waits, "not heard yet"};}
    return {node, Pulse::unheard, "never heard"};
  }
  const Beat & beat = found->second;
  const double age = now - beat.at;
  if (age > kLimit) {return {node, Pulse::silent, "silent for " + duration(age)};}
  return {node, beat.waits ? Pulse::waits : Pulse::ok, beat.waits ? beat.words : ""};
}

std::vector<NodeView> Health::view(double now, bool arm_moves) const
{
  std::vector<NodeView> nodes;
  for (const char * node : kNeeded) {nodes.push_back(look(node, now));}
  bool arm = false;
  for (const auto & [node, beat] : beats_) {
    if (is_needed(node)) {continue;}
    if (is_arm(node)) {
      arm = true;
    } else if (now - beat.at > kForgotten) {
      continue;
    }
    nodes.push_back(look(node, now));
  }
  if (!arm) {
    nodes.push_back(
      arm_moves ? NodeView{"arm", Pulse::ok, "no heartbeat, but it answers"} : look("arm", now));
  }
  std::stable_sort(
    nodes.begin(), nodes.end(),
    [](const NodeView & a, const NodeView & b) {return urgency(a) < urgency(b);});
  return nodes;
}

}  // namespace medal_panel

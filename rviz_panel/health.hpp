// Which nodes of the graph answer, by their heartbeats on /diagnostics.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace medal_panel
{

enum class Pulse
{
  ok,
  waits,    // it answers, and waits for something or complains
  silent,   // it did answer
  unheard,  // it never did
};

struct NodeView
{
  std::string name;
  Pulse pulse;
  std::string words;  // what it waits for, or since when it is silent
};

class Health
{
public:
  // A heartbeat comes once a second; a busy machine may delay it.
  static constexpr double kLimit = 5.0;

  // Starts to listen afresh at this time, in seconds.
  explicit Health(double now)
  : began_(now) {}

  void heard(const std::string & node, bool waits, const std::string & words, double now);

  // Whether a node's last heartbeat is recent.
  bool alive(const std::string & node, double now) const;

  // All nodes that practice needs, and those heard besides; the healthy ones last. An arm that
  // somebody else wrote may have no heartbeat: `arm_moves` says that it is seen to work.
  std::vector<NodeView> view(double now, bool arm_moves) const;

private:
  struct Beat
  {
    double at;
    bool waits;
    std::string words;
  };

  NodeView look(const std::string & node, double now) const;

  std::map<std::string, Beat> beats_;
  double began_;
};

}  // namespace medal_panel

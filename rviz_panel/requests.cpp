#include "requests.hpp"

namespace medal_panel
{
namespace
{

std::string ends_first(std::string_view mode)
{
  if (mode == "arm_reset") {return "the arm is on its way to its start pose";}
  if (mode == "paused") {return "practice is paused: resume first";}
  if (mode == "intervention") {return "a person is in control: hand back first";}
  if (mode == "help") {return "help is awaited: answer with reset done first";}
  return "";
}

}  // namespace

std::string refusal(Button button, std::string_view mode, std::string_view plea)
{
  if (button == Button::save) {return "";}
  if (mode.empty()) {return "nothing is known of the graph yet";}
  const bool practice = mode == "practice", resetting = mode == "arm_reset";
  const bool paused = mode == "paused", intervention = mode == "intervention";
  const bool help = mode == "help", done = mode == "done";
  const bool known = practice || resetting || paused || intervention || help || done;
  const auto label = request_of(button).kind == Kind::label;
  if (!known || label) {return "";}
  if (done) {return "the run is done";}
  const bool returns = button == Button::hand_back || button == Button::reset_done;
  if (returns && (help || intervention) && !plea.empty()) {
    return "the arm asks for help: " + std::string(plea);
  }
  switch (button) {
    case Button::pause:
      return practice || resetting ? "" : paused ? "already paused" : ends_first(mode);
    case Button::resume:
      return paused ? "" : "not paused";
    case Button::intervene:
      return intervention ? "a person is in control already" : "";
    case Button::hand_back:
      return intervention ? "" : "no intervention to end";
    case Button::forward:
    case Button::backward:
      return practice || resetting || paused ? "" : ends_first(mode);
    case Button::reset_done:
      return help || intervention || paused ? "" : "nobody waits for a reset";
    case Button::home:
      return practice ? "" : ends_first(mode);
    default:
      return "";
  }
}

}  // namespace medal_panel

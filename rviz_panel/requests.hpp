// What the panel's buttons ask for, and in which mode of the supervisor each has a meaning.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace medal_panel
{

enum class Button
{
  pause,
  resume,
  intervene,
  hand_back,
  forward,
  backward,
  reset_done,
  home,
  success,
  failure,
  invalid,
  save,
};

// The type of the service behind a button.
enum class Kind { flag, trigger, policy, label };

struct Request
{
  Button button;
  const char * label;     // on the button; the sign in front says the same without colour
  const char * service;   // relative to the graph's namespace
  Kind kind;
  const char * argument;  // "true" or "false" of a flag, else a word
  const char * meaning;   // for the tooltip
};

inline constexpr std::array<Request, 12> kRequests{{
  {Button::pause, "❚❚ Pause", "pause", Kind::flag, "true", "Stop practice where it is"},
  {Button::resume, "▶ Resume", "pause", Kind::flag, "false", "Go on after a pause"},
  {Button::intervene, "◆ Intervene", "intervene", Kind::flag, "true",
    "Take control from the policies"},
  {Button::hand_back, "◇ Hand back", "intervene", Kind::flag, "false",
    "Give control back; forward then starts afresh"},
  {Button::forward, "→ Forward", "switch_policy", Kind::policy, "forward",
    "Hand control to the forward policy"},
  {Button::backward, "← Backward", "switch_policy", Kind::policy, "backward",
    "Hand control to the backward policy"},
  {Button::reset_done, "● Reset done", "reset_done", Kind::trigger, "",
    "The world was put back; forward then starts afresh"},
  {Button::home, "⌂ Home the arm", "home", Kind::trigger, "",
    "Move the arm to its start pose now"},
  {Button::success, "✓ Success", "label", Kind::label, "success",
    "Judge this segment: the task is done"},
  {Button::failure, "✗ Failure", "label", Kind::label, "failure",
    "Judge this segment: the task is not done"},
  {Button::invalid, "– Invalid", "label", Kind::label, "invalid",
    "Judge this segment: it should not count"},
  {Button::save, "▼ Save a checkpoint", "save_checkpoint", Kind::trigger, "",
    "Save everything of the learner now"},
}};

inline constexpr std::size_t kButtons = kRequests.size();

constexpr std::size_t index_of(Button button) {return static_cast<std::size_t>(button);}

constexpr const Request & request_of(Button button) {return kRequests[index_of(button)];}

// Says why a button has no meaning now; empty: it has. The supervisor has the last word: its table
// of requests is docs/supervisor.md, and a mode that is not in there is left to it.
std::string refusal(Button button, std::string_view mode, std::string_view plea);

}  // namespace medal_panel

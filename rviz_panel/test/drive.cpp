// A person at the panel, with a graph that trains beside it: looks, clicks, and looks again.
//   panel_drive SCREENSHOT
// It says "end the graph" and "start a graph" when somebody is to do so.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>

#include <QApplication>
#include <QTest>
#include <QTimer>

#include <rclcpp/rclcpp.hpp>

#include "widget.hpp"

using medal_panel::Button;
using medal_panel::Pulse;

namespace
{

// Seconds that this thread was ready to run and had no processor; other programs' fault.
double queued()
{
  std::ifstream file("/proc/thread-self/schedstat");
  double running = 0.0, waiting = 0.0;
  file >> running >> waiting;
  return 1e-9 * waiting;
}

class Drive
{
public:
  Drive(rclcpp::Node::SharedPtr node, const char * picture)
  : picture_(picture), widget_(node, "medal")
  {
    executor_.add_node(node);
    widget_.resize(400, 860);
    widget_.show();
  }

  // Lets everything run until something is so; ends the program if it takes longer.
  void wait(const std::string & what, double patience, const std::function<bool()> & so)
  {
    const double until = medal_panel::seconds() + patience;
    while (!so()) {
      if (medal_panel::seconds() > until) {
        std::cout << "FAILED: " << what << "; shown: " << view().headline << " | " <<
          view().reason << " | " << view().next << " | " << view().rates << " | " <<
          view().answer << " | " << view().health << std::endl;
        for (const auto & node : view().nodes) {
          std::cout << "  " << node.name << ": " << node.words << std::endl;
        }
        picture();
        std::exit(1);
      }
      turn();
    }
    std::cout << "ok: " << what << std::endl;
  }

  void turn()
  {
    const double began = medal_panel::seconds() - queued();
    executor_.spin_some(std::chrono::milliseconds(10));
    QCoreApplication::processEvents();
    longest_ = std::max(longest_, medal_panel::seconds() - queued() - began);
    QTest::qSleep(5);
  }

  void wait_for(const std::string & headline, double patience = 20.0)
  {
    wait("\"" + headline + "\"", patience, [&] {
      return view().headline.find(headline) != std::string::npos;
    });
  }

  // Clicks a button as soon as it is enabled and waits for the answer.
  void click(Button button, const std::string & answer)
  {
    const std::string label = medal_panel::request_of(button).label;
    wait(label + " is enabled", 10.0, [&] {return widget_.button(button)->isEnabled();});
    QTest::mouseClick(widget_.button(button), Qt::LeftButton);
    wait(label + " is answered: " + answer, 10.0, [&] {
      return view().answer.rfind(answer, 0) == 0;
    });
  }

  void expect(Button button, bool enabled)
  {
    wait(
      std::string(medal_panel::request_of(button).label) + (enabled ? " is" : " is not") +
      " enabled", 10.0, [&] {return widget_.button(button)->isEnabled() == enabled;});
  }

  void picture() {widget_.grab().save(picture_);}
  const medal_panel::View & view() const {return widget_.shown();}
  double longest() const {return longest_;}

  bool missing(const std::string & node) const
  {
    return std::any_of(
      view().nodes.begin(), view().nodes.end(), [&](const medal_panel::NodeView & n) {
        return n.name == node && (n.pulse == Pulse::silent || n.pulse == Pulse::unheard);
      });
  }

private:
  const char * picture_;
  rclcpp::executors::SingleThreadedExecutor executor_;
  medal_panel::MedalWidget widget_;
  double longest_ = 0.0;
};

bool says(const std::string & text, const std::string & part)
{
  return text.find(part) != std::string::npos;
}

void practise(Drive & drive)
{
  drive.wait_for("policy in control", 120.0);
  drive.wait("no node is missing", 120.0, [&] {return !drive.view().missing;});
  for (const Button button : {Button::resume, Button::hand_back, Button::reset_done}) {
    drive.expect(button, false);
  }
  drive.wait("time to the next switch", 180.0, [&] {
    return says(drive.view().next, " takes over in about ");
  });
  drive.wait("reward and its trace", 30.0, [&] {
    return says(drive.view().reward, "success probability") && drive.view().trace.size() > 20;
  });
  drive.wait("rates of control and learner", 60.0, [&] {
    return says(drive.view().rates, " steps/s") && says(drive.view().rates, " updates/s");
  });
}

void request(Drive & drive)
{
  drive.click(Button::pause, "✓ pause true: paused");
  drive.wait_for("Paused");
  drive.expect(Button::home, false);
  drive.click(Button::resume, "✓ pause false: practice goes on");
  drive.wait_for("policy in control");
  drive.click(Button::backward, "✓ switch_policy backward: backward takes over now");
  drive.wait_for("Backward policy in control");
  drive.click(Button::forward, "✓ switch_policy forward: forward takes over now");
  drive.wait_for("Forward policy in control");
  drive.click(Button::success, "✓ label success: ");
  drive.click(Button::failure, "✓ label failure: ");
  drive.click(Button::invalid, "✓ label invalid: ");
  drive.wait("the labels", 10.0, [&] {
    return !drive.view().successes.empty() && says(drive.view().successes.back(), "✓✗–");
  });
  drive.click(Button::intervene, "✓ intervene true: you are in control");
  drive.wait_for("A person is in control");
  drive.expect(Button::forward, false);
  drive.click(Button::hand_back, "✓ intervene false: forward starts a new segment");
  drive.wait_for("Forward policy in control");
  drive.click(Button::pause, "✓ pause true: paused");
  drive.click(Button::reset_done, "✓ reset_done: forward starts a new segment");
  drive.click(Button::resume, "✓ pause false");
  drive.wait_for("Forward policy in control");
  drive.click(Button::home, "✓ home: the arm moves to its start pose");
  drive.wait_for("policy in control");
  drive.click(Button::save, "✓ save_checkpoint: ");
}

}  // namespace

int main(int argc, char ** argv)
{
  QApplication application(argc, argv);
  if (argc < 2) {
    std::cout << "panel_drive SCREENSHOT" << std::endl;
    return 2;
  }
  rclcpp::init(argc, argv);
  {
    Drive drive(std::make_shared<rclcpp::Node>("drive"), argv[1]);
    practise(drive);
    request(drive);
    drive.wait("an evaluation", 120.0, [&] {
      return !drive.view().successes.empty() && says(drive.view().successes[0], "starts at step");
    });
    drive.wait("a full trace and the end of a segment", 120.0, [&] {
      const auto & view = drive.view();
      return !view.trace.empty() && view.trace.front().time < view.now - 25.0 &&
             std::any_of(view.successes.begin(), view.successes.end(), [](const auto & line) {
          return says(line, "forward's segments");
        });
    });
    drive.picture();
    std::cout << "end the graph" << std::endl;
    drive.wait_for("No news for", 60.0);
    for (const char * node : {"supervisor", "trainer", "reward", "policy_server", "sim_arm"}) {
      drive.wait(std::string(node) + " is missing", 30.0, [&] {return drive.missing(node);});
    }
    for (const Button button : {Button::pause, Button::intervene, Button::save}) {
      drive.expect(button, false);
    }
    std::cout << "start a graph" << std::endl;
    practise(drive);
    drive.click(Button::pause, "✓ pause true: paused");
    drive.wait_for("Paused");
    std::cout << "longest turn of the event loop: " << static_cast<int>(1000 * drive.longest()) <<
      " ms" << std::endl;
  }
  rclcpp::shutdown();
  return 0;
}

// The panel in a window of its own, for a desktop without RViz's displays:
//   ros2 run medal_ros panel --ros-args -r __ns:=/medal
#include <cstdio>

#include <QApplication>
#include <QTimer>

#include <rclcpp/rclcpp.hpp>

#include "widget.hpp"

int main(int argc, char ** argv)
{
  QApplication application(argc, argv);
  rclcpp::init(argc, argv);
  const auto node = std::make_shared<rclcpp::Node>("panel");
  rclcpp::executors::SingleThreadedExecutor executor;
  executor.add_node(node);
  const std::string space = node->get_namespace();
  medal_panel::MedalWidget widget(node, space == "/" ? "medal" : QString::fromStdString(space));
  widget.setWindowTitle("medal");
  widget.resize(380, 900);
  widget.show();
  QTimer spin;
  QObject::connect(
    &spin, &QTimer::timeout, &application, [&] {
      if (!rclcpp::ok()) {return application.quit();}
      executor.spin_some(std::chrono::milliseconds(10));
    });
  spin.start(20);
  const int status = application.exec();
  rclcpp::shutdown();
  return status;
}

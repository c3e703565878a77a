// The panel itself: an ordinary widget, which RViz or any other program can show.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <QFrame>
#include <QLabel>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QTimer>
#include <QVBoxLayout>
#include <QWidget>

#include <rclcpp/rclcpp.hpp>

#include "graph.hpp"
#include "trace.hpp"

namespace medal_panel
{

// Shows a graph ten times a second. The node must be spun in this thread.
class MedalWidget : public QWidget
{
public:
  MedalWidget(rclcpp::Node::SharedPtr node, const QString & graph_namespace);

  // Which graph is shown; setting another one forgets what is known of the first.
  QString graphNamespace() const {return namespace_;}
  void setGraphNamespace(const QString & graph_namespace);

  // Called when a person chooses another namespace.
  std::function<void()> on_namespace_changed;

  // For tests: the buttons, and what is shown now.
  QPushButton * button(Button button) const {return buttons_[index_of(button)];}
  const View & shown() const {return view_;}

private:
  void makeControl(QVBoxLayout * column);
  void makeFigures(QVBoxLayout * column);
  void makeButtons(QVBoxLayout * column);
  void refresh();
  QLabel * text(QVBoxLayout * column, const char * name, bool large = false);

  rclcpp::Node::SharedPtr node_;
  QString namespace_;
  std::unique_ptr<Graph> graph_;
  View view_;
  QTimer timer_;
  QLineEdit * chooser_;
  QFrame * control_;
  QLabel * headline_, * reason_, * next_, * run_, * reward_, * successes_, * rates_, * health_,
    * nodes_, * answer_;
  QProgressBar * segment_;
  Trace * trace_;
  std::array<QPushButton *, kButtons> buttons_{};
};

}  // namespace medal_panel

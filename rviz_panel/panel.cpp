#include "panel.hpp"

#include <QVBoxLayout>

#include <pluginlib/class_list_macros.hpp>
#include <rviz_common/display_context.hpp>
#include <rviz_common/ros_integration/ros_node_abstraction_iface.hpp>

#include "widget.hpp"

namespace medal_panel
{

void MedalPanel::onInitialize()
{
  // RViz spins this node in the thread of its windows, as MedalWidget asks for.
  const auto node = getDisplayContext()->getRosNodeAbstraction().lock();
  if (!node) {return;}  // RViz is going down
  widget_ = new MedalWidget(node->get_raw_node(), namespace_);
  widget_->on_namespace_changed = [this] {
      namespace_ = widget_->graphNamespace();
      Q_EMIT configChanged();
    };
  auto * layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(widget_);
}

void MedalPanel::load(const rviz_common::Config & config)
{
  Panel::load(config);
  if (config.mapGetString("Namespace", &namespace_) && widget_) {
    widget_->setGraphNamespace(namespace_);
  }
}

void MedalPanel::save(rviz_common::Config config) const
{
  Panel::save(config);
  config.mapSetValue("Namespace", namespace_);
}

}  // namespace medal_panel

PLUGINLIB_EXPORT_CLASS(medal_panel::MedalPanel, rviz_common::Panel)

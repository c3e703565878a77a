// The panel as RViz loads it: MedalWidget, with RViz's node and configuration file.
#pragma once

#include <QString>

#include <rviz_common/config.hpp>
#include <rviz_common/panel.hpp>

namespace medal_panel
{

class MedalWidget;

class MedalPanel : public rviz_common::Panel
{
public:
  void onInitialize() override;
  void load(const rviz_common::Config & config) override;
  void save(rviz_common::Config config) const override;

private:
  MedalWidget * widget_ = nullptr;  // from onInitialize on
  QString namespace_ = "medal";
};

}  // namespace medal_panel

// The last half minute of success probability and reward, drawn small.
#pragma once

#include <vector>

#include <QWidget>

#include "model.hpp"

namespace medal_panel
{

// Probability is a filled area from 0 to 1; the reward a dashed line, to its own largest value.
class Trace : public QWidget
{
public:
  explicit Trace(QWidget * parent = nullptr);
  void show(std::vector<Reward> rewards, double now);

protected:
  void paintEvent(QPaintEvent * event) override;

private:
  std::vector<Reward> rewards_;
  double now_ = 0.0;
};

}  // namespace medal_panel

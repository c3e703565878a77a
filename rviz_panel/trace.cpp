#include "trace.hpp"

#include <algorithm>
#include <utility>

#include <QPainter>
#include <QPainterPath>

#include "words.hpp"

namespace medal_panel
{
namespace
{

constexpr int kMargin = 4;

}  // namespace

Trace::Trace(QWidget * parent)
: QWidget(parent)
{
  setMinimumHeight(100);
  setAccessibleName("Trace of the success probability and the reward");
  setToolTip("Area: success probability, 0 to 1. Dashed line: reward, scaled to its largest.");
}

void Trace::show(std::vector<Reward> rewards, double now)
{
  if (rewards.empty() && rewards_.empty()) {return;}
  rewards_ = std::move(rewards);
  now_ = now;
  update();
}

void Trace::paintEvent(QPaintEvent *)
{
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const QPalette & p = palette();
  const QRectF frame = QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5);
  painter.setPen(p.color(QPalette::Mid));
  painter.setBrush(p.color(QPalette::Base));
  painter.drawRect(frame);
  QFont small = font();
  small.setPointSizeF(small.pointSizeF() * 0.8);
  painter.setFont(small);
  const int line_height = painter.fontMetrics().height();
  const QRectF words = frame.adjusted(kMargin, 0, -kMargin, 0);
  const QRectF plot = words.adjusted(0, line_height, 0, -line_height);
  painter.setPen(QPen(p.color(QPalette::Mid), 1, Qt::DotLine));
  painter.drawLine(QPointF(plot.left(), plot.center().y()), {plot.right(), plot.center().y()});
  const QColor ink = p.color(QPalette::Text);
  painter.setPen(ink);
  if (rewards_.empty()) {
    painter.drawText(plot, Qt::AlignCenter, "no reward yet");
    return;
  }
  double largest = 1e-6;
  for (const Reward & r : rewards_) {largest = std::max(largest, r.reward);}
  const auto x = [&](double time) {
      return plot.right() - (now_ - time) / Model::kTrace * plot.width();
    };
  const auto y = [&](double share) {
      return plot.bottom() - std::clamp(share, 0.0, 1.0) * plot.height();
    };
  QPainterPath area, line;
  double before = -1e9;
  for (const Reward & r : rewards_) {
    const QPointF probability(x(r.time), y(r.probability)), reward(x(r.time), y(r.reward / largest));
    if (r.time - before > Model::kStale) {
      if (!area.isEmpty()) {area.lineTo(area.currentPosition().x(), plot.bottom());}
      area.moveTo(probability.x(), plot.bottom());
      line.moveTo(reward);
    }
    area.lineTo(probability);
    line.lineTo(reward);
    before = r.time;
  }
  area.lineTo(area.currentPosition().x(), plot.bottom());
  QColor fill = p.color(QPalette::Highlight);
  fill.setAlpha(110);
  painter.setPen(Qt::NoPen);
  painter.setBrush(fill);
  painter.drawPath(area);
  painter.setBrush(Qt::NoBrush);
  painter.setPen(QPen(ink, 1.4, Qt::DashLine));
  painter.drawPath(line);
  painter.setPen(ink);
  const auto text = QString::fromStdString("top: probability 1, reward " + number(largest, 1));
  painter.drawText(words, Qt::AlignLeft | Qt::AlignTop, text);
  painter.drawText(words, Qt::AlignLeft | Qt::AlignBottom, "30 s ago");
  painter.drawText(words, Qt::AlignRight | Qt::AlignBottom, "now");
}

}  // namespace medal_panel

#include "widget.hpp"

#include <utility>

#include <QGridLayout>
#include <QHBoxLayout>
#include <QRegularExpressionValidator>
#include <QScrollArea>

namespace medal_panel
{
namespace
{

constexpr int kPeriod = 100;  // milliseconds between two looks

// Dark enough for white letters on it, and told apart by the colour-blind, too.
const char * colour(Tone tone)
{
  switch (tone) {
    case Tone::forward: return "#1f5fa8";
    case Tone::backward: return "#9a4a00";
    case Tone::calm: return "#2f6b3a";
    case Tone::attention: return "#6a3d8f";
    case Tone::alarm: return "#b00020";
    default: return "#555555";
  }
}

QString qt(const std::string & text) {return QString::fromStdString(text);}

const char * sign(Pulse pulse)
{
  switch (pulse) {
    case Pulse::ok: return "✓";
    case Pulse::waits: return "…";
    default: return "✗";
  }
}

QString joined(const std::vector<std::string> & lines)
{
  QString all;
  for (const std::string & line : lines) {all += (all.isEmpty() ? "" : "\n") + qt(line);}
  return all;
}

// Only what has changed, so that nothing is laid out anew ten times a second.
void set_text(QLabel * label, const QString & text)
{
  if (label->text() != text) {label->setText(text);}
  label->setVisible(!text.isEmpty());
}

void set_style(QWidget * widget, const QString & style)
{
  if (widget->styleSheet() != style) {widget->setStyleSheet(style);}
}

}  // namespace

MedalWidget::MedalWidget(rclcpp::Node::SharedPtr node, const QString & graph_namespace)
: node_(std::move(node))
{
  auto * outer = new QVBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  auto * scroll = new QScrollArea;
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  outer->addWidget(scroll);
  auto * inside = new QWidget;
  auto * column = new QVBoxLayout(inside);
  column->setSpacing(6);
  makeControl(column);
  makeButtons(column);
  makeFigures(column);
  column->addStretch();
  scroll->setWidget(inside);
  setMinimumWidth(300);
  setGraphNamespace(graph_namespace);
  connect(&timer_, &QTimer::timeout, this, [this] {refresh();});
  timer_.start(kPeriod);
}

void MedalWidget::setGraphNamespace(const QString & graph_namespace)
{
  namespace_ = graph_namespace;
  chooser_->setText(graph_namespace);
  graph_ = std::make_unique<Graph>(node_, graph_namespace.toStdString());
  refresh();
}

QLabel * MedalWidget::text(QVBoxLayout * column, const char * name, bool large)
{
  auto * label = new QLabel;
  label->setObjectName(name);
  label->setAccessibleName(name);
  label->setWordWrap(true);
  label->setTextFormat(Qt::PlainText);  // what others say is no markup of ours
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  if (large) {
    QFont font = label->font();
    font.setPointSizeF(font.pointSizeF() * 1.4);
    font.setBold(true);
    label->setFont(font);
  }
  column->addWidget(label);
  return label;
}

void MedalWidget::makeControl(QVBoxLayout * column)
{
  auto * row = new QHBoxLayout;
  row->addWidget(new QLabel("Graph in namespace"));
  chooser_ = new QLineEdit;
  chooser_->setValidator(
    new QRegularExpressionValidator(
      QRegularExpression("/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*)?"), chooser_));
  chooser_->setAccessibleName("Namespace of the graph");
  row->addWidget(chooser_);
  column->addLayout(row);
  connect(
    chooser_, &QLineEdit::editingFinished, this, [this] {
      if (chooser_->text() == namespace_) {return;}
      setGraphNamespace(chooser_->text());
      if (on_namespace_changed) {on_namespace_changed();}
    });
  control_ = new QFrame;
  control_->setObjectName("control");
  auto * inner = new QVBoxLayout(control_);
  headline_ = text(inner, "Who is in control", true);
  reason_ = text(inner, "Why");
  column->addWidget(control_);
  segment_ = new QProgressBar;
  segment_->setRange(0, 1000);
  segment_->setAccessibleName("Progress of the segment");
  column->addWidget(segment_);
  next_ = text(column, "What comes next");
  run_ = text(column, "Progress of the run");
}

void MedalWidget::makeFigures(QVBoxLayout * column)
{
  health_ = text(column, "Nodes");
  nodes_ = text(column, "Nodes that wait or are missing");
  reward_ = text(column, "Reward");
  trace_ = new Trace;
  column->addWidget(trace_);
  successes_ = text(column, "Last successes");
  rates_ = text(column, "Rates");
}

void MedalWidget::makeButtons(QVBoxLayout * column)
{
  auto * grid = new QGridLayout;
  grid->setSpacing(4);
  // Rows of two; the three labels share one, and the last one is alone.
  for (const Request & request : kRequests) {
    auto * button = new QPushButton(request.label);
    const int i = static_cast<int>(index_of(request.button));
    if (request.kind == Kind::label) {
      grid->addWidget(button, 4, 2 * (i - 8), 1, 2);
    } else if (request.button == Button::save) {
      grid->addWidget(button, 5, 0, 1, 6);
    } else {
      grid->addWidget(button, i / 2, 3 * (i % 2), 1, 3);
    }
    connect(
      button, &QPushButton::clicked, this, [this, which = request.button] {
        graph_->press(which);
        refresh();
      });
    buttons_[index_of(request.button)] = button;
  }
  column->addLayout(grid);
  answer_ = text(column, "Answer");
}

void MedalWidget::refresh()
{
  graph_->poll();
  view_ = graph_->model().view(seconds());
  set_style(
    control_, QString("#control {background: %1; border-radius: 4px;} QLabel {color: white;}")
    .arg(colour(view_.tone)));
  set_text(headline_, qt(view_.sign + "  " + view_.headline));
  set_text(reason_, qt(view_.reason));
  segment_->setVisible(!view_.segment.empty());
  segment_->setValue(static_cast<int>(1000.0 * view_.share));
  segment_->setFormat(qt(view_.segment));
  set_text(next_, qt(view_.next));
  set_text(run_, qt(view_.run));
  set_text(reward_, qt(view_.reward));
  trace_->show(view_.trace, view_.now);
  set_text(successes_, joined(view_.successes));
  set_text(rates_, qt(view_.rates));
  set_text(health_, qt(view_.health));
  set_style(
    health_, view_.missing ? QString("color: white; background: %1; padding: 3px;")
    .arg(colour(Tone::alarm)) : QString());
  std::vector<std::string> nodes;
  for (const NodeView & node : view_.nodes) {
    if (!node.words.empty()) {nodes.push_back(sign(node.pulse) + (" " + node.name) + ": " + node.words);}
  }
  set_text(nodes_, joined(nodes));
  set_text(answer_, qt(view_.answer));
  set_style(
    answer_, QString("color: white; background: %1; padding: 3px;").arg(colour(view_.answer_tone)));
  for (const Request & request : kRequests) {
    const ButtonView & shown = view_.buttons[index_of(request.button)];
    QPushButton * button = buttons_[index_of(request.button)];
    button->setEnabled(shown.enabled);
    if (button->toolTip() != qt(shown.tip)) {button->setToolTip(qt(shown.tip));}
  }
}

}  // namespace medal_panel

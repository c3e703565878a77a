// How fast a counter grows, over the last seconds.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

namespace medal_panel
{

class Rate
{
public:
  // Takes in what a counter was at a time in seconds, of the clock of whoever counts. A counter or
  // a clock that goes back means that a new one counts.
  void add(double time, std::uint64_t count)
  {
    if (!seen_.empty() && (time < seen_.back().first || count < seen_.back().second)) {
      seen_.clear();
    }
    if (seen_.size() > 1 && time - seen_[seen_.size() - 2].first < kSpacing) {seen_.pop_back();}
    seen_.emplace_back(time, count);
    while (seen_.size() > 2 && seen_[1].first <= time - kWindow) {seen_.pop_front();}
  }

  void clear() {seen_.clear();}

  // Per second; 0 while nothing can be said.
  double value() const
  {
    if (seen_.size() < 2) {return 0.0;}
    const double elapsed = seen_.back().first - seen_.front().first;
    const auto grown = seen_.back().second - seen_.front().second;
    return elapsed < kLeast ? 0.0 : static_cast<double>(grown) / elapsed;
  }

private:
  static constexpr double kWindow = 5.0, kSpacing = 0.05, kLeast = 0.2;
  std::deque<std::pair<double, std::uint64_t>> seen_;
};

}  // namespace medal_panel

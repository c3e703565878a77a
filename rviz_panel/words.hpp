// Numbers as a person reads them at a glance.
#pragma once

#include <deque>
#include <string>

namespace medal_panel
{

// "14 s", "2:05 min", "1:02 h".
std::string duration(double seconds);

// "85 %", of a share in [0, 1].
std::string percent(double share);

// A number with this many digits behind the point, or fewer where it is large.
std::string number(double value, int digits = 2);

// "1 step", "2 steps".
std::string count(unsigned long number, const std::string & what);

// One bar a share, "▁▃█".
std::string spark(const std::deque<double> & shares);

}  // namespace medal_panel

#include "words.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace medal_panel
{
namespace
{

std::string print(const char * format, int a, int b)
{
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), format, a, b);
  return text.data();
}

}  // namespace

std::string duration(double seconds)
{
  const int whole = static_cast<int>(std::lround(std::clamp(seconds, 0.0, 3.6e6)));
  if (whole < 100) {return std::to_string(whole) + " s";}
  if (whole < 6000) {return print("%d:%02d min", whole / 60, whole % 60);}
  return print("%d:%02d h", whole / 3600, whole / 60 % 60);
}

std::string percent(double share)
{
  return std::to_string(std::lround(100.0 * share)) + " %";
}

std::string number(double value, int digits)
{
  std::array<char, 48> text{};
  const int shown = std::abs(value) >= 100.0 ? 0 : digits;
  std::snprintf(text.data(), text.size(), "%.*f", shown, value);
  return text.data();
}

std::string count(unsigned long number, const std::string & what)
{
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

std::string spark(const std::deque<double> & shares)
{
  static constexpr std::array<const char *, 8> bars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string line;
  for (const double share : shares) {
    line += bars[std::clamp(static_cast<int>(share * 8.0), 0, 7)];
  }
  return line;
}

}  // namespace medal_panel

// Prints, for each mode and with or without a plea of the arm, which requests the panel offers:
// test/test_panel.py holds that against the table of docs/supervisor.md.
#include <iostream>

#include "requests.hpp"

int main()
{
  using namespace medal_panel;
  for (const char * mode : {"practice", "arm_reset", "paused", "intervention", "help", "done"}) {
    for (const char * plea : {"", "a reflex"}) {
      for (const Request & request : kRequests) {
        std::cout << mode << "\t" << plea << "\t" << request.service << "\t" << request.argument <<
          "\t" << (refusal(request.button, mode, plea).empty() ? "yes" : "no") << "\n";
      }
    }
  }
}

// Runs the tests where GoogleTest, which has a main of its own, is not used.
#include "gtest.hpp"

int main() {return little_gtest::run();}

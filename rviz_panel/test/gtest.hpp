// GoogleTest, as under colcon, or the little of it that these tests use, for machines without it.
#pragma once

#ifndef LITTLE_GTEST
#include <gtest/gtest.h>
#else

#include <cmath>
#include <iostream>
#include <utility>
#include <vector>

namespace little_gtest
{

using Test = std::pair<const char *, void (*)()>;

inline std::vector<Test> & tests()
{
  static std::vector<Test> all;
  return all;
}

inline int & failures()
{
  static int count = 0;
  return count;
}

struct Registered
{
  Registered(const char * name, void (* body)()) {tests().push_back({name, body});}
};

template<class A, class B>
void expect_equal(const A & a, const B & b, const char * text, const char * file, int line)
{
  if (a == b) {return;}
  ++failures();
  std::cout << file << ":" << line << ": " << text << ": got \"" << a << "\", not \"" << b << "\"\n";
}

inline void expect(bool true_, const char * text, const char * file, int line)
{
  if (true_) {return;}
  ++failures();
  std::cout << file << ":" << line << ": " << text << " is not so\n";
}

inline int run()
{
  int failed = 0;
  for (const auto & [name, body] : tests()) {
    const int before = failures();
    body();
    if (failures() > before) {++failed; std::cout << "FAILED " << name << "\n";}
  }
  std::cout << tests().size() - failed << " passed, " << failed << " failed\n";
  return failed ? 1 : 0;
}

}  // namespace little_gtest

#define TEST(group, name) \
  void group ## _ ## name(); \
  static little_gtest::Registered registered_ ## group ## _ ## name(#group "." #name, \
    group ## _ ## name); \
  void group ## _ ## name()
#define EXPECT_EQ(a, b) little_gtest::expect_equal(a, b, #a, __FILE__, __LINE__)
#define EXPECT_TRUE(a) little_gtest::expect(a, #a, __FILE__, __LINE__)
#define EXPECT_FALSE(a) little_gtest::expect(!(a), "not " #a, __FILE__, __LINE__)
#define EXPECT_NEAR(a, b, by) \
  little_gtest::expect(std::abs((a) - (b)) <= (by), #a " near " #b, __FILE__, __LINE__)

#endif

#include "base/environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace regroup {
namespace {

bool has(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

TEST(Environment, where_things_lie_and_how_text_is_written_goes_on_and_all_else_stays) {
  ::setenv("TMPDIR", "/somewhere", 1);
  ::setenv("LC_NUMERIC", "C", 1);
  for (const char* name : {"OMP_NUM_THREADS", "ETCD_NAME", "https_proxy", "LD_PRELOAD_OF_TEST", "NOBODY_KNOWS_IT"})
    ::setenv(name, "set", 1);
  const auto environment = plain_environment();
  EXPECT_TRUE(has(environment, "TMPDIR=/somewhere"));
  EXPECT_TRUE(has(environment, "LC_NUMERIC=C"));
  for (const std::string& entry : environment) EXPECT_FALSE(entry.ends_with("=set")) << entry;
}

TEST(Environment, what_steers_a_library_is_named_in_order_and_nothing_else_is) {
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "MALLOC_ARENA_MAX", "ETCD_NAME", "MY_OMP_"}) ::setenv(name, "set", 1);
  const auto names = steering_variables_left_out();
  EXPECT_TRUE(has(names, "ONEDNN_MAX_CPU_ISA"));
  EXPECT_TRUE(has(names, "MALLOC_ARENA_MAX"));
  EXPECT_FALSE(has(names, "ETCD_NAME"));
  EXPECT_FALSE(has(names, "MY_OMP_"));
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

TEST(Environment, settings_come_back_in_the_order_of_their_names) {
  const auto settings = checked_settings({"B=2", "A=", "C=x=y z"});
  ASSERT_TRUE(settings);
  EXPECT_EQ(*settings, (std::vector<std::string>{"A=", "B=2", "C=x=y z"}));
}

TEST(Environment, a_setting_that_is_none_is_refused_by_name) {
  const auto refusal = [](const std::vector<std::string>& settings) {
    const auto checked = checked_settings(settings);
    return checked ? "taken" : checked.error().context;
  };
  const std::string how = ": write NAME=VALUE; a name has letters, digits and _";
  for (const char* wrong : {"", "A", "=1", "1A=1", "A B=1", "A-B=1"})
    EXPECT_EQ(refusal({wrong}), "'" + std::string(wrong) + "'" + how);
  EXPECT_EQ(refusal({"A=1", "B=1", "A=2"}), "A is given twice");
  EXPECT_EQ(refusal({"A=1", "AB=1"}), "taken");
  EXPECT_EQ(refusal({"ATEN_CPU_CAPABILITY=avx2", "ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16"}), "taken");
  EXPECT_EQ(refusal({"ATEN_CPU_CAPABILITY=avx22"}),
            "ATEN_CPU_CAPABILITY: 'avx22' would be ignored; known are default avx2 avx512");
  EXPECT_NE(refusal({"ONEDNN_MAX_CPU_ISA=AVX512"}).find("'AVX512' would be ignored"), std::string::npos);
  EXPECT_EQ(refusal({"A=1\nB=2"}), "A: its value has a control character, such as a line's end");
}

TEST(Environment, a_variable_is_replaced_where_it_stands_already) {
  std::vector<std::string> environment{"A=1", "AB=2"};
  set_variable(environment, "A=3");
  EXPECT_EQ(environment, (std::vector<std::string>{"AB=2", "A=3"}));
}

}  // namespace
}  // namespace regroup

#include "agent/worker_environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace regroup::agent {
namespace {

std::vector<std::string> values_of(const std::string& name, const std::vector<std::string>& settings) {
  std::vector<std::string> values;
  for (const std::string& entry : worker_environment(settings))
    if (entry.starts_with(name + "=")) values.push_back(entry.substr(name.size() + 1));
  return values;
}
using Values = std::vector<std::string>;

TEST(WorkerEnvironment, what_steers_libraries_is_kept_from_workers_unless_it_is_a_setting) {
  for (const char* name : {"OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "LD_PRELOAD_X", "MALLOC_PERTURB_"})
    ::setenv(name, "3", 1);
  for (const char* name : {"OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "LD_PRELOAD_X", "MALLOC_PERTURB_"})
    EXPECT_EQ(values_of(name, {}), Values{}) << name;
  EXPECT_EQ(values_of("OMP_NUM_THREADS", {"OMP_NUM_THREADS=5"}), Values{"5"});
  EXPECT_EQ(values_of("PATH", {"PATH=/other"}), Values{"/other"});
}

TEST(WorkerEnvironment, the_allocator_asks_for_huge_pages_unless_a_setting_says_otherwise) {
  ::setenv("GLIBC_TUNABLES", "glibc.malloc.check=3", 1);
  EXPECT_EQ(values_of("GLIBC_TUNABLES", {}), Values{"glibc.malloc.hugetlb=1"});
  EXPECT_EQ(values_of("GLIBC_TUNABLES", {"GLIBC_TUNABLES=glibc.malloc.check=3"}),
            Values{"glibc.malloc.check=3:glibc.malloc.hugetlb=1"});
  EXPECT_EQ(values_of("GLIBC_TUNABLES", {"GLIBC_TUNABLES=glibc.malloc.hugetlb=0"}), Values{"glibc.malloc.hugetlb=0"});
}

}  // namespace
}  // namespace regroup::agent

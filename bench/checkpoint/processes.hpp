// processes.hpp: runs the same function in N child processes that start together.
#pragma once

#include <functional>
#include <vector>

namespace regroup::bench {

// One number a child. `prepare` runs before the common start, `work` after it; its value comes back. Ends this program
// when a child fails.
struct Child {
  std::function<void()> prepare;
  std::function<double()> work;
};
struct Outcome {
  double seconds = 0;  // common start until the last child's end
  std::vector<double> values;
};
Outcome run_together(const std::vector<Child>& children);

}  // namespace regroup::bench

// typed.hpp: from a tensor to the kernels' plain pointers. Inside moe/ops only.
#pragma once

#include "base/check.hpp"
#include "moe/ops/bf16.hpp"

#include <ATen/core/Tensor.h>

#include <type_traits>

namespace regroup::ops {

template <class T>
T* data(const at::Tensor& x) {
  REGROUP_CHECK(x.scalar_type() == (std::is_same_v<T, float> ? at::kFloat : at::kBFloat16), "a tensor of type",
                static_cast<int>(x.scalar_type()));
  return static_cast<T*>(x.data_ptr());
}

// f.template operator()<float>() or <bf16>(), as the tensor is: by_type(x, [&]<class T>() { ... data<T>(x) ... }).
template <class F>
auto by_type(const at::Tensor& x, F&& f) {
  if (x.scalar_type() == at::kFloat) return f.template operator()<float>();
  return f.template operator()<bf16>();
}

}  // namespace regroup::ops

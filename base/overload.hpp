// overload.hpp: one visitor made of several lambdas, for std::visit.
#pragma once

namespace regroup {

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

}  // namespace regroup

// improve.hpp: would a change at a step boundary improve a job that trains: leave, join, restore balance, move experts
// by their load? Pure; a part of decide.
#pragma once

#include "coordinator/core/look.hpp"

namespace regroup::coordinator {

// For a job whose plan is in force. Where the better plan turns out to be impossible, training goes on as it is, and a
// note says why.
void improve(Look& look);

}  // namespace regroup::coordinator

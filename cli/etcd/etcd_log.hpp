// etcd_log.hpp: why etcd could not start, in its own words. Pure.
#pragma once

#include <istream>
#include <string>

namespace regroup::cli {

// The last of the gravest lines, without what stands around the message: both of etcd's log formats, and a panic.
// "nothing" when the log is empty.
std::string cause_in_log(std::istream& log);

}  // namespace regroup::cli

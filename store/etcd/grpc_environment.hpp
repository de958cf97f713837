// grpc_environment.hpp: settings of gRPC in a user's environment that would end the process. Private to this folder.
#pragma once

namespace regroup {

// Takes GRPC_POLL_STRATEGY away, with a warning, where gRPC knows none of its words: it would abort without one. Before
// the first call of gRPC and the first thread that reads the environment.
void drop_unusable_grpc_settings();

}  // namespace regroup

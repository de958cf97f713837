#include "cli/job/cluster_file.hpp"

#include "base/json_fields.hpp"

#include <fstream>
#include <sstream>

namespace regroup::cli {
namespace {

std::string path_in(const std::string& dir) { return dir + "/cluster.json"; }

}  // namespace

Result<void> write_cluster_file(const std::string& dir, const ClusterFile& file) {
  std::ofstream out(path_in(dir));
  out << json::dump({{"etcd", file.etcd}, {"cluster", file.cluster}, {"job", file.job}}) << "\n" << std::flush;
  if (!out) return Error{Code::kBadInput, "cannot write " + path_in(dir)};
  return {};
}

Result<ClusterFile> read_cluster_file(const std::string& dir) {
  std::ifstream in(path_in(dir));
  if (!in) return Error{Code::kNotFound, path_in(dir) + " cannot be read: is this the directory of a `regroup local`?"};
  std::ostringstream text;
  text << in.rdbuf();
  return json::read_json(text.str(), path_in(dir), [](const json::Field& file) {
    return ClusterFile{file["etcd"].string(), file["cluster"].string(), file["job"].string()};
  });
}

}  // namespace regroup::cli

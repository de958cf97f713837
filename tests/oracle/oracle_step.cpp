// oracle_step: what this runtime computes for a model directory, for the Python beside it to compare with transformers.
// One JSON object a line on standard input, one answer a line.
//
//   {"do": "shape", "model": DIR}
//       reads and checks its config.json alone
//   {"do": "gradients", "model": DIR, "sequences": S, "length": T, "tokens": [S*T], "targets": [S*T], "documents":
//   [lengths], "out": FILE}
//       FILE (safetensors): logits, every weight's gradient of (sum of token losses + coefficient * load-balancing loss
//       * targets), jitter.<layer>
//   {"do": "train", "model": DIR, "work": DIR, "data": PREFIX, "steps": n, "microbatches": M, "sequences": S, "length":
//   T, "groups": [sizes], "optimizer": {...},
//       "precision": "bf16", "recompute": "experts" or "full"; both may be absent}
//       trains with the worker's own step from the directory's weights; answers losses, the tokens of each step, and a
//       checkpoint
#include "checkpoint/core/hugging_face_config.hpp"
#include "checkpoint/core/safetensors_header.hpp"
#include "checkpoint/io/catalog.hpp"
#include "checkpoint/io/foreign_weights.hpp"
#include "checkpoint/io/posix_file.hpp"
#include "checkpoint/io/save.hpp"
#include "moe/data/dataset.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/machine.hpp"
#include "tests/ops/single_rank.hpp"
#include "tests/train/cluster.hpp"

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>

#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <numeric>

namespace regroup {
namespace {

using nlohmann::json;
using testing::Cluster;

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().context);
  return std::move(*result);
}
void need(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().context);
}

ModelShape shape_of(const std::string& directory) {
  return need(checkpoint::shape_from_config_json(need(checkpoint::read_small_file(directory + "/config.json"))));
}

class TensorFile {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape, const float* data) {
    checkpoint::FileTensor tensor;
    tensor.name = name;
    tensor.shape = std::move(shape);
    tensors_.push_back(tensor);
    data_[name] = data;
  }
  void write(const std::string& path) {
    checkpoint::place_tensors(tensors_);
    auto file = need(checkpoint::open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
    const std::string header = checkpoint::write_safetensors_header(tensors_);
    need(checkpoint::write_at(file.fd(), path, std::as_bytes(std::span(header)), 0));
    for (const checkpoint::FileTensor& tensor : tensors_) {
      const std::span<const float> values(data_[tensor.name],
                                          static_cast<std::size_t>(tensor.end - tensor.begin) / sizeof(float));
      need(checkpoint::write_at(file.fd(), path, std::as_bytes(values),
                                static_cast<std::int64_t>(header.size()) + tensor.begin));
    }
  }

 private:
  std::vector<checkpoint::FileTensor> tensors_;
  std::map<std::string, const float*> data_;
};

at::Tensor ids_of(const json& list) {
  const at::Tensor ids = at::empty({static_cast<std::int64_t>(list.size())}, at::TensorOptions().dtype(at::kLong));
  std::int64_t* to = ids.data_ptr<std::int64_t>();
  for (const json& id : list) *to++ = id.get<std::int64_t>();
  return ids;
}

at::Tensor logits_of(const ops::SingleRank& model) {
  const std::int64_t n = model.dims.tokens(), h = model.dims.shape.hidden_size;
  ops::EmbeddingWeights embedding = ops::embedding_weights(model.units.front(), model.weights.front().data());
  const ops::HeadWeights head = ops::head_weights(model.units.back(), model.weights.back().data(),
                                                  model.dims.shape.tie_word_embeddings ? &embedding : nullptr);
  const at::Tensor normed = ops::empty({n, h}), rstd = ops::empty({n}),
                   logits = ops::empty({n, model.dims.shape.vocab_size});
  ops::rms_norm_rows(model.final_hidden.data_ptr<float>(), head.norm.data_ptr<float>(), normed.data_ptr<float>(),
                     rstd.data_ptr<float>(), n, h, static_cast<float>(model.dims.shape.rms_norm_eps));
  ops::multiply(logits, normed, head.lm_head.t());
  return logits;
}

json gradients(const json& request) {
  const c10::InferenceMode inference;
  const auto directory = request["model"].get<std::string>();
  ops::Dims dims{shape_of(directory), request["sequences"].get<std::int64_t>(), request["length"].get<std::int64_t>()};
  ops::SingleRank model(dims, 5);
  model.keep_final = true;
  model.documents = request.value("documents", model.documents);
  auto weights = need(checkpoint::ForeignWeights::open(directory, dims.shape));
  need(weights->digest());  // as at submit: it refuses what is wrong with the values
  for (std::size_t i = 0; i < model.units.size(); ++i)
    need(weights->read(static_cast<int>(i), {0, kBlocksPerUnit},
                       {model.weights[i].data(), static_cast<std::size_t>(model.weights[i].numel())}));
  const auto loss = model.microbatch(ids_of(request["tokens"]), ids_of(request["targets"]));

  TensorFile file;
  const at::Tensor logits = logits_of(model);
  file.add("logits", {dims.tokens(), dims.shape.vocab_size}, logits.data_ptr<float>());
  for (std::size_t i = 0; i < model.units.size(); ++i)
    for (const TensorSpec& tensor : model.units[i].tensors)
      file.add(tensor.name, tensor.shape, model.gradients[i].data() + tensor.offset);
  std::vector<std::vector<float>> factors;
  for (std::int64_t layer = 0; dims.shape.router_jitter_noise > 0 && layer < dims.shape.num_hidden_layers; ++layer) {
    auto& ones = factors.emplace_back(static_cast<std::size_t>(dims.tokens() * dims.shape.hidden_size), 1.0f);
    ops::jitter(ops::jitter_of(dims.shape.router_jitter_noise, model.seed, 1, 0, layer), ones.data(),
                static_cast<std::int64_t>(ones.size()));
    file.add("jitter." + std::to_string(layer), {dims.tokens(), dims.shape.hidden_size}, ones.data());
  }
  file.write(request["out"].get<std::string>());
  return {{"loss_sum", loss.cross_entropy}, {"aux", loss.aux}, {"targets", loss.num_targets}};
}

JobSpec job_of(const json& request) {
  JobSpec job = testing::training_job(request["data"].get<std::string>());
  job.initial_weights = request["model"].get<std::string>();
  job.model = shape_of(job.initial_weights);
  job.initial_digest = need(need(checkpoint::ForeignWeights::open(job.initial_weights, job.model))->digest());
  job.steps = request["steps"].get<std::int64_t>();
  job.microbatches = job.chains = request["microbatches"].get<int>();
  job.sequences_per_microbatch = request["sequences"].get<int>();
  job.sequence_length = request["length"].get<int>();
  if (request.value("precision", "") == "bf16") job.precision = Precision::kBf16;
  const std::string recompute = request.value("recompute", "none");
  job.recompute = recompute == "experts" ? Recompute::kExperts
                  : recompute == "full"  ? Recompute::kFull
                                         : Recompute::kNone;
  const json& optimizer = request["optimizer"];
  job.optimizer.learning_rate = optimizer["learning_rate"].get<double>();
  job.optimizer.min_learning_rate = optimizer["min_learning_rate"].get<double>();
  job.optimizer.beta1 = optimizer["beta1"].get<double>();
  job.optimizer.beta2 = optimizer["beta2"].get<double>();
  job.optimizer.epsilon = optimizer["epsilon"].get<double>();
  job.optimizer.weight_decay = optimizer["weight_decay"].get<double>();
  job.optimizer.clip_norm = optimizer["clip_norm"].get<double>();
  job.optimizer.warmup_steps = optimizer["warmup_steps"].get<int>();
  const std::map<std::string, ScheduleKind> schedules = {{"constant", ScheduleKind::kConstant},
                                                         {"linear", ScheduleKind::kLinear},
                                                         {"cosine", ScheduleKind::kCosine},
                                                         {"wsd", ScheduleKind::kWsd}};
  job.optimizer.schedule = schedules.at(optimizer["schedule"].get<std::string>());
  job.optimizer.decay_steps = optimizer["decay_steps"].get<int>();
  need(check_job(job));
  return job;
}

json train(const json& request) {
  const JobSpec job = job_of(request);
  const auto work = request["work"].get<std::string>();
  const auto groups = request["groups"].get<std::vector<int>>();
  const int workers = std::accumulate(groups.begin(), groups.end(), 0);
  std::vector<int> members(static_cast<std::size_t>(workers));
  std::iota(members.begin(), members.end(), 0);
  Cluster cluster(job, workers, work);
  const std::string digest = cluster.train(testing::make_placement(job, groups), members, job.steps);
  if (digest.size() != 64) throw std::runtime_error(digest);

  const auto data = need(Dataset::open(job.data_prefix, job.model.vocab_size, job.sequence_length, job.seed));
  json samples = json::array();
  std::vector<std::int64_t> sample(static_cast<std::size_t>(job.sequence_length + 1));
  for (std::int64_t i = 0; i < job.steps * job.microbatches * job.sequences_per_microbatch; ++i) {
    if (auto filled = data->fill(i, sample); !filled) throw std::runtime_error(to_string(filled.error()));
    samples.push_back(sample);
  }

  // The first group holds the whole state.
  checkpoint::SaveRequest save;
  save.root = work + "/checkpoints";
  save.info.job = job.name;
  save.info.epoch = Epoch(1);
  save.info.step = Step(job.steps);
  save.info.seed = job.seed;
  save.info.shape = job.model;
  save.info.max_file_bytes = 200'000;
  save.model_directory = job.initial_weights;
  for (int worker = 0; worker < groups.front(); ++worker)
    for (const auto& [key, shard] : cluster.store(worker).all())
      save.entries.push_back({shard->unit, shard->blocks, reinterpret_cast<const std::byte*>(shard->state.data())});
  need(checkpoint::write_part(save));
  const auto committed = need(commit(save, std::chrono::seconds(10)));
  return {{"losses", cluster.losses()},
          {"samples", samples},
          {"digest", digest},
          {"initial_digest", job.initial_digest},
          {"checkpoint", committed.directory}};
}

json answer(const std::string& line) {
  try {
    const json request = json::parse(line);
    if (request["do"] == "shape") {
      need(check_shape(shape_of(request["model"].get<std::string>())));
      return json::object();
    }
    if (request["do"] == "gradients") return gradients(request);
    if (request["do"] == "train") return train(request);
    return {{"error", "unknown request"}};
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace
}  // namespace regroup

int main() {
  regroup::ops::keep_freed_memory();
  regroup::ops::settle_arithmetic();
  for (std::string line; std::getline(std::cin, line);) std::cout << regroup::answer(line).dump() << std::endl;
}

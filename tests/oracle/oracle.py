"""What the oracle tests share: random configurations, models in transformers, the program that computes the same
with this runtime, and how the two are compared."""
import copy
import json
import os
import random
import struct
import subprocess

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()

LIMIT = 1e-4  # of a tensor's norm
# Of all gradients' norm: where a gradient is mathematically zero (a lone expert's router), both sides hold rounding
# noise.
FLOOR = 1e-7


class Runtime:
    """The program oracle_step: one process, a JSON object a line."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise AssertionError(f"oracle_step died with status {self.process.wait()}")
        answer = json.loads(answer)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def unfused(model, tensors):
    """Names of transformers 4 from those that transformers 5 holds in memory; `tensors`: name -> tensor."""
    expert = {
        "mixtral": ("block_sparse_moe.experts.{}.w1.weight", "block_sparse_moe.experts.{}.w3.weight",
                    "block_sparse_moe.experts.{}.w2.weight")
    }.get(model.config.model_type,
          ("mlp.experts.{}.gate_proj.weight", "mlp.experts.{}.up_proj.weight", "mlp.experts.{}.down_proj.weight"))
    out = {}
    for name, tensor in tensors.items():
        base, _, last = name.rpartition("mlp.experts.")
        if last == "gate_up_proj":
            f = tensor.shape[1] // 2
            for e in range(tensor.shape[0]):
                out[base + expert[0].format(e)], out[base + expert[1].format(e)] = tensor[e, :f], tensor[e, f:]
        elif last == "down_proj":
            for e in range(tensor.shape[0]):
                out[base + expert[2].format(e)] = tensor[e]
        elif model.config.model_type == "mixtral" and name.endswith("mlp.gate.weight"):
            out[name.replace("mlp.gate.weight", "block_sparse_moe.gate.weight")] = tensor
        else:
            out[name] = tensor
    return out


def smallest_gap(model, tokens):
    """Between the last chosen expert's probability and the first one's that was not chosen: where it is tiny,
    rounding decides, and nothing can be compared."""
    k = model.config.num_experts_per_tok
    with torch.no_grad():
        was = model.training
        logits = model.eval()(tokens, output_router_logits=True).router_logits
        model.train(was)
    gaps = [1.0]
    for layer in logits:
        top = torch.softmax(layer.float(), -1).sort(-1, descending=True).values
        if top.shape[-1] > k:
            gaps.append(float((top[:, k - 1] - top[:, k]).min()))
    return min(gaps)


def save(model, directory, style, dtype=torch.float32):
    """As a person may have it: style has some of 'shards', 'fused', 'old-config'."""
    copy.deepcopy(model).to(dtype).save_pretrained(directory,
                                                   max_shard_size="40KB" if "shards" in style else "5GB",
                                                   save_original_format="fused" not in style)
    if "old-config" in style:  # as transformers 4 wrote it
        path = os.path.join(directory, "config.json")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        rope = config.pop("rope_parameters")
        config.update(rope_theta=rope["rope_theta"], rope_scaling=None, torch_dtype=config.pop("dtype"))
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)


def load_stored(directory):
    out = {}
    for name in sorted(os.listdir(directory)):
        if name.endswith(".safetensors") and not name.startswith("optimizer"):
            out.update(load_file(os.path.join(directory, name)))
    return out


def use_jitter(model, factors):
    """The noise of this runtime in place of torch's: both draw from the same distribution, only the numbers are
    compared."""

    def forward(block, factor):

        def run(hidden):
            shape = hidden.shape
            hidden = (hidden * factor.view(shape)).view(-1, shape[-1])
            _, weights, index = block.gate(hidden)
            return block.experts(hidden, index, weights).reshape(shape)

        return run

    for layer, block in enumerate(model.model.layers):
        block.mlp.forward = forward(block.mlp, factors[layer])


def compare(what, ours, theirs, floor=0.0):
    """None, or how they differ."""
    if ours.shape != theirs.shape:
        return f"{what}: shape {tuple(ours.shape)}, transformers has {tuple(theirs.shape)}"
    distance, norm = float((ours.double() - theirs.double()).norm()), float(theirs.double().norm())
    if distance <= LIMIT * norm + floor:
        return None
    return f"{what}: {distance / norm if norm else distance:.2e} away (norm {norm:.2e})"


def tokens_of(seed, vocab, sequences, length):
    choose = random.Random(seed)
    return torch.tensor([[choose.randrange(vocab) for _ in range(length)] for _ in range(sequences)])


def write_data(prefix, tokens):
    """Megatron's PREFIX.bin and PREFIX.idx: one document of uint16."""
    with open(prefix + ".bin", "wb") as file:
        file.write(struct.pack(f"<{len(tokens)}H", *tokens))
    with open(prefix + ".idx", "wb") as file:
        file.write(b"MMIDIDX\0\0" + struct.pack("<QBQQiqqq", 1, 8, 1, 2, len(tokens), 0, 0, 1))

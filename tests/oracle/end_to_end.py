#!/usr/bin/env python3
"""A model that transformers wrote is trained by a real cluster on this machine and opened by transformers again.

    end_to_end.py REGROUP

`regroup local` with `model: DIR`: on one node, and on three of which one is killed on the way: the same weights.
Then the checkpoint and its bf16 export generate text, with the tokenizer that lay beside the model. Model directories
with something wrong in them are refused at submit.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import oracle
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, MixtralConfig, MixtralForCausalLM, PreTrainedTokenizerFast

JOB = """name: from-transformers
seed: 3
data: text
model: {model}
steps: 12
microbatches: 4
sequences_per_microbatch: 2
sequence_length: 32
optimizer: {{learning_rate: 0.002, warmup_steps: 2}}
elastic: {{max_groups: 2}}
snapshots: {{every_steps: 1}}
"""


def write_model(directory):
    torch.manual_seed(1)
    model = MixtralForCausalLM(
        MixtralConfig(vocab_size=260,
                      hidden_size=48,
                      intermediate_size=64,
                      num_hidden_layers=2,
                      num_attention_heads=4,
                      num_key_value_heads=2,
                      num_local_experts=5,
                      num_experts_per_tok=2,
                      max_position_embeddings=64,
                      initializer_range=0.1,
                      bos_token_id=1,
                      eos_token_id=256,
                      router_jitter_noise=0.01))
    model.generation_config.update(eos_token_id=256)
    oracle.save(model, directory, ("shards", ), torch.bfloat16)
    from tokenizers import Tokenizer, models, pre_tokenizers
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, **{f"t{i}": i for i in range(1, 260)}}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(directory)


def run(regroup, work, name, nodes, events):
    directory, summary = os.path.join(work, name), os.path.join(work, name + ".json")
    with open(os.path.join(work, name + ".events"), "w", encoding="ascii") as file:
        json.dump(events, file)
    status = subprocess.call([
        regroup, "local",
        os.path.join(work, "job.yaml"), "--nodes",
        str(nodes), "--dir", directory, "--events",
        os.path.join(work, name + ".events"), "--summary", summary],
                             stdin=subprocess.DEVNULL)
    if status != 0:
        raise AssertionError(f"regroup local on {nodes} nodes ended with status {status}")
    with open(summary, encoding="utf-8") as file:
        return json.load(file), os.path.join(directory, "checkpoints")


def refused(regroup, work, model, broken):
    """What `regroup local` says about a copy of the model that `broken` changed."""
    copy = os.path.join(work, "broken")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(model, copy)
    broken(copy)
    with open(os.path.join(work, "broken.yaml"), "w", encoding="ascii") as file:
        file.write(JOB.format(model="broken"))
    done = subprocess.run(
        [regroup, "local",
         os.path.join(work, "broken.yaml"), "--dir",
         os.path.join(work, "broken-run")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60)
    if done.returncode == 0:
        return "nothing"
    return done.stderr


def edit_config(**changes):

    def change(directory):
        path = os.path.join(directory, "config.json")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        config.update(changes)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)

    return change


def put_nan(directory):
    name = sorted(n for n in os.listdir(directory) if n.endswith(".safetensors"))[-1]
    tensors = oracle.load_file(os.path.join(directory, name))
    sorted(tensors.items())[0][1].view(-1)[0] = float("nan")
    from safetensors.torch import save_file
    save_file(tensors, os.path.join(directory, name), metadata={"format": "pt"})


def lose_shard(directory):
    os.remove(os.path.join(directory, sorted(n for n in os.listdir(directory) if n.endswith(".safetensors"))[1]))


def lose_index(directory):
    os.remove(os.path.join(directory, "model.safetensors.index.json"))


def leave_pointer(directory):
    name = sorted(n for n in os.listdir(directory) if n.endswith(".safetensors"))[0]
    with open(os.path.join(directory, name), "w", encoding="ascii") as file:
        file.write("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def main():
    regroup, wrong = sys.argv[1], []
    with tempfile.TemporaryDirectory() as work:
        model = os.path.join(work, "model")
        write_model(model)
        with open(os.path.join(work, "text.txt"), "w", encoding="ascii") as file:
            file.write("a small model learns to spell from few words and many repetitions of them. " * 400)
        subprocess.run(
            [regroup, "data", "prepare",
             os.path.join(work, "text.txt"), "--out",
             os.path.join(work, "text")],
            check=True)
        # As Megatron's: who made the tokens is not said, so the model's tokenizer goes with the checkpoints.
        for about in (".json", ".sums"):
            os.remove(os.path.join(work, "text" + about))
        with open(os.path.join(work, "job.yaml"), "w", encoding="ascii") as file:
            file.write(JOB.format(model="model"))
        alone, _ = run(regroup, work, "alone", 1, [])
        three, checkpoints = run(regroup, work, "three", 3, [dict(at_step=5, do="kill-node", node="node-2")])
        if alone["weights_sha256"] != three["weights_sha256"] or alone["loss"] != three["loss"]:
            wrong.append("one node and three disturbed ones give different weights")
        if not alone["loss"][-1] < alone["loss"][0]:
            wrong.append("the loss did not fall")

        checkpoint = os.path.join(checkpoints, sorted(os.listdir(checkpoints))[-1])
        export = os.path.join(work, "export")
        subprocess.run(
            [regroup, "checkpoint", "export", checkpoints, export, "--dtype", "bf16", "--max-file-size", "100KB"],
            check=True)
        for directory in (checkpoint, export):
            tokens = AutoTokenizer.from_pretrained(directory)("t97 t32 t115", return_tensors="pt")["input_ids"]
            if tokens.tolist() != [[97, 32, 115]]:
                wrong.append(f"{directory}: the tokenizer says {tokens.tolist()}")
            again, info = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
            if (info["missing_keys"] or info["unexpected_keys"] or again.generation_config.eos_token_id != 256
                    or again.config.router_jitter_noise != 0.01):
                wrong.append(f"{directory}: {info}, eos {again.generation_config.eos_token_id}")
            if again.generate(tokens, max_new_tokens=8, do_sample=False).shape[1] < 4:
                wrong.append(f"{directory} generates nothing")

        for what, broken, words in [
            ("a missing shard", lose_shard, ["is missing", ".safetensors"]),
            ("shards without their index", lose_index, ["holds no weights that are read", "a shard whose"]),
            ("a Git LFS pointer", leave_pointer, ["is a Git LFS pointer", ".safetensors"]),
            ("a text for a number", edit_config(num_hidden_layers="2"),
             ["config.json: num_hidden_layers must be a whole number"]),
            ("two families", edit_config(model_type="qwen3_moe"), ["model_type", "architectures"]),
            ("NaN", put_nan, ["holds nan at element 0", ".safetensors"]),
            ("another size", edit_config(intermediate_size=96), ["has the shape", "asks for"]),
            ("fewer layers", edit_config(num_hidden_layers=1), ["model.layers.1.", "no place"]),
            ("yarn", edit_config(rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 2}), ["yarn"]),
            ("dropout", edit_config(attention_dropout=0.1), ["attention_dropout is 0.1"]),
            ("gelu", edit_config(hidden_act="gelu"), ["hidden_act"])]:
            said = refused(regroup, work, model, broken)
            if any(word not in said for word in words):
                wrong.append(f"{what}: regroup says: {said}")
    print("\n".join(["FAILED: " + w for w in wrong]
                    or ["good: from transformers to transformers, with the same bits on every layout"]))
    return 1 if wrong else 0


sys.exit(main())

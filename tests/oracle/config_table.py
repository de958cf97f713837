#!/usr/bin/env python3
"""Every combination of the keys that say which layers have a window, a head of their own, experts, and how many heads
of which size: the real transformers and this runtime compute the same logits, or this runtime names a key.

    config_table.py PROGRAM [--family FAMILY] [--table TABLE]

Where transformers itself refuses a combination, this runtime must refuse it too.
"""
import argparse
import itertools
import json
import os
import random
import sys
import tempfile

import oracle
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

ABSENT = "absent"
LAYERS, VOCAB, LENGTH = 3, 67, 12
FULL, SLIDING = ["full_attention"] * LAYERS, ["sliding_attention"] * LAYERS
BASE = dict(vocab_size=VOCAB,
            hidden_size=48,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            num_key_value_heads=2,
            num_experts_per_tok=2,
            max_position_embeddings=64,
            initializer_range=0.15,
            hidden_act="silu",
            pad_token_id=None)
FAMILIES = {
    "mixtral": dict(BASE, architectures=["MixtralForCausalLM"], intermediate_size=32, num_local_experts=4),
    "qwen3_moe": dict(BASE,
                      architectures=["Qwen3MoeForCausalLM"],
                      intermediate_size=40,
                      moe_intermediate_size=32,
                      num_experts=4),
    "olmoe": dict(BASE, architectures=["OlmoeForCausalLM"], intermediate_size=32, num_experts=4)}
TABLES = {
    "window": dict(sliding_window=[ABSENT, None, 5, 0],
                   use_sliding_window=[ABSENT, True, False],
                   max_window_layers=[ABSENT, 0, 2],
                   layer_types=[ABSENT, FULL, SLIDING, SLIDING[:1] + FULL[1:], FULL[:1]]),
    "sparse": dict(decoder_sparse_step=[ABSENT, 1, 2, 0],
                   mlp_only_layers=[ABSENT, None, [], [0], [0, 1, 2], [7]],
                   num_experts=[ABSENT, 4, 0],
                   num_local_experts=[ABSENT, 4, 5]),
    "heads": dict(hidden_size=[48, 50],
                  num_attention_heads=[3, 8],
                  num_key_value_heads=[ABSENT, None, 1, 3],
                  head_dim=[ABSENT, None, 16, 6, 7]),
    "tie": dict(tie_word_embeddings=[ABSENT, None, True, False],
                embedding=["there", "missing"],
                lm_head=["its own", "a copy", "missing"])}
TENSORS = ["lm_head.weight", "embed_tokens"]  # named in place of a key of the table "tie"


def combinations(table, family):
    keys = list(TABLES[table])
    for values in itertools.product(*TABLES[table].values()):
        yield dict(zip(keys, values))
    if table != "window":
        return
    choose = random.Random(family)  # across the tables, but for what the files hold
    across = {key: values for name in ("window", "sparse", "heads") for key, values in TABLES[name].items()}
    for _ in range(60):
        yield {key: choose.choice(across[key]) for key in choose.sample(sorted(across), 3)}


def config_of(family, changes):
    config = dict(FAMILIES[family], model_type=family)
    for key, value in changes.items():
        if key in ("lm_head", "embedding"):
            continue
        if value == ABSENT:
            config.pop(key, None)
        else:
            config[key] = value
    return config


def random_model(directory, tokens):
    """Of the config.json there, with weights under which no rounding decides about a token's experts."""
    config = AutoConfig.from_pretrained(directory)
    config._attn_implementation = config._experts_implementation = "eager"
    for seed in range(20):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" in name:
                    parameter.normal_(1.0, 0.2)
                elif name.endswith("gate.weight"):
                    parameter.normal_(0.0, 0.3)
        if oracle.smallest_gap(model, tokens) > 1e-5:
            return model
    raise AssertionError("no weights without near ties")


def write_weights(model, directory, changes):
    tensors = {name: tensor.clone() for name, tensor in oracle.unfused(model, dict(model.named_parameters())).items()}
    table, head = "model.embed_tokens.weight", "lm_head.weight"
    lm_head = changes.get("lm_head", "its own" if head in tensors else "missing")
    if lm_head == "missing":
        tensors.pop(head, None)
    elif lm_head == "a copy" or head not in tensors:
        tensors[head] = tensors[table] + (lm_head == "its own")
    if changes.get("embedding") == "missing":
        del tensors[table]
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()},
              os.path.join(directory, "model.safetensors"),
              metadata={"format": "pt"})


def theirs(directory, tokens, changes):
    """Logits, or why there are none."""
    try:
        model = random_model(directory, tokens)
        write_weights(model, directory, changes)
        if "lm_head" in changes:
            model, info = AutoModelForCausalLM.from_pretrained(directory,
                                                               output_loading_info=True,
                                                               attn_implementation="eager",
                                                               experts_implementation="eager")
            if info["missing_keys"]:
                return None, f"missing {sorted(info['missing_keys'])}"
        with torch.no_grad():
            return model.eval()(tokens, use_cache=False).logits, ""
    except AssertionError:
        raise
    except Exception as error:  # of any kind: whatever transformers does with a config that it does not want
        return None, f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:120]}"


def ours(runtime, directory, tokens):
    out = os.path.join(directory, "out.safetensors")
    try:
        runtime.ask(do="gradients",
                    model=directory,
                    sequences=tokens.shape[0],
                    length=tokens.shape[1],
                    tokens=tokens.flatten().tolist(),
                    targets=tokens.flatten().tolist(),
                    out=out)
    except AssertionError as refusal:
        return None, str(refusal)
    return oracle.load_file(out)["logits"], ""


def refused_config(runtime, directory):
    try:
        runtime.ask(do="shape", model=directory)
    except AssertionError as refusal:
        return str(refusal)
    return ""


def judge(runtime, family, table, changes, work):
    """'agrees', 'refused', or what is wrong."""
    directory = tempfile.mkdtemp(dir=work)
    with open(os.path.join(directory, "config.json"), "w", encoding="ascii") as file:
        json.dump(config_of(family, changes), file)
    said = refused_config(runtime, directory)
    if not said:
        tokens = oracle.tokens_of(7, VOCAB, 1, LENGTH)
        wanted, why = theirs(directory, tokens, changes)
        if wanted is None and "lm_head" not in changes:
            return f"transformers refuses ({why}), this runtime does not"
        got, said = ours(runtime, directory, tokens)
        if got is not None:
            if wanted is None:
                return f"transformers refuses ({why}), this runtime does not"
            return oracle.compare("logits", got.view(wanted.shape), wanted) or "agrees"
    named = list(changes) + (TENSORS if table == "tie" else [])
    return "refused" if any(name in said for name in named) else f"is refused without naming a key: {said}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--table", choices=TABLES)
    options = parser.parse_args()
    runtime = oracle.Runtime(options.program)
    wrong = 0
    for family, table in itertools.product(FAMILIES, TABLES):
        if options.family not in (None, family) or options.table not in (None, table):
            continue
        count = {"agrees": 0, "refused": 0}
        with tempfile.TemporaryDirectory() as work:
            for changes in combinations(table, family):
                verdict = judge(runtime, family, table, changes, work)
                if verdict in count:
                    count[verdict] += 1
                    continue
                wrong += 1
                print(f"FAILED {family} {changes}: {verdict}", flush=True)
        print(f"{family}, {table}: {count['agrees']} agree, {count['refused']} are refused by name", flush=True)
        if not count["agrees"]:
            wrong += 1
            print(f"FAILED {family}, {table}: nothing was compared")
    runtime.close()
    return 1 if wrong else 0


sys.exit(main())

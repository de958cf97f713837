#!/usr/bin/env python3
"""Logits, loss with the load-balancing term, and every gradient against transformers in fp32, for random small
configurations.

    gradients.py PROGRAM FAMILY [--cases N] [--seed S] [--only CASE]
"""
import argparse
import os
import random
import sys
import tempfile

import oracle
import torch
from transformers import (MixtralConfig, MixtralForCausalLM, OlmoeConfig, OlmoeForCausalLM, Qwen3MoeConfig,
                          Qwen3MoeForCausalLM)


def mixtral(choose, fixed):
    heads = choose.choice([1, 2, 4, 6])
    head_dim = choose.choice([None, 6, 8, 16, 34])
    hidden = choose.choice([32, 42, 48, 64, 96])
    if head_dim is None and (hidden % heads or hidden // heads % 2):
        head_dim = 8
    experts = choose.choice([1, 2, 3, 5, 8, 11])
    options = dict(vocab_size=choose.choice([37, 101, 128, 263]),
                   hidden_size=hidden,
                   intermediate_size=choose.choice([16, 37, 48, 80]),
                   num_hidden_layers=choose.choice([1, 2, 3]),
                   num_attention_heads=heads,
                   num_key_value_heads=choose.choice([n for n in (1, 2, 3, 4, 6) if heads % n == 0]),
                   head_dim=head_dim,
                   num_local_experts=experts,
                   num_experts_per_tok=choose.randint(1, min(4, experts)),
                   tie_word_embeddings=choose.random() < 0.3,
                   sliding_window=choose.choice([None, None, 5, 17, 70]),
                   router_aux_loss_coef=choose.choice([0.0, 0.001, 0.02, 0.5]),
                   router_jitter_noise=choose.choice([0.0, 0.0, 0.1]),
                   rms_norm_eps=choose.choice([1e-5, 1e-6]),
                   rope_parameters={"rope_type": "default", "rope_theta": choose.choice([1e4, 1e6])})
    options.update(fixed)
    return MixtralConfig(max_position_embeddings=256, initializer_range=choose.choice([0.05, 0.15]),
                         **options), MixtralForCausalLM


def qwen3(choose, fixed):
    layers = choose.choice([1, 2, 3])
    heads = choose.choice([1, 2, 4, 6])
    experts = choose.choice([2, 3, 5, 8, 16])
    options = dict(vocab_size=choose.choice([37, 101, 263]),
                   hidden_size=choose.choice([32, 48, 64]),
                   intermediate_size=choose.choice([32, 80, 112]),
                   moe_intermediate_size=choose.choice([16, 48]),
                   num_hidden_layers=layers,
                   num_attention_heads=heads,
                   num_key_value_heads=choose.choice([n for n in (1, 2, 3, 4, 6) if heads % n == 0]),
                   head_dim=choose.choice([8, 16, 20]),
                   num_experts=experts,
                   num_experts_per_tok=choose.randint(1, min(4, experts)),
                   norm_topk_prob=choose.random() < 0.5,
                   tie_word_embeddings=choose.random() < 0.3,
                   mlp_only_layers=sorted(choose.sample(range(layers), choose.randint(0, layers - 1))),
                   use_sliding_window=choose.random() < 0.3,
                   sliding_window=choose.choice([5, 17]),
                   router_aux_loss_coef=choose.choice([0.0, 0.001, 0.3]),
                   rope_parameters={"rope_type": "default", "rope_theta": choose.choice([1e4, 1e6])})
    options.update(fixed)
    return Qwen3MoeConfig(max_position_embeddings=256, initializer_range=choose.choice([0.05, 0.15]),
                          **options), Qwen3MoeForCausalLM


def olmoe(choose, fixed):
    heads = choose.choice([1, 2, 4])
    experts = choose.choice([2, 3, 5, 8, 16])
    options = dict(
        vocab_size=choose.choice([37, 101, 263]),
        hidden_size=choose.choice([32, 48, 64]),
        intermediate_size=choose.choice([16, 48]),
        num_hidden_layers=choose.choice([1, 2, 3]),
        num_attention_heads=heads,
        num_key_value_heads=choose.choice([n for n in (1, 2, 4) if heads % n == 0]),
        num_experts=experts,
        num_experts_per_tok=choose.randint(1, min(4, experts)),
        norm_topk_prob=choose.random() < 0.5,
        tie_word_embeddings=choose.random() < 0.3,
        router_aux_loss_coef=choose.choice([0.0, 0.01, 0.3]),
        pad_token_id=
        None,  # torch's Embedding trains that token's row never, and starts it at 0; here it is a token like any other
        rope_parameters={"rope_type": "default", "rope_theta": 1e4})
    options.update(fixed)
    return OlmoeConfig(max_position_embeddings=256, initializer_range=choose.choice([0.05, 0.15]),
                       **options), OlmoeForCausalLM


# What must be there whatever the random choice brings.
MIXTRAL_FIXED = [
    dict(num_local_experts=5, num_experts_per_tok=1),
    dict(num_local_experts=5, num_experts_per_tok=3),
    dict(num_attention_heads=6, num_key_value_heads=1, head_dim=None, hidden_size=48),
    dict(tie_word_embeddings=True),
    dict(sliding_window=4),
    dict(vocab_size=251),
    dict(router_jitter_noise=0.2),
    dict(num_local_experts=1, num_experts_per_tok=1),
    dict(num_local_experts=8, num_experts_per_tok=8),
    dict(head_dim=34),
    dict(sliding_window=64),
    dict(tie_word_embeddings=True, num_local_experts=5, num_experts_per_tok=2), ]
QWEN3_FIXED = [
    dict(num_hidden_layers=3, mlp_only_layers=[0, 2]),
    dict(num_hidden_layers=3, mlp_only_layers=[], decoder_sparse_step=2),
    dict(num_experts=5, num_experts_per_tok=3, norm_topk_prob=False),
    dict(num_experts=5, num_experts_per_tok=1, norm_topk_prob=True),
    dict(num_experts=5, num_experts_per_tok=1, norm_topk_prob=False),
    dict(use_sliding_window=True, sliding_window=5), ]
OLMOE_FIXED = [
    dict(num_attention_heads=4, num_key_value_heads=2),
    dict(norm_topk_prob=True),
    dict(num_experts=5, num_experts_per_tok=3, norm_topk_prob=False)]
STYLES = [(), ("shards", ), ("old-config", ), ("fused", ), ("fused", "shards"), ("old-config", "shards")]
FAMILIES = {"mixtral": (mixtral, MIXTRAL_FIXED), "qwen3_moe": (qwen3, QWEN3_FIXED), "olmoe": (olmoe, OLMOE_FIXED)}


def make_model(family, number, seed):
    """Drawn again where rounding would decide about a token's experts."""
    make, fixed = FAMILIES[family]
    for attempt in range(20):
        choose = random.Random(f"{family} {seed} {number} {attempt}")
        config, kind = make(choose, fixed[number] if number < len(fixed) else {})
        config._attn_implementation = choose.choice(["eager", "sdpa"])
        config._experts_implementation = choose.choice(["eager", "grouped_mm"])
        if config.hidden_size % 4 or config.intermediate_size % 4:
            config._experts_implementation = "eager"  # torch's grouped product wants strides of 16 bytes
        torch.manual_seed(choose.randrange(1 << 30))
        model = kind(config)
        dtype = choose.choice([torch.float32, torch.float32, torch.bfloat16, torch.float16])
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "norm" in name:
                    parameter.normal_(1.0, 0.2)
                elif name.endswith("gate.weight"):
                    parameter.normal_(0.0, 0.3)  # routes with some conviction
                parameter.copy_(parameter.to(dtype))
        tokens = oracle.tokens_of(choose.random(), config.vocab_size, choose.choice([1, 2, 3]),
                                  choose.choice([3, 16, 33, 65, 90]))
        if oracle.smallest_gap(model, tokens) > 1e-5:
            return model, tokens, dtype, choose
    raise AssertionError("no configuration without near ties")


def describe(config):
    keys = ("vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers",
            "num_attention_heads", "num_key_value_heads", "head_dim", "num_experts_per_tok", "tie_word_embeddings",
            "sliding_window", "router_aux_loss_coef", "router_jitter_noise", "norm_topk_prob", "mlp_only_layers",
            "decoder_sparse_step", "_attn_implementation", "_experts_implementation")
    return " ".join(f"{key}={getattr(config, key)}"
                    for key in keys if hasattr(config, key)) + f" experts={config.num_experts}"


def cut_documents(choose, sequences, length):
    """Lengths of documents, none across two sequences."""
    out = []
    for _ in range(sequences):
        left = length
        while left:
            out.append(choose.randint(1, left))
            left -= out[-1]
    return out


def mask_of(config, documents, shape):
    """Additive, [sequences, 1, rows, keys]: each token sees its own document up to itself, within the window."""
    of = torch.repeat_interleave(torch.arange(len(documents)), torch.tensor(documents)).view(shape)
    row, key = torch.arange(shape[1])[:, None], torch.arange(shape[1])[None, :]
    window = getattr(config, "sliding_window", None) or shape[1]
    sees = (of[:, :, None] == of[:, None, :]) & (key <= row) & (key > row - window)
    return torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[:, None]


def use_mask(model, mask):
    """In place of the model's own; given to the model itself it would also count as padding in the load-balancing
    loss."""
    for layer in model.model.layers:
        layer.self_attn.register_forward_pre_hook(lambda module, args, named: (args, {**named, "attention_mask": mask}),
                                                  with_kwargs=True)


def case(runtime, family, number, seed, work):
    model, tokens, dtype, choose = make_model(family, number, seed)
    directory = os.path.join(work, f"model-{number}")
    style = STYLES[number % len(STYLES)]
    oracle.save(model, directory, style, dtype)
    labels = tokens.clone()
    if number % 3 == 0:
        labels[torch.rand(labels.shape) < 0.2] = -100
    targets = torch.cat([labels[:, 1:], torch.full((labels.shape[0], 1), -100)], 1)
    if (targets >= 0).sum() == 0:
        labels, targets = tokens, torch.cat([tokens[:, 1:], torch.full((tokens.shape[0], 1), -100)], 1)
    out = os.path.join(work, f"out-{number}.safetensors")
    documents = cut_documents(choose, *tokens.shape) if number % 4 == 1 else []
    if documents:
        use_mask(model, mask_of(model.config, documents, tokens.shape))
    ours = runtime.ask(do="gradients",
                       model=directory,
                       sequences=tokens.shape[0],
                       length=tokens.shape[1],
                       tokens=tokens.flatten().tolist(),
                       targets=[-1 if t < 0 else t for t in targets.flatten().tolist()],
                       documents=documents,
                       out=out)
    computed = oracle.load_file(out)

    model.train()
    if getattr(model.config, "router_jitter_noise", 0):
        oracle.use_jitter(model, [computed.pop(f"jitter.{layer}") for layer in range(model.config.num_hidden_layers)])
    result = model(tokens, labels=labels, output_router_logits=True)
    result.loss.backward()
    count = ours["targets"]
    logits = computed.pop("logits").view(result.logits.shape)
    total = (ours["loss_sum"] + model.config.router_aux_loss_coef * ours["aux"] * count) / count
    wrong = [
        oracle.compare("logits", logits, result.logits),
        oracle.compare("loss", torch.tensor(total), result.loss.detach()),
        oracle.compare("load-balancing loss", torch.tensor(ours["aux"]), result.aux_loss.detach())]
    theirs = oracle.unfused(
        model, {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()})
    if set(computed) != set(theirs):
        wrong.append(f"tensors: {sorted(set(computed) ^ set(theirs))[:4]} are on one side only")
    floor = oracle.FLOOR * float(torch.stack([g.double().norm() for g in theirs.values()]).norm())
    wrong += [
        oracle.compare(name, computed[name] / count, theirs[name], floor)
        for name in sorted(set(computed) & set(theirs))]
    return [
        w for w in wrong if w
    ], f"{describe(model.config)} {tuple(tokens.shape)} {dtype} {'+'.join(style)}" + (f" {len(documents)} documents"
                                                                                      if documents else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--cases", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    runtime = oracle.Runtime(options.program)
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        for number in range(options.cases) if options.only is None else [options.only]:
            wrong, description = case(runtime, options.family, number, options.seed, work)
            print(f"{'FAILED' if wrong else 'good'} {number}: {description}" + "".join("\n    " + w for w in wrong[:8]),
                  flush=True)
            failed += bool(wrong)
    runtime.close()
    print(f"{failed} of {options.cases} configurations differ from transformers"
          if failed else "every logit, loss and gradient agrees")
    return 1 if failed else 0


sys.exit(main())

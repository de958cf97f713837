#!/usr/bin/env python3
"""What Hugging Face transformers does with the same model, shapes and optimizer: tokens/s as JSON.

  transformers_baseline.py [--steps N] [--experts eager|grouped_mm ...] [--threads T] [--precision fp32|bf16]

MixtralForCausalLM in fp32, or under bf16 autocast with fp32 weights, not compiled: M microbatches of sequences x length
tokens a step, the load-balancing loss on, gradients clipped to norm 1, fused AdamW with decay on matrices only. Times
are of whole steps after two of warm-up; `median_s` is the figure to compare; `median_cpu_s` (the process's CPU time) is
steadier on a busy machine. malloc keeps freed memory, as a worker's does.
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time

# What moe/ops/machine.hpp sets for a worker; read by the C library when a process starts.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "-1",
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_ARENA_MAX": "1",
}


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    p.add_argument("--experts", nargs="+", default=["eager", "grouped_mm"])
    for name, value in dict(
        vocab=512, hidden=256, intermediate=512, layers=4, heads=8, kv_heads=4, num_experts=8, top_k=2,
        microbatches=4, sequences=4, length=256,
    ).items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    return p.parse_args()


def main():
    args = parse()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    import torch
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.set_num_threads(args.threads)
    config = dict(
        vocab_size=args.vocab, hidden_size=args.hidden, intermediate_size=args.intermediate,
        num_hidden_layers=args.layers, num_attention_heads=args.heads, num_key_value_heads=args.kv_heads,
        num_local_experts=args.num_experts, num_experts_per_tok=args.top_k, max_position_embeddings=args.length,
        output_router_logits=True, router_aux_loss_coef=0.001,
    )
    tokens_per_step = args.microbatches * args.sequences * args.length
    results = {}
    for experts in args.experts:
        torch.manual_seed(1)
        model = MixtralForCausalLM(MixtralConfig(**config, experts_implementation=experts))
        if getattr(model.config, "_experts_implementation", experts) != experts:
            raise SystemExit(
                f"this transformers runs '{model.config._experts_implementation}' where '{experts}' was asked for"
            )
        model.train()
        decays = [w for w in model.parameters() if w.dim() > 1]
        others = [w for w in model.parameters() if w.dim() == 1]
        optimizer = torch.optim.AdamW(
            [{"params": decays, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
            lr=3e-4, betas=(0.9, 0.95), fused=True,
        )
        data = torch.randint(0, args.vocab, (args.microbatches, args.sequences, args.length + 1))
        seconds, cpu = [], []
        for step in range(args.steps + 2):
            start, cpu_start = time.perf_counter(), time.process_time()
            for microbatch in data:
                ids = microbatch[:, :-1]
                with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
                    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
                loss.div(args.microbatches).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
            if step >= 2:
                seconds.append(time.perf_counter() - start)
                cpu.append(time.process_time() - cpu_start)
        median = statistics.median(seconds)
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results[experts] = {
            "tokens_per_s": round(tokens_per_step / median, 1),
            "median_s": round(median, 4),
            "min_s": round(min(seconds), 4),
            "max_s": round(max(seconds), 4),
            "median_cpu_s": round(statistics.median(cpu), 4),
            "tokens_per_cpu_s": round(tokens_per_step / statistics.median(cpu), 1),
            "peak_rss_mib": round(peak_kib / 1024),
        }
    import transformers

    print(json.dumps({
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "threads": args.threads,
        "precision": args.precision,
        "tokens_per_step": tokens_per_step,
        "experts": results,
    }))


if __name__ == "__main__":
    main()

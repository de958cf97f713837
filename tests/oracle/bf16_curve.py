#!/usr/bin/env python3
"""50 steps in bf16: this runtime's losses stay as near to those of fp32 as transformers' do under bf16 autocast,
from the same weights on the same tokens.

    bf16_curve.py PROGRAM

Where the rounding sends a token to another expert, two right curves part a little, and which step that happens in is
chance: so curves are compared by their mean distance over several starts, not step by step. On the way: the same bits
on three workers, and whatever is recomputed.
"""
import os
import sys
import tempfile

import oracle
import training

STARTS = (3, 4)


def mean_distance(curve, exact):
    return sum(abs(a - b) / b for a, b in zip(curve, exact, strict=True)) / len(exact)


def distances(runtime, name, seed, work, wrong):
    """Ours and transformers' from transformers in fp32."""
    directory, schedule = os.path.join(work, "model"), training.SCHEDULES[name]
    oracle.save(training.make_model(name, seed), directory, ())
    training.write_data(work)
    alone = training.train(runtime, directory, work, [1], schedule, precision="bf16")
    for groups, recompute in (([2, 1], "experts"), ([1], "full")):
        if training.train(runtime, directory, work, groups, schedule, precision="bf16",
                          recompute=recompute)["digest"] != alone["digest"]:
            wrong.append(f"seed {seed}: groups {groups}, recompute {recompute}: other bits")
    exact, theirs = (training.train_with_transformers(training.make_model(name, seed), alone["samples"], schedule,
                                                      autocast) for autocast in (False, True))
    ours = mean_distance(alone["losses"], exact), mean_distance(theirs, exact)
    print(f"    seed {seed}: loss {exact[0]:.4f} -> {exact[-1]:.4f} in fp32, {alone['losses'][-1]:.4f} here in bf16, "
          f"{theirs[-1]:.4f} under autocast; mean distance {ours[0]:.1e} here, {ours[1]:.1e}")
    return ours


def main():
    runtime, failed = oracle.Runtime(sys.argv[1]), 0
    for name in training.MODELS:
        wrong, sums = [], [0.0, 0.0]
        for seed in STARTS:
            with tempfile.TemporaryDirectory() as work:
                sums = [a + b for a, b in zip(sums, distances(runtime, name, seed, work, wrong), strict=True)]
        if not sums[0] <= 1.5 * sums[1]:
            wrong.append(f"bf16 is {sums[0] / len(STARTS):.1e} away from fp32, "
                         f"transformers' autocast {sums[1] / len(STARTS):.1e}")
        print(f"{'FAILED' if wrong else 'good'}: {name}" + "".join("\n    " + w for w in wrong), flush=True)
        failed += bool(wrong)
    runtime.close()
    return 1 if failed else 0


sys.exit(main())

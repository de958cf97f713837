#!/usr/bin/env python3
"""The program in docs/job-file.md that says how samples are ordered says the same as `regroup data show`.

    sample_order.py REGROUP docs/job-file.md
"""
import json
import os
import re
import subprocess
import sys
import tempfile

regroup, page = (os.path.abspath(path) for path in sys.argv[1:3])
with open(page, encoding="utf-8") as file:
    program = re.search(r"```python\n(def mix.*?)```", file.read(), re.DOTALL).group(1)
documented = {}
exec(program, documented)  # pylint: disable=exec-used

LENGTH, SEED, WEIGHTS = 8, 2**63 + 11, (5, 0.7, 2, 1)
JOB = """
name: order
seed: {seed}
model: {{vocab_size: 257, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2,
         num_local_experts: 2, num_experts_per_tok: 1}}
data: [{data}]
steps: 1000
microbatches: 4
sequences_per_microbatch: 3
sequence_length: {length}
"""


def run(*arguments):
    return subprocess.run([regroup, "data", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def write(name, text):
    with open(name, "w", encoding="ascii") as out:
        out.write(text)


def compare(sample, arguments, sizes, weights, seed):
    shown = json.loads(run("show", *arguments, "--sample", str(sample), "--json"))
    number, epoch, sequence = documented["place"](sample, sizes, weights, seed)
    expected = (f"set{number}", epoch, sequence, sequence * LENGTH)
    found = (os.path.basename(shown["prefix"]), shown["data_epoch"], shown["sequence"], shown["first_token"])
    assert found == expected, f"sample {sample}: the page says {expected}, the program {found}"
    text = texts[number][sequence * LENGTH:(sequence + 1) * LENGTH + 1]
    assert shown["tokens"][:len(text)] == [ord(c) for c in text], shown
    assert "".join(shown["texts"]) == text, shown
    return shown


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    texts, counts = [], []
    for i in range(len(WEIGHTS)):
        texts.append(f"{'abcd'[i]}" + " ".join(str(k * k) for k in range(150 + 400 * i)))
        write(f"{i}.txt", texts[i])
        made = json.loads(run("prepare", f"{i}.txt", "--out", f"set{i}", "--json"))
        counts.append((made["num_tokens"] - 1) // LENGTH)
    items = ", ".join(f"{{path: set{i}, weight: {weight}}}" for i, weight in enumerate(WEIGHTS))
    write("job.yaml", JOB.format(seed=SEED, data=items, length=LENGTH))
    for at in [*range(20), counts[0] * 10 // 6, 12345, 10**9 + 7, 2**40 + 1]:
        one = compare(at, ["job.yaml"], counts, WEIGHTS, SEED)
        assert ((one["step"] - 1) * 4 + one["microbatch"]) * 3 + one["sequence_of_microbatch"] == at, one
    for at in (0, 1, counts[0], 5 * counts[0] + 3):
        compare(at, ["set0", "--seed", "9", "--sequence-length", str(LENGTH)], counts[:1], [1], 9)

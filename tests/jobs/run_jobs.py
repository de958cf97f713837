#!/usr/bin/env python3
"""End to end: real etcd, coordinators, agents and workers train a small job in many layouts and under many disturbances; the weights must always be the same bits.

    run_jobs.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')

What a scenario is compared with is the digest of the same job on one undisturbed worker, computed once in DIR.
"""
import argparse
import fcntl
import json
import os
import random
import re
import shutil
import subprocess
import sys

JOB = """name: jobs-test
seed: 11
data: {data}
model:
  vocab_size: 260
  hidden_size: 64
  intermediate_size: 96
  num_hidden_layers: 2
  num_attention_heads: 4
  num_key_value_heads: 2
  num_local_experts: 8
  num_experts_per_tok: 2
  expert_slices: {slices}
steps: {steps}
microbatches: 8
chains: 8
sequences_per_microbatch: 2
sequence_length: 64
optimizer: {{learning_rate: {learning_rate}, warmup_steps: 4}}
elastic: {{min_nodes: {min_nodes}, max_groups: {groups}}}
snapshots: {{every_steps: {snapshot_every}, checkpoint_every_steps: {checkpoint_every}}}
heartbeat_ms: {heartbeat_ms}
{more}
"""

# nodes, groups, steps, slices (of an expert: bits of their own): of the run. events: as in an events file. lost: how many steps may be computed again (None: any). sources: one of them must occur
# among the regroups' sources. causes: each must occur; never: none of these may.
LAYOUTS = {f"layout-{n}-nodes-{g}-groups": dict(nodes=n, groups=g, steps=8) for n, g in ((2, 1), (3, 1), (4, 1), (7, 1), (2, 2), (3, 2), (4, 2), (7, 2), (4, 4))}
LONG = 40
GAVE_UP = "the job failed: the gradients of 10 steps in a row, 2 to 11, were not finite"
DISTURBED = {
    "kill-worker": dict(nodes=4, groups=2, events=[dict(at_step=10, do="kill-worker", node="node-2")], lost=0, sources=["live"], causes=["worker_lost"]),
    "kill-node": dict(nodes=4, groups=2, events=[dict(at_step=10, do="kill-node", node="node-3")], lost=0, sources=["live"]),
    "kill-node-then-join": dict(nodes=3, groups=2, events=[dict(at_step=6, do="kill-node", node="node-1"), dict(at_step=8, do="join")], lost=0, causes=["join"], steps=120),
    "join-from-one-node": dict(nodes=1, groups=2, events=[dict(at_step=5, do="join")], lost=0, causes=["join"], steps=120),
    "stopped-worker": dict(nodes=4, groups=2, events=[dict(at_step=10, do="stop-worker", node="node-2")], lost=0),
    "stopped-node": dict(nodes=4, groups=2, events=[dict(at_step=10, do="stop-node", node="node-2")], lost=0),
    "drain": dict(nodes=3, groups=2, events=[dict(at_step=10, do="drain", node="node-2")], lost=0, causes=["drain"]),
    "drain-in-one-group": dict(nodes=3, groups=1, events=[dict(at_step=10, do="drain", node="node-1")], lost=0, causes=["drain"]),
    "kill-worker-in-one-group": dict(nodes=3, groups=1, events=[dict(at_step=10, do="kill-worker", node="node-2")], lost=2, sources=["snapshot"]),
    "kill-node-in-one-group": dict(nodes=3, groups=1, events=[dict(at_step=10, do="kill-node", node="node-2")], lost=2, sources=["snapshot"]),
    "scale-down-and-up": dict(nodes=3, groups=2, events=[dict(at_step=8, do="scale", nodes=2), dict(at_step=20, do="scale", nodes=3)], lost=0, causes=["scale"], steps=120),
    "kill-coordinator": dict(nodes=3, groups=2, coordinators=2, events=[dict(at_step=8, do="kill-coordinator"), dict(at_step=10, do="kill-worker", node="node-2")], lost=0, steps=80),
    "stop-etcd": dict(nodes=3, groups=2, events=[dict(at_step=8, do="stop-etcd", seconds=4)], lost=0, causes=["start"], steps=80),
    "frozen-etcd-wakes-with-every-lease-expired": dict(nodes=3, groups=2, events=[dict(at_step=8, do="freeze-etcd", seconds=6)], lost=0, steps=80),
    "second-failure-at-once": dict(nodes=4, groups=2, events=[dict(at_step=10, do="kill-worker", node="node-2"), dict(at_step=10, do="kill-worker", node="node-3")], lost=None),
    "second-failure-in-the-middle-of-a-regroup": dict(nodes=4, groups=2, events=[dict(at_step=10, do="kill-worker", node="node-2"), dict(at_step=10, at_epoch=2, do="kill-node", node="node-3")], lost=None),
    "joiner-dies-in-the-middle-of-its-regroup": dict(nodes=3, groups=2, events=[dict(at_step=5, do="join"), dict(at_step=5, at_epoch=2, do="kill-node", node="node-4")], lost=0, steps=120),
    "all-nodes-of-one-group-die": dict(nodes=4, groups=2, events=[dict(at_step=10, do="kill-node", node="node-1"), dict(at_step=10, do="kill-node", node="node-2")], lost=0, sources=["live"],
                                       never=["node_lost"]),   # known by their connections, not by their leases
    "a-wait-for-a-plan-is-no-hang": dict(nodes=3, groups=2, heartbeat_ms=100, lost=0, causes=["worker_lost"], never=["hang"], events=[
        dict(at_step=10, do="stop-etcd", seconds=8), dict(at_step=10, do="kill-worker", node="node-2")]),
    "everybody-dies-and-a-newcomer-alone-goes-on-from-the-checkpoint": dict(nodes=2, groups=2, checkpoint_every=5, lost=None, sources=["checkpoint"], events=[
        dict(at_step=12, do="kill-node", node="node-1"), dict(at_step=12, do="kill-node", node="node-2"), dict(at_step=12, do="join", node="node-9")]),
    # 30 forwards against the 8 of a step: what happens at step 10 happens in the middle of its validation.
    "validation-on-7-nodes": dict(nodes=7, groups=2, validate_every=4, steps=10),
    "kill-worker-in-the-middle-of-a-validation": dict(nodes=4, groups=2, validate_every=5, events=[dict(at_step=10, do="kill-worker", node="node-2")], lost=0),
    "kill-worker-of-one-group-in-the-middle-of-a-validation": dict(nodes=3, groups=1, validate_every=5, events=[dict(at_step=10, do="kill-worker", node="node-2")], lost=2, sources=["snapshot"]),
    # The rate overflows while it warms up; every step after that is bad, and the tenth in a row is the job's last, whoever is there.
    "kill-worker-among-bad-steps": dict(nodes=3, groups=2, learning_rate=1e38, fails=GAVE_UP, events=[dict(at_step=6, do="kill-worker", node="node-2")], lost=0),
    "everybody-restarts-among-bad-steps": dict(nodes=3, groups=2, learning_rate=1e38, fails=GAVE_UP, checkpoint_every=4, events=[dict(at_step=7, do="restart-all", nodes=2)], lost=None, sources=["checkpoint"]),
    "restart-all-with-another-number": dict(nodes=4, groups=2, checkpoint_every=5, events=[dict(at_step=18, do="restart-all", nodes=3)], lost=None, sources=["checkpoint"]),
    "experts-in-slices": dict(nodes=5, groups=2, slices=4, checkpoint_every=5, lost=None, sources=["checkpoint"], causes=["worker_lost"], events=[
        dict(at_step=8, do="kill-worker", node="node-2"), dict(at_step=18, do="restart-all", nodes=3)]),
    # What is kept and what is computed again differ from plain fp32 in every kernel; a document is a line here, so that a sequence holds several.
    "bf16-recomputed-within-documents": dict(nodes=4, groups=2, data="lines", keys=("precision: bf16", "recompute: full", "separate_documents: true"), checkpoint_every=5, lost=None, sources=["checkpoint"],
                                             causes=["worker_lost"], events=[dict(at_step=8, do="kill-worker", node="node-2"), dict(at_step=18, do="restart-all", nodes=3)]),
}


def chaos(seed):
    """Whatever may happen, at random steps, several things at one step now and then; at least two nodes are left alone at any time."""
    choose = random.Random(seed)
    alive, next_node, step, events = [f"node-{i}" for i in range(1, 6)], 6, 5, []
    while step < 130:
        kinds = ["kill-worker", "stop-worker", "kill-coordinator"] + ["join"] * 2
        if len(alive) > 3:
            kinds += ["kill-node", "kill-node", "stop-node", "drain"]
        if choose.random() < 0.1:
            kinds = ["stop-etcd", "freeze-etcd"]
        kind = choose.choice(kinds)
        event = dict(at_step=step, do=kind)
        if kind == "join":
            event["node"] = f"node-{next_node}"
            alive.append(event["node"])
            next_node += 1
        elif kind in ("stop-etcd", "freeze-etcd"):
            event["seconds"] = choose.choice([1, 2, 5])
        elif kind != "kill-coordinator":
            event["node"] = choose.choice(alive[1:])
            if kind not in ("kill-worker", "stop-worker"):
                alive.remove(event["node"])
        events.append(event)
        step += choose.choice([0, 1, 3, 8, 15])
    return dict(nodes=5, groups=choose.choice([1, 2, 2, 4]), coordinators=2, checkpoint_every=20, steps=150, events=events, lost=None)


CHAOS = {f"chaos-{seed}": chaos(seed) for seed in range(1, 13)}
SCENARIOS = {**LAYOUTS, **DISTURBED, **CHAOS}


def write_text(path, seed):
    words = "in the beginning was a small model that learned to spell from few words and many repetitions of them".split()
    choose = random.Random(seed)
    with open(path, "w", encoding="ascii") as file:
        for _ in range(3000):
            file.write(" ".join(choose.choice(words) for _ in range(9)) + ".\n")


class Runner:
    def __init__(self, programs, work):
        self.regroup = os.path.join(programs, "regroup")
        self.work = work
        os.makedirs(work, exist_ok=True)

    def prepare(self):
        with open(os.path.join(self.work, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name, seed, form in (("text-validation", 6, "text"), ("text", 5, "text"), ("lines", 5, "lines")):
                if not os.path.exists(os.path.join(self.work, name + ".sums")):
                    write_text(os.path.join(self.work, name + ".txt"), seed)
                    subprocess.run([self.regroup, "data", "prepare", os.path.join(self.work, name + ".txt"), "--format", form, "--out", os.path.join(self.work, name)], check=True)

    def run(self, name, nodes=1, groups=2, steps=LONG, coordinators=1, events=(), min_nodes=1, snapshot_every=1, checkpoint_every=0, heartbeat_ms=200, slices=1, learning_rate=0.003, validate_every=0, data="text", keys=(), fails="", **_):
        directory = os.path.join(self.work, name)
        shutil.rmtree(directory, ignore_errors=True)
        job, happenings, summary = (os.path.join(self.work, name + end) for end in (".yaml", ".events", ".summary.json"))
        with open(job, "w", encoding="ascii") as file:
            file.write(JOB.format(steps=steps, groups=groups, min_nodes=min_nodes, snapshot_every=snapshot_every, checkpoint_every=checkpoint_every, heartbeat_ms=heartbeat_ms, slices=slices, learning_rate=learning_rate,
                                  data=data, more="\n".join([*keys, *([f"validation: {{interval: {validate_every}, microbatches: 30}}"] if validate_every else [])])))
        with open(happenings, "w", encoding="ascii") as file:
            json.dump(list(events), file)   # YAML holds JSON
        if os.path.exists(summary):
            os.remove(summary)
        command = [self.regroup, "local", job, "--nodes", str(nodes), "--coordinators", str(coordinators), "--dir", directory, "--events", happenings, "--summary", summary]
        status = subprocess.call(command, stdin=subprocess.DEVNULL)
        if status != (1 if fails else 0):
            raise AssertionError(f"{name}: regroup local ended with status {status}; logs in {directory}")
        with open(summary, encoding="utf-8") as file:
            result = json.load(file)
        shutil.rmtree(directory, ignore_errors=True)
        return result

    def baseline(self, steps, fails="", **job):
        name = f"undisturbed-{steps}" + "".join("-" + re.sub(r"[^\w.+-]+", "-", f"{key}-{value}").strip("-") for key, value in job.items())
        path = os.path.join(self.work, name + ".json")
        with open(path + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            newest = max(os.path.getmtime(os.path.join(os.path.dirname(self.regroup), program)) for program in ("regroup", "regroup-worker", "regroup-agent"))
            if not os.path.exists(path) or os.path.getmtime(path) < newest:
                result = self.run(name, nodes=1, groups=2, steps=steps, fails=fails, **job)
                with open(path + ".new", "w", encoding="ascii") as file:
                    json.dump(result, file)
                os.rename(path + ".new", path)
            with open(path, encoding="ascii") as file:
                return json.load(file)


def check(name, scenario, result, baseline):
    wrong = []
    if result["weights_sha256"] != baseline["weights_sha256"]:
        wrong.append(f"weights {result['weights_sha256']} differ from those of the undisturbed run, {baseline['weights_sha256']}")
    if result["loss"] != baseline["loss"]:
        wrong.append("the losses differ from those of the undisturbed run")
    if result["validation"] != baseline["validation"] or bool(result["validation"]) != bool(scenario.get("validate_every")):
        wrong.append(f"validations {result['validation']} differ from those of the undisturbed run, {baseline['validation']}")
    if result["bad_steps"] != baseline["bad_steps"]:
        wrong.append(f"bad steps {result['bad_steps']} differ from those of the undisturbed run, {baseline['bad_steps']}")
    if scenario.get("fails", "") not in result["error"] or bool(result["error"]) != bool(scenario.get("fails")):
        wrong.append(f"it ended with '{result['error']}'")
    if result["final_step"] != scenario.get("steps", LONG) and not scenario.get("fails"):
        wrong.append(f"it ended at step {result['final_step']}")
    allowed = scenario.get("lost", 0)
    if allowed is not None and result["steps_lost"] > allowed:
        wrong.append(f"{result['steps_lost']} steps were lost, at most {allowed} may be")
    sources = "+".join(r["source"] for r in result["regroups"])
    if scenario.get("sources") and not any(source in sources for source in scenario["sources"]):
        wrong.append(f"state came from {sources}, expected one of {scenario['sources']}")
    causes = [r["cause"] for r in result["regroups"]]
    for cause in scenario.get("causes", ()):
        if cause not in causes:
            wrong.append(f"no regroup had the cause {cause}, only {causes}")
    for cause in scenario.get("never", ()):
        if cause in causes:
            wrong.append(f"a regroup had the cause {cause}")
    if not scenario.get("fails") and not result["loss"][-1] < result["loss"][0]:
        wrong.append("the loss did not fall")
    if "chaos" not in name and len(result["events"]) != len(scenario.get("events", ())):
        wrong.append(f"only {len(result['events'])} events happened before the run was over")
    if wrong:
        raise AssertionError(f"{name}: " + "; ".join(wrong))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("scenario", nargs="+")
    options = parser.parse_args()
    if options.scenario == ["list"]:   # for CMake: names, the long ones marked
        print("\n".join(name + ("!" if name in CHAOS and name not in ("chaos-1", "chaos-2") else "") for name in SCENARIOS))
        return 0
    runner = Runner(options.programs, options.work)
    failed = 0
    for name in SCENARIOS if options.scenario == ["all"] else options.scenario:
        scenario = SCENARIOS[name]
        try:
            runner.prepare()
            baseline = runner.baseline(scenario.get("steps", LONG), **{key: scenario[key] for key in ("slices", "learning_rate", "validate_every", "data", "keys", "fails") if key in scenario})
            check(name, scenario, runner.run(name, **scenario), baseline)
            print(f"{name}: good", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAILED {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

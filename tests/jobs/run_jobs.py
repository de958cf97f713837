#!/usr/bin/env python3
"""End to end: real etcd, coordinators, agents and workers train a small job in many layouts and under many
disturbances; the weights must always be the same bits.

    run_jobs.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')

What a scenario is compared with is the digest of the same job on one undisturbed worker, computed once in DIR.
"""
import argparse
import random
import sys
from typing import Any

from jobs import Runner, Scenario, violations


def at(step: int, do: str, node: int | None = None, **more: Any) -> dict[str, Any]:
    """A line of an events file."""
    return dict(at_step=step, do=do, **({} if node is None else {"node": f"node-{node}"}), **more)


SHAPES = ((2, 1), (3, 1), (4, 1), (7, 1), (2, 2), (3, 2), (4, 2), (7, 2), (4, 4))
LAYOUTS = {f"layout-{n}-nodes-{g}-groups": dict(nodes=n, groups=g, steps=8) for n, g in SHAPES}
GAVE_UP = "the job failed: the gradients of 10 steps in a row, 2 to 11, were not finite"
BF16 = dict(precision="bf16", recompute="full", separate_documents=True)
# Keys: jobs.Scenario. No step may be computed again where a scenario does not say how many.
DISTURBED = {
    "kill-worker": dict(nodes=4, groups=2, events=[at(10, "kill-worker", 2)], sources=["live"], causes=["worker_lost"]),
    "kill-node": dict(nodes=4, groups=2, events=[at(10, "kill-node", 3)], sources=["live"]),
    "kill-node-then-join": dict(nodes=3, events=[at(6, "kill-node", 1), at(8, "join")], causes=["join"], steps=120),
    "join-from-one-node": dict(nodes=1, groups=2, events=[at(5, "join")], causes=["join"], steps=120),
    "stopped-worker": dict(nodes=4, groups=2, events=[at(10, "stop-worker", 2)]),
    "stopped-node": dict(nodes=4, groups=2, events=[at(10, "stop-node", 2)]),
    "drain": dict(nodes=3, groups=2, events=[at(10, "drain", 2)], causes=["drain"]),
    "drain-in-one-group": dict(nodes=3, groups=1, events=[at(10, "drain", 1)], causes=["drain"]),
    "kill-worker-in-one-group": dict(
        nodes=3, groups=1, events=[at(10, "kill-worker", 2)], lost=2, sources=["snapshot"]),
    "kill-node-in-one-group": dict(nodes=3, groups=1, events=[at(10, "kill-node", 2)], lost=2, sources=["snapshot"]),
    "scale-down-and-up": dict(
        nodes=3, groups=2, events=[at(8, "scale", nodes=2), at(20, "scale", nodes=3)], causes=["scale"], steps=120),
    "kill-coordinator": dict(
        nodes=3, groups=2, coordinators=2, events=[at(8, "kill-coordinator"), at(10, "kill-worker", 2)], steps=80),
    "stop-etcd": dict(nodes=3, groups=2, events=[at(8, "stop-etcd", seconds=4)], causes=["start"], steps=80),
    "frozen-etcd-wakes-with-every-lease-expired": dict(
        nodes=3, groups=2, events=[at(8, "freeze-etcd", seconds=6)], steps=80),
    "second-failure-at-once": dict(
        nodes=4, groups=2, events=[at(10, "kill-worker", 2), at(10, "kill-worker", 3)], lost=None),
    "second-failure-in-the-middle-of-a-regroup": dict(
        nodes=4, groups=2, events=[at(10, "kill-worker", 2), at(10, "kill-node", 3, at_epoch=2)], lost=None),
    "joiner-dies-in-the-middle-of-its-regroup": dict(
        nodes=3, groups=2, events=[at(5, "join"), at(5, "kill-node", 4, at_epoch=2)], steps=120),
    # Known by their connections, not by their leases.
    "all-nodes-of-one-group-die": dict(
        nodes=4, groups=2, events=[at(10, "kill-node", 1), at(10, "kill-node", 2)], sources=["live"],
        never=["node_lost"]),
    "a-wait-for-a-plan-is-no-hang": dict(
        nodes=3, groups=2, heartbeat_ms=100, events=[at(10, "stop-etcd", seconds=8), at(10, "kill-worker", 2)],
        causes=["worker_lost"], never=["hang"]),
    "everybody-dies-and-a-newcomer-alone-goes-on-from-the-checkpoint": dict(
        nodes=2, groups=2, checkpoint_every=5, lost=None, sources=["checkpoint"],
        events=[at(12, "kill-node", 1), at(12, "kill-node", 2), at(12, "join", 9)]),
    # 30 forwards against the 8 of a step: what happens at step 10 happens in the middle of its validation.
    "validation-on-7-nodes": dict(nodes=7, groups=2, validate_every=4, steps=10),
    "kill-worker-in-the-middle-of-a-validation": dict(
        nodes=4, groups=2, validate_every=5, events=[at(10, "kill-worker", 2)]),
    "kill-worker-of-one-group-in-the-middle-of-a-validation": dict(
        nodes=3, groups=1, validate_every=5, events=[at(10, "kill-worker", 2)], lost=2, sources=["snapshot"]),
    # The rate overflows while it warms up; every step after that is bad, and the tenth in a row is the job's last,
    # whoever is there.
    "kill-worker-among-bad-steps": dict(
        nodes=3, groups=2, learning_rate=1e38, fails=GAVE_UP, events=[at(6, "kill-worker", 2)]),
    "everybody-restarts-among-bad-steps": dict(
        nodes=3, groups=2, learning_rate=1e38, fails=GAVE_UP, checkpoint_every=4,
        events=[at(7, "restart-all", nodes=2)], lost=None, sources=["checkpoint"]),
    "restart-all-with-another-number": dict(
        nodes=4, groups=2, checkpoint_every=5, events=[at(18, "restart-all", nodes=3)], lost=None,
        sources=["checkpoint"]),
    # The bits of a job in slices are others than those of one without.
    "experts-in-slices": dict(
        nodes=5, groups=2, slices=4, checkpoint_every=5, lost=None, sources=["checkpoint"], causes=["worker_lost"],
        events=[at(8, "kill-worker", 2), at(18, "restart-all", nodes=3)]),
    # What is kept and what is computed again differ from plain fp32 in every kernel; a document is a line here, so that
    # a sequence holds several.
    "bf16-recomputed-within-documents": dict(
        nodes=4, groups=2, data="lines", more=BF16, checkpoint_every=5, lost=None, sources=["checkpoint"],
        causes=["worker_lost"], events=[at(8, "kill-worker", 2), at(18, "restart-all", nodes=3)]),
}


def chaos(seed: int) -> dict[str, Any]:
    """Whatever may happen, at random steps, several things at one step now and then; at least two nodes are left alone
    at any time."""
    choose = random.Random(seed)
    alive, next_node, step, events = list(range(1, 6)), 6, 5, []
    while step < 130:
        kinds = ["kill-worker", "stop-worker", "kill-coordinator"] + ["join"] * 2
        if len(alive) > 3:
            kinds += ["kill-node", "kill-node", "stop-node", "drain"]
        if choose.random() < 0.1:
            kinds = ["stop-etcd", "freeze-etcd"]
        kind = choose.choice(kinds)
        event = at(step, kind)
        if kind == "join":
            event = at(step, kind, next_node)
            alive.append(next_node)
            next_node += 1
        elif kind in ("stop-etcd", "freeze-etcd"):
            event = at(step, kind, seconds=choose.choice([1, 2, 5]))
        elif kind != "kill-coordinator":
            node = choose.choice(alive[1:])
            event = at(step, kind, node)
            if kind not in ("kill-worker", "stop-worker"):
                alive.remove(node)
        events.append(event)
        step += choose.choice([0, 1, 3, 8, 15])
    return dict(nodes=5, groups=choose.choice([1, 2, 2, 4]), coordinators=2, checkpoint_every=20, steps=150,
                events=events, all_events=False, lost=None)


CHAOS = {f"chaos-{seed}": chaos(seed) for seed in range(1, 13)}
LONG = set(CHAOS) - {"chaos-1", "chaos-2"}
SCENARIOS = {name: Scenario.of(name, **keys) for name, keys in {**LAYOUTS, **DISTURBED, **CHAOS}.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("scenario", nargs="+")
    options = parser.parse_args()
    if options.scenario == ["list"]:   # for CMake: names, the long ones marked
        print("\n".join(name + ("!" if name in LONG else "") for name in SCENARIOS))
        return 0
    runner = Runner(options.programs, options.work)
    failed = 0
    for name in SCENARIOS if options.scenario == ["all"] else options.scenario:
        scenario = SCENARIOS[name]
        try:
            runner.prepare()
            baseline = runner.baseline(scenario)
            wrong = list(violations(scenario, runner.run(name, scenario), baseline))
            if wrong:
                raise AssertionError(f"{name}: " + "; ".join(wrong))
            print(f"{name}: good", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAILED {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

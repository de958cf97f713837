#!/usr/bin/env python3
"""What once made healthy nodes wait for ever: an error that was told to nobody. Each job goes on by itself, and ends
with the bits of an undisturbed run.

    standing_still.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')

Listens on 127.0.0.1 only. A scenario that this machine does not permit (connections reset by `ss -K`) says so and
counts as skipped.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from cluster import check, Cluster, eventually, fetch, main, Skip, World

NODES = ("n1", "n2", "n3")


def cluster_of(world: World, name: str, *more: str) -> Cluster:
    """etcd, a coordinator and three agents; etcd answers."""
    cluster = Cluster(world, name)
    cluster.start_etcd()
    cluster.coordinator("c1")
    for node in NODES:
        cluster.agent(node, *more)
    for name in NODES:
        eventually("etcd answers", lambda: fetch(cluster.ports[name], "/healthz")[0] == 200)
    return cluster


def step(cluster: Cluster) -> int:
    return max((line["step"] for node in NODES for line in cluster.events(node, "committed")), default=0)


def pid_of(cluster: Cluster, node: str) -> int:
    return cluster.events(node, "worker_started")[-1]["pid"]


def trains(cluster: Cluster, node: str) -> bool:
    return any(line["state"] == "training" for line in cluster.events(node, "state"))


def plans(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """As they were decided."""
    return (line for line in cluster.events("n1", "plan"))


def ends_well(world: World, cluster: Cluster, steps: int) -> None:
    eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 120)
    check(cluster.job()["weights_sha256"] == world.digest(steps), "other bits")


def lost_before_a_commit(world: World) -> None:
    """One group, and a worker dies before anything was committed: what it held is initial weights."""
    with cluster_of(world, "lost-before") as cluster:
        cluster.cli("submit", world.job("lost-before", steps=60, elastic=dict(max_groups=1)))
        eventually("the members hold their state", lambda: trains(cluster, "n1"))
        os.kill(pid_of(cluster, "n2"), signal.SIGKILL)
        ends_well(world, cluster, 60)


def frozen_at_the_first_plan(world: World) -> None:
    """A member that nobody was ever connected to is named, and the others begin without it."""
    with cluster_of(world, "frozen-first") as cluster:
        os.kill(cluster.processes["c1"].pid, signal.SIGSTOP)
        cluster.cli("submit", world.job("frozen-first", steps=60))
        os.kill(cluster.processes["c1"].pid, signal.SIGCONT)
        eventually("assigned", lambda: cluster.etcdctl("get", "--prefix", "--keys-only", "/regroup/default/assignments")
                   .count("assignments") == 3)
        os.kill(cluster.processes["c1"].pid, signal.SIGSTOP)
        for node in NODES:
            eventually("ready", lambda: cluster.events(node, "worker_ready"))
        os.kill(pid_of(cluster, "n3"), signal.SIGSTOP)
        os.kill(cluster.processes["c1"].pid, signal.SIGCONT)
        eventually("the others train", lambda: step(cluster) > 3)
        check(any("unreachable" in plan["reason"] or "silence" in plan["reason"] for plan in plans(cluster)),
              "nobody was named:", [plan["reason"] for plan in plans(cluster)])
        ends_well(world, cluster, 60)


def connection_reset(world: World) -> None:
    """A connection between two healthy workers is reset once: nobody is lost, the same workers go on."""
    with cluster_of(world, "reset", "--address", "127.0.0.1") as cluster:
        cluster.cli("submit", world.job("reset", steps=300))
        eventually("step 20", lambda: step(cluster) >= 20)
        ours = _connections(pid_of(cluster, "n1"))
        theirs = {(there, here) for here, there in _connections(pid_of(cluster, "n2"))}
        here, there = next(pair for pair in ours if pair in theirs)
        killed = subprocess.run(["ss", "-K", "-tn", "src", here, "dst", there], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, check=False).stdout
        if here not in killed:
            raise Skip("`ss -K` resets no connection here")
        at = step(cluster)
        eventually("it goes on", lambda: step(cluster) > at + 5)
        ends_well(world, cluster, 300)
        check([plan["cause"] for plan in plans(cluster) if plan["cause"] not in ("load", "balance")] ==
              ["start", "retry"], "other plans:", [plan["reason"] for plan in plans(cluster)])
        check(not any(cluster.events(node, "worker_exited")[:-1] for node in NODES), "a worker was ended")


def _connections(pid: int) -> list[tuple[str, str]]:
    lines = subprocess.run(["ss", "-tnp"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [(words[3], words[4]) for words in map(str.split, lines) if f"pid={pid}," in words[-1]]


def frozen_below_min_nodes(world: World) -> None:
    """No plan can do without a worker that is stopped for 3 s; when it speaks again, the job goes on with it."""
    with cluster_of(world, "min-nodes") as cluster:
        cluster.cli("submit", world.job("min-nodes", steps=300, elastic=dict(min_nodes=3)))
        eventually("step 20", lambda: step(cluster) >= 20)
        worker = pid_of(cluster, "n2")
        os.kill(worker, signal.SIGSTOP)
        stopped = time.monotonic()
        eventually("the job says that it waits", lambda: "the job needs at least 3" in cluster.job().get("reason", ""))
        eventually("3 s have passed", lambda: time.monotonic() - stopped > 3)
        os.kill(worker, signal.SIGCONT)
        at = step(cluster)
        eventually("it goes on", lambda: step(cluster) > at + 5, 20)
        check(pid_of(cluster, "n2") == worker, "another worker took its place")
        ends_well(world, cluster, 300)


def storage_away(world: World) -> None:
    """The checkpoints are away when the nodes come back, and return while the members wait for them."""
    place = world.fresh("storage-away-checkpoints")
    away = place + ".away"
    with cluster_of(world, "storage-away") as cluster:
        cluster.cli("submit", world.job("storage-away", steps=100,
                                        snapshots=dict(every_steps=1, checkpoint_every_steps=10, dir=place)))
        eventually("two checkpoints", lambda: cluster.etcdctl(
            "get", "--prefix", "--keys-only", "/regroup/default/jobs/jobs-test/checkpoints").count("checkpoints/") >= 2)
        for node in NODES:
            cluster.processes[node].kill()
            cluster.processes[node].wait()
        os.rename(place, away)
        os.makedirs(place)
        for node in NODES:
            eventually("its lease has ended", lambda: f"nodes/{node}" not in cluster.etcdctl(
                "get", "--prefix", "--keys-only", "/regroup/default/nodes"))
            cluster.agent(node)
        eventually("the members wait", lambda: "complete source of state" in cluster.job().get("reason", ""), 60)
        os.rmdir(place)
        os.rename(away, place)
        ends_well(world, cluster, 100)


def numbers_differ(world: World) -> None:
    """A checkpoint that other numbers computed is not gone on from, and both are said; unless the job allows it."""
    place = world.fresh("numbers-differ-checkpoints")
    settings = dict(snapshots=dict(every_steps=1, dir=place), optimizer=dict(schedule="constant"))
    world.local(world.job("numbers-differ", steps=20, **settings), world.fresh("numbers-differ-1"))
    longer = dict(settings, steps=30)
    others = ("--extend", "--worker-env", "ATEN_CPU_CAPABILITY=default", "--stall-seconds", "6")
    err = world.cli("local", world.job("numbers-differ", **longer), "--dir", world.fresh("numbers-differ-2"), *others,
                    status=1)[1]
    check("was computed by workers of the fingerprint " in err and "ATEN_CPU_CAPABILITY=default" in err, err)
    allowed = world.job("numbers-differ", **longer, allow_mixed_fingerprints=True)
    world.local(allowed, world.fresh("numbers-differ-3"), *others)


def fault_of_all(world: World) -> None:
    """All members name themselves: the step is done again by all, and nobody is ended."""
    with cluster_of(world, "fault") as cluster:
        cluster.cli("submit", world.job("fault", steps=300))
        eventually("step 20", lambda: step(cluster) >= 20)
        workers = [pid_of(cluster, node) for node in NODES]
        _accuse_themselves(cluster)
        eventually("they try again", lambda: any(plan["cause"] == "retry" for plan in plans(cluster)))
        ends_well(world, cluster, 300)
        check(workers == [pid_of(cluster, node) for node in NODES], "a worker was ended")


def _accuse_themselves(cluster: Cluster) -> None:
    """As each would write it, all in one transaction."""
    plan = cluster.events("n1", "plan")[-1]
    puts = []
    for worker in plan["members"]:
        key = "/regroup/default/suspects/" + worker.replace("/", ":")
        record = dict(reporter=worker.replace("/", ":"), epoch=plan["epoch"],
                      suspicions=[dict(whom=worker, evidence="self", seen_at_ms=1)])
        puts.append(f"put {key} {json.dumps(json.dumps(record))}")
    done = subprocess.run(["etcdctl", f"--endpoints={cluster.etcd}", "txn"], input="\n" + "\n".join(puts) + "\n\n\n",
                          stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "ETCDCTL_API": "3"})
    check("SUCCESS" in done.stdout, done.stdout)


SCENARIOS: dict[str, Callable[[World], None]] = {
    re.sub("_", "-", scenario.__name__): scenario
    for scenario in (lost_before_a_commit, frozen_at_the_first_plan, connection_reset, frozen_below_min_nodes,
                     storage_away, numbers_differ, fault_of_all)
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS))

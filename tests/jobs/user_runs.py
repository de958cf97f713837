#!/usr/bin/env python3
"""What users do and rely on with a cluster that they start by hand: a morning's commands, what is scraped, a stopped
job that goes on, IPv6, experts that change places.

    user_runs.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')
"""

import glob
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys

from cluster import check, Cluster, CONSTANT, eventually, fetch, free_port, main, metric, Skip, World
from journals import committed


def by_hand(world: World) -> None:
    """A user's morning: submit, look, scale, drain, take back, stop; nobody prints anything but JSON with --json."""
    with Cluster(world, "by-hand") as cluster:
        cluster.start_etcd()
        for name in ("c1", "c2"):
            cluster.coordinator(name)
        for name in ("n1", "n2", "n3"):
            cluster.agent(name)
        eventually("all nodes are there",
                   lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200 and len(cluster.status()["nodes"]) == 3)
        path = world.job("by-hand",
                         steps=100000,
                         snapshots=dict(every_steps=1, checkpoint_every_steps=20, dir=f"{cluster.dir}/checkpoints"))
        check(json.loads(cluster.cli("submit", path, "--json")[0]) == {"job": "jobs-test", "goes_on": False})
        check("exists and is not over yet; choose another name" in cluster.cli("submit", path, status=1)[1])

        def members(count):
            eventually(f"{count} members train",
                       lambda: cluster.job().get("state") == "training" and len(cluster.job()["members"]) == count, 60)

        members(3)
        check(json.loads(cluster.cli("scale", "jobs-test", "--nodes", "2", "--json")[0])["wish"] == "scale")
        members(2)
        check("will use 3" in cluster.cli("scale", "jobs-test", "--nodes", "3")[0])
        members(3)
        cluster.cli("drain", "n2", "--json")
        members(2)
        check("drained from jobs-test" in cluster.cli("status")[0])
        check("works for no job" in cluster.cli("drain", "n2", status=1)[1])
        cluster.cli("drain", "n2", "--undo")
        members(3)
        check("is not drained" in cluster.cli("drain", "n2", "--undo", status=1)[1])
        check("no job named nope" in cluster.cli("scale", "nope", "--nodes", "2", status=1)[1])
        check("no node named nope" in cluster.cli("drain", "nope", status=1)[1])
        cluster.processes["n3"].kill()
        eventually("the loss of a node is overcome", lambda: len(cluster.job()["members"]) == 2, 30)
        scrape(cluster)
        check(json.loads(cluster.cli("stop", "jobs-test", "--json")[0])["wish"] == "stop")
        eventually("the job is stopped", lambda: cluster.job()["state"] == "stopped")
        check("is over" in cluster.cli("stop", "jobs-test", status=1)[1])
        eventually("the nodes are free", lambda: all(node["job"] is None for node in cluster.status()["nodes"]))
        check("goes on from its newest checkpoint" in cluster.cli("submit", path)[0])
        members(2)
        cluster.cli("stop", "jobs-test", "--now")
        eventually("the job is stopped at once", lambda: "at once, without saving" in cluster.job().get("reason", ""))


def scrape(cluster: Cluster) -> None:
    """Every metric that a user is promised is there and moves; promtool has nothing to say; a real Prometheus reads
    them."""
    for program in ("promtool", "prometheus"):
        check(shutil.which(program), program, "is not installed")
    agent = cluster.ports["n1"]
    leader = next(cluster.ports[name] for name in ("c1", "c2")
                  if metric(cluster.ports[name], "regroup_coordinator_leading") == 1)
    for port in (agent, leader):
        done = subprocess.run(["promtool", "check", "metrics"], input=fetch(port, "/metrics")[1],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check(done.returncode == 0 and not done.stdout, done.stdout)
        check(json.loads(fetch(port, "/status")[1]), "no status")
    check(json.loads(fetch(agent, "/status")[1])["workers"][0]["state"] == "training")
    positive = [
        "regroup_step", "regroup_steps_total", "regroup_tokens_total", "regroup_loss", "regroup_gradient_norm",
        "regroup_learning_rate", "regroup_epoch", "regroup_step_duration_seconds_count", "regroup_expert_tokens_total",
        "regroup_expert_load_max_mean_ratio", "regroup_rank_load_max_mean_ratio", "regroup_regroups_total",
        "regroup_moved_bytes_total", "regroup_snapshot_duration_seconds_count",
        "regroup_snapshot_last_success_timestamp_seconds", "regroup_checkpoint_duration_seconds_count",
        "regroup_checkpoint_last_success_timestamp_seconds", "regroup_checkpoint_last_step"]
    for name in positive:
        check((metric(agent, name) or 0) > 0, name, "of the agent is", metric(agent, name))
    for phase in ("gather", "compute", "dispatch", "reduce", "vote", "update", "snapshot"):
        check(metric(agent, "regroup_step_phase_duration_seconds_count", f'phase="{phase}"') > 0, phase)
    for phase in ("decide", "stop", "agree", "move", "first_commit", "total"):
        check(metric(agent, "regroup_regroup_duration_seconds_count", f'phase="{phase}"') > 0, phase)
    for name, labels in (("regroup_members", ""), ("regroup_step", ""), ("regroup_groups", ""),
                         ("regroup_job_plans_total", 'cause="scale"'), ("regroup_decide_duration_seconds_count", "")):
        check((metric(leader, name, labels) or 0) > 0, name, "of the coordinator is", metric(leader, name, labels))
    before = metric(agent, "regroup_step")
    eventually("the step moves", lambda: metric(agent, "regroup_step") > before)
    config, port = os.path.join(cluster.dir, "prometheus.yml"), free_port()
    with open(config, "w", encoding="ascii") as file:
        targets = [{"targets": [f"127.0.0.1:{agent}", f"127.0.0.1:{leader}"]}]
        json.dump({"global": {"scrape_interval": "1s"},
                   "scrape_configs": [{"job_name": "regroup", "static_configs": targets}]}, file)
    cluster.start("prometheus", [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={cluster.dir}/prometheus",
        f"--web.listen-address=127.0.0.1:{port}"])

    def ask(query):
        status, text = fetch(port, f"/api/v1/query?query={query}")
        return json.loads(text)["data"]["result"] if status == 200 else []  # it answers 503 while it starts

    eventually("both targets are up", lambda: [r["value"][1] for r in ask("up")] == ["1", "1"], 30)
    check(
        all(float(r["value"][1]) >= before for r in ask("regroup_step")) and len(ask("regroup_step")) == 2,
        ask("regroup_step"))


def stopped(world: World) -> None:
    """`regroup stop` between two checkpoints loses no step; the same job file goes on, on another number of nodes, to
    the same bits."""
    at = 5 + random.randrange(40)
    with Cluster(world, "stopped") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        for name in ("n1", "n2", "n3"):
            cluster.agent(name)
        eventually("all nodes are there",
                   lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200 and len(cluster.status()["nodes"]) == 3)
        path = world.job("stopped",
                         steps=120,
                         snapshots=dict(every_steps=1, checkpoint_every_steps=100, dir=f"{cluster.dir}/checkpoints"))
        cluster.cli("submit", path)
        eventually(f"step {at} is committed", lambda: max(committed(cluster.dir), default=0) >= at, 60)
        check("will save and stop" in cluster.cli("stop", "jobs-test")[0])
        eventually("the job is stopped", lambda: cluster.job()["state"] == "stopped")
        last = max(committed(cluster.dir))
        check(
            cluster.job()["step"] == last
            and cluster.job()["reason"] == f"as wished, after step {last}, whose checkpoint is written", "after", at,
            "and", last, ":", cluster.job())
        cluster.processes["n3"].kill()
        check("was stopped and goes on from its newest checkpoint" in cluster.cli("submit", path)[0])
        eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 90)
        check(cluster.job()["weights_sha256"] == world.digest(120), "other bits")
        check(
            all(len(epochs) == 1 for epochs in committed(cluster.dir).values())
            and sorted(committed(cluster.dir)) == list(range(1, 121)), "a step was computed twice, or not at all")


def ipv6(world: World) -> None:
    """Agents whose --address is an IPv6 one, with brackets or without, serve a job; so does one whose workers read
    nobody's memory."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        raise Skip(f"no IPv6 here: {error}") from error
    with Cluster(world, "ipv6") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1", "--address", "::1")
        cluster.agent("n2", "--address", "[::1]")
        cluster.agent("n3", "--address", "::1", "--no-peer-memory")
        eventually("all nodes are there", lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200
                   and len(cluster.status()["nodes"]) == 3)
        cluster.cli("submit", world.job("ipv6", steps=60))
        eventually("three members train", lambda: len(cluster.job().get("members", [])) == 3, 60)
        records = cluster.etcdctl("get", "--prefix", "", "--print-value-only")
        check(records.count('"agent_address":"tcp:[::1]:') >= 3 and records.count('"address":"tcp:[::1]:') >= 3,
              records)
        eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 90)
        check(cluster.job()["weights_sha256"] == world.digest(60), "other bits")


def uneven_routers(world: World) -> None:
    """Experts change places by what the routers send them, and the weights stay the same bits."""
    with Cluster(world, "uneven") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        for name in ("n1", "n2"):
            cluster.agent(name)
        snapshots = dict(every_steps=5, checkpoint_every_steps=20, dir=f"{cluster.dir}/checkpoints")
        elastic = dict(max_groups=1, load_gain=0.02)
        job = world.job("uneven", optimizer=CONSTANT, elastic=elastic, steps=1000000, snapshots=snapshots)
        cluster.cli("submit", job)
        eventually("two workers train",
                   lambda: cluster.job().get("state") == "training" and len(cluster.job()["members"]) == 2, 60)
        moved = eventually("experts change places",
                           lambda: [r for r in cluster.events("n1", "regrouped") if r["cause"] == "load"], 90)[0]
        reason = next(plan["reason"] for plan in cluster.events("n1", "plan") if plan["epoch"] == moved["epoch"])
        before, after = map(float, re.search(r"heaviest rank (\S+) -> (\S+) x the mean", reason).groups())
        check(after < before and moved["source"] == "live" and moved["steps_lost"] == 0, reason, moved)
        check(metric(cluster.ports["n1"], "regroup_regroups_total", 'cause="load"') == 1)
        check(metric(cluster.ports["c1"], "regroup_job_plans_total", 'cause="load"') == 1)
        check(1 <= metric(cluster.ports["n1"], "regroup_rank_load_max_mean_ratio") < before,
              "the heaviest rank is as heavy as before")

        def saved():
            return sorted(
                manifest for manifest in glob.glob(f"{cluster.dir}/checkpoints/step-*.e{moved['epoch']}/MANIFEST.json"))

        eventually("a step after that is saved", saved, 60)
        cluster.cli("stop", "jobs-test")
        eventually("the job is stopped", lambda: cluster.job()["state"] == "stopped")
        checkpoint = os.path.dirname(saved()[-1])
        steps = int(re.search(r"step-(\d+)", checkpoint).group(1))
        digest = json.loads(world.cli("checkpoint", "digest", checkpoint, "--json")[0])["weights_sha256"]
        alone, _ = world.local(world.job("uneven-alone", optimizer=CONSTANT, steps=steps), world.fresh("uneven-alone"),
                               "--nodes", "1")
        check(digest == alone["weights_sha256"], "other bits after step", steps)


SCENARIOS = {
    "by-hand": by_hand,
    "stopped": stopped,
    "ipv6": ipv6,
    "uneven-routers": uneven_routers,
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS))

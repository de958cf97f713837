#!/usr/bin/env python3
"""What users do and rely on, with the real programs: a morning by hand, an interrupted run, a trace of machines, the
summary that scripts read.

    user_runs.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')
"""

import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from cluster import check, Cluster, eventually, fetch, free_port, main, metric, Skip, World

CONSTANT = dict(schedule="constant")  # the first steps of a long job are those of a short one


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


def start_local(world: World, job: str, directory: str, *more: str) -> subprocess.Popen:
    """What it tells is in `directory`.out."""
    with open(directory + ".out", "w", encoding="utf-8") as out:
        return subprocess.Popen([world.program("regroup"), "local", job, "--dir", directory, *more],
                                stdout=out,
                                stderr=subprocess.PIPE,
                                text=True)


def journal_lines(directory: str) -> Iterator[dict[str, Any]]:
    for path in glob.glob(os.path.join(directory, "*", "journal.jsonl")):
        with open(path, encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.endswith("\n"))


def committed(directory: str) -> dict[int, set[int]]:
    """Step -> epochs in which it was."""
    steps = {}
    for line in journal_lines(directory):
        if line["event"] == "committed":
            steps.setdefault(line["step"], set()).add(line["epoch"])
    return steps


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


def interrupted(world: World) -> None:
    """Ctrl-C saves the step under way, leaves no process and no sockets, says how to go on, and going on ends with
    the same bits."""
    directory = os.path.join(world.fresh("interrupted"),
                             "deeper-than-the-path-of-a-socket-may-be-" * 3)  # so its sockets lie in /tmp
    os.makedirs(os.path.dirname(directory))
    job = world.job("interrupted", steps=120, snapshots=dict(every_steps=1, checkpoint_every_steps=50))
    process, at = start_local(world, job, directory, "--nodes", "3"), 5 + random.randrange(40)
    eventually(f"step {at} is committed", lambda: max(committed(directory), default=0) >= at, 60)
    sockets = {
        path for entry in os.listdir("/proc") if entry.isdigit() and directory in _command_line(entry)
        for path in _unix_sockets(entry) if path.startswith("/tmp/")}
    check(len(sockets) >= 3, "sockets of three agents:", sockets)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    check(process.returncode == 130, process.returncode, err)
    check(not any(os.path.exists(os.path.dirname(path)) for path in sockets), "left behind:", sockets)
    command = re.search(r"goes on from the checkpoint of step (\d+) with: regroup (.*)$", err.strip())
    check(command, err)
    check(
        int(command.group(1)) == max(committed(directory)), "stopped after", at, ": saved is step", command.group(1),
        "of", max(committed(directory)))
    left = [entry for entry in os.listdir("/proc") if entry.isdigit() and directory in _command_line(entry)]
    check(not left, "left behind:", left)
    summary = json.loads(world.cli(*re.sub(r"--nodes \d+", "--nodes 2", command.group(2)).split(), "--json")[0])
    check(summary["weights_sha256"] == world.digest(120), "other bits")
    check(all(len(epochs) == 1 for epochs in committed(directory).values()), "a step was computed twice")
    check("finished" in world.cli("local", job, "--dir", directory, status=1)[1], "a finished job begins again")
    # Where no step can end, the second Ctrl-C does not wait for one. Without a checkpoint there is nothing to go on
    # from, and it is said at once.
    directory = world.fresh("interrupted-twice")
    job = world.job("interrupted-twice", steps=100000, snapshots=dict(every_steps=5))
    process = start_local(world, job, directory, "--nodes", "3")
    eventually("a step is committed", lambda: committed(directory), 60)
    for line in journal_lines(directory):
        if line["event"] == "worker_ready":
            os.kill(line["pid"], signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    eventually("it says that it saves first",
               lambda: "once more stops at once" in open(directory + ".out", encoding="utf-8").read())
    process.send_signal(signal.SIGTERM)
    check("no checkpoint was written yet" in process.communicate(timeout=30)[1])
    err = world.cli("local", job, "--dir", directory, status=1)[1]
    check("nothing to go on from" in err, err)


def _unix_sockets(pid: str) -> list[str]:
    """Paths that a process listens on or was dialled at."""
    try:
        inodes = {os.readlink(f"/proc/{pid}/fd/{fd}")[len("socket:["):-1] for fd in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return []
    with open("/proc/net/unix", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return [row[7] for row in rows if len(row) == 8 and row[6] in inodes]


def _command_line(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


TRACE = "".join(
    f"{at},{what}\n"
    for at, what in ((600000, "add,a,b"), (660000, "add,c,d,e"), (900000, "remove,b"), (1200000, "remove,a,c"),
                     (1260000, "add,f"), (1500000, "remove,d"), (1560000, "add,b,a")))


def trace(world: World) -> None:
    """The trace takes the only two members at once. On a slow machine nobody may have joined them by then: the
    checkpoints are for that."""
    path = os.path.join(world.work, "small-trace.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write(TRACE)
    summary, _ = world.local(world.job("trace", steps=120, snapshots=dict(every_steps=1, checkpoint_every_steps=5)),
                             world.fresh("trace"), "--nodes", "3", "--trace", path, "--time-scale", "300",
                             "--coordinators", "2")
    check(summary["ok"] and summary["weights_sha256"] == world.digest(120), summary["error"], "or other bits")
    deeds = [event["deed"] for event in summary["events"]]
    check(deeds.count("kill-node") >= 2 and deeds.count("join") >= 2, deeds)


WHOLE_TRACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "traces", "g4dn.csv")


def happenings_of(trace: str, limit: int) -> tuple[int, int]:
    """How many machines are killed and how many join when at most so many run: as docs/ says of `regroup local
    --trace`."""
    running, spares, killed, joined = [], [], 0, 0
    with open(trace, encoding="ascii") as file:
        for _, what, *nodes in (line.strip().split(",") for line in file):
            for node in nodes:
                if what == "add":
                    spares.append(node)
                elif node in running:
                    running.remove(node)
                    killed += 1
                else:
                    spares.remove(node)
            while spares and len(running) < limit:
                running.append(spares.pop(0))
                joined += 1
    return killed, joined - 1  # the first is there from the beginning


def whole_trace(world: World) -> None:
    """Ten hours of real spot machines in two and a half minutes: every one of them comes and goes. However many steps
    that makes: stopped then, it holds the bits of as many undisturbed ones."""
    directory, nodes = world.fresh("whole-trace"), 6
    killed, joined = happenings_of(WHOLE_TRACE, nodes)
    job = world.job("whole-trace",
                    optimizer=CONSTANT,
                    steps=1000000,
                    snapshots=dict(every_steps=1, checkpoint_every_steps=50))
    process = start_local(world, job, directory, "--nodes", str(nodes), "--trace", WHOLE_TRACE, "--time-scale", "256",
                          "--coordinators", "2")

    def over():
        with open(directory + ".out", encoding="utf-8") as out:
            told = out.read()
        check(process.poll() is None, "it ended:", told[-1000:])
        return (len(re.findall(r"event +step \d+: kill-node", told)) == killed
                and len(re.findall(r"event +step \d+: join", told)) == joined)

    try:
        eventually(f"{killed} machines were killed and {joined} joined", over, 600)
        newest = max(committed(directory))
        eventually("steps go on after the last of them", lambda: max(committed(directory)) > newest + 5, 60)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    saved = re.search(r"goes on from the checkpoint of step (\d+) with", err)
    check(saved and int(saved.group(1)) == max(committed(directory)), err, max(committed(directory)))
    steps = int(saved.group(1))
    again = sum(len(epochs) - 1 for epochs in committed(directory).values())
    epochs = len(set.union(*committed(directory).values()))
    print(f"whole-trace: {steps} steps in {epochs} epochs, {again} of them computed again", flush=True)
    undisturbed, _ = world.local(job, world.fresh("whole-trace-undisturbed"), "--nodes", "1", "--steps", str(steps),
                                 timeout=600)
    check(undisturbed["weights_sha256"] in world.cli("checkpoint", "digest", directory + "/checkpoints")[0],
          "other bits")


def summary_of_a_run(world: World) -> None:
    """Everything that a script may rely on, with values that can be."""
    directory = world.fresh("summary")
    events = os.path.join(world.work, "summary.events")
    with open(events, "w", encoding="ascii") as file:
        json.dump([{"at_step": 8, "do": "kill-worker", "node": "node-2"}], file)
    summary, _ = world.local(world.job("summary"), directory, "--nodes", "3", "--events", events, "--metrics",
                             "--profile", "3", "--profile-from", "8")
    check(
        summary["final_step"] == 40 == summary["steps"] == len(summary["loss"])
        and summary["loss"][-1] < summary["loss"][0], summary["final_step"])
    check(summary["ok"] and summary["error"] == "" and summary["steps_lost"] == 0 and summary["samples_repeated"] == 0
          and re.fullmatch("[0-9a-f]{64}", summary["weights_sha256"]))
    check(0 < summary["tokens_per_second"] < 1e7 and 0 < summary["seconds"] < 120, summary["tokens_per_second"])
    lost = next((r for r in summary["regroups"] if r["cause"] == "worker_lost"), None)
    check(lost, [r["cause"] for r in summary["regroups"]])
    for key in ("detect_ms", "decide_ms", "stop_ms", "agree_ms", "move_ms", "first_commit_ms", "total_ms"):
        check(0 <= lost[key] < 10000, key, lost[key])
    check(
        lost["total_ms"] > 0 and lost["members"] == 2 and lost["epoch"] > 1 and lost["source"] == "live"
        and lost["bytes_moved"] >= 0, lost)
    with open(os.path.join(directory, "metrics.json"), encoding="utf-8") as file:
        check(len(json.load(file)) == 4, "not every process is listed")
    with open(os.path.join(directory, "profile.json"), encoding="utf-8") as file:
        spans = [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]
    check({span["args"]["step"] for span in spans} == {8, 9, 10}, "other steps than asked for")
    for step in (8, 9, 10):
        whole = [span for span in spans if span["name"] == "step" and span["args"]["step"] == step]
        last = max(span["args"]["epoch"] for span in whole)
        whole = [span for span in whole if span["args"]["epoch"] == last]
        check(len({span["pid"] for span in whole}) == len(whole) >= 2, "step", step, "of", len(whole), "workers")
        # On one clock: every member was within the step at one moment, the vote.
        check(
            max(span["ts"] for span in whole) < min(span["ts"] + span["dur"] for span in whole), "step", step,
            "does not line up")


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
    "uneven-routers": uneven_routers,
    "interrupted": interrupted,
    "ipv6": ipv6,
    "stopped": stopped,
    "trace": trace,
    "summary": summary_of_a_run,
    "whole-trace": whole_trace,
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS, long=["whole-trace"]))

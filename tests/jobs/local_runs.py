#!/usr/bin/env python3
"""What users do and rely on with `regroup local`: an interrupted run goes on, traces of machines, the summary that
scripts read.

    local_runs.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')
"""

import json
import os
import random
import re
import signal
import subprocess
import sys

from cluster import check, CONSTANT, eventually, main, World
from journals import committed, journal_lines


def start_local(world: World, job: str, directory: str, *more: str) -> subprocess.Popen:
    """What it tells is in `directory`.out."""
    with open(directory + ".out", "w", encoding="utf-8") as out:
        return subprocess.Popen([world.program("regroup"), "local", job, "--dir", directory, *more],
                                stdout=out,
                                stderr=subprocess.PIPE,
                                text=True)


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
    check("all 120 steps are done already" in world.cli("local", job, "--dir", directory)[0], "it says something else")
    # Where no step can end, the second Ctrl-C does not wait for one. Without a checkpoint the next run begins anew.
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
    process = start_local(world, job, directory, "--nodes", "3")
    eventually("it begins anew", lambda: "it begins anew" in open(directory + ".out", encoding="utf-8").read())
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


# What hosts of etcd, clusters behind proxies and other people's job scripts have set: nothing of it reaches etcd or a
# worker. With MKL_CBWR in a worker the bits would be others.
STRANGE = {
    "ETCD_NAME": "n1", "ETCD_DATA_DIR": "/nowhere", "ETCD_LISTEN_CLIENT_URLS": "http://0.0.0.0:2379",
    "ETCD_CONFIG_FILE": "/nowhere.yml", "ETCDCTL_ENDPOINTS": "10.0.0.1:1", "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9", "grpc_proxy": "http://127.0.0.1:9", "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_NUM_THREADS": "x", "OMP_NUM_THREADS": "3", "MALLOC_PERTURB_": "7",
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=4096", "LD_BIND_NOW": "1",
}  # yapf: disable


def agent_log(directory: str, event: str) -> str:
    """The first line of that event in node-1's log."""
    with open(os.path.join(directory, "node-1.log"), encoding="utf-8") as file:
        return next((line for line in file if f"event={event} " in line), "")


def fingerprint(directory: str) -> str:
    """As the newest checkpoint of a run has it."""
    checkpoints = os.path.join(directory, "checkpoints")
    with open(os.path.join(checkpoints, max(os.listdir(checkpoints)), "MANIFEST.json"), encoding="utf-8") as file:
        return json.load(file)["fingerprint"]


def strange_environment(world: World) -> None:
    """The caller's variables change nothing; --worker-env does, and says so. The directory of a run is its own."""
    digest = world.digest()
    directory = world.fresh("strange-environment")
    words = [world.program("regroup"), "local", world.job("strange-environment"), "--dir", directory, "--json"]
    done = subprocess.run(words, env={**os.environ, **STRANGE}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)
    check(done.returncode == 0, done.stderr)
    check(json.loads(done.stdout)["weights_sha256"] == digest, "other bits")
    plain = fingerprint(directory)
    left_out, given = (agent_log(directory, event)
                       for event in ("worker_environment_left_out", "worker_environment"))
    for name in ("ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS", "MALLOC_PERTURB_"):
        check(name in left_out and name not in given, name, left_out, given)
    check("ETCD_NAME" not in given and "http_proxy" not in given, given)

    directory = world.fresh("its-own-directory")
    job = world.job("its-own-directory", steps=100000)
    setting = "MKL_CBWR=COMPATIBLE"
    process = start_local(world, job, directory, "--worker-env", setting)
    eventually("a step is committed", lambda: committed(directory), 60)
    err = world.cli("local", job, "--dir", directory, status=1, timeout=5)[1]
    check(f"a run is going on in {directory} (pid {process.pid}); stop it or give another --dir" in err, err)
    check(setting in agent_log(directory, "worker_environment"), "not in the log")
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    check(err.rstrip().endswith(f" --worker-env '{setting}'"), "to go on it takes the same setting:", err)
    steered = fingerprint(directory)
    check(steered.endswith(" " + setting) and not steered.startswith(plain), plain, steered)
    err = world.cli("local", job, "--dir", world.fresh("refused"), "--worker-env", "ATEN_CPU_CAPABILITY", status=2)[1]
    check("--worker-env: 'ATEN_CPU_CAPABILITY': write NAME=VALUE" in err, err)

    directory = world.fresh("not-a-directory-for-etcd")
    os.makedirs(os.path.join(directory, "etcd"))
    with open(os.path.join(directory, "etcd", "data"), "w", encoding="ascii"):
        pass
    err = world.cli("local", job, "--dir", directory, status=1)[1]
    check("etcd ended at its start: failed to list data directory: " in err and "not a directory" in err, err)


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


SCENARIOS = {
    "interrupted": interrupted,
    "strange-environment": strange_environment,
    "trace": trace,
    "summary": summary_of_a_run,
    "whole-trace": whole_trace,
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS, long=["whole-trace"]))

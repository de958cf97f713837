#!/usr/bin/env python3
"""What may be wrong with the place of the checkpoints, against the real programs: each is refused or survived with
one clear sentence, and no step waits for it.

    bad_storage.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')

Listens on 127.0.0.1 only. A scenario that this machine does not permit (mounts) says so and counts as skipped.
"""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

from cluster import check, Cluster, eventually, fetch, main, metric, Skip, with_mount, World


def checkpoint_of_another_model(world: World) -> None:
    directory = world.fresh("other-model")
    place = os.path.join(directory, "checkpoints")
    snapshots = dict(every_steps=1, checkpoint_every_steps=5, dir=place)
    world.local(world.job("first-model", model=dict(intermediate_size=64), steps=6, snapshots=snapshots),
                world.fresh("first-model"))
    before = sorted(os.listdir(place))
    other = world.job("other-model", steps=6, snapshots=snapshots)
    for command in (["local", other, "--dir", os.path.join(directory, "run")],
                    ["submit", other, "--etcd", "127.0.0.1:1"]):
        err = world.cli(*command, status=2)[1]
        check(place in err and "model.intermediate_size: the checkpoint's job had 64, this one has" in err, err)
    check(sorted(os.listdir(place)) == before, "the other model's checkpoints changed")


def damaged_checkpoint(world: World) -> None:
    """Of the two newest checkpoints, a bit of the state and a bit of the manifest are wrong: both are named, the
    third is resumed from, and the bits at the end are the right ones."""
    directory = world.fresh("damaged-checkpoint")
    snapshots = dict(every_steps=1, checkpoint_every_steps=5, keep_last=3)
    job = world.job("damaged-checkpoint", steps=120, snapshots=snapshots)

    def complete():
        place = os.path.join(directory, "checkpoints")
        found = [os.path.join(place, name) for name in os.listdir(place)] if os.path.isdir(place) else []
        return sorted((path for path in found if os.path.exists(os.path.join(path, "MANIFEST.json"))),
                      key=step_of,
                      reverse=True)

    def step_of(path):
        return int(re.search(r"step-(\d+)", os.path.basename(path)).group(1))

    def flip_bit(path):
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))
        return path

    process = subprocess.Popen([world.program("regroup"), "local", job, "--nodes", "3", "--dir", directory],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE,
                               text=True)
    eventually("three checkpoints are there", lambda: len(complete()) >= 3, 60)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=30)[1]
    check(process.returncode == 130, process.returncode, err)
    newest, next_one, good = complete()[:3]
    files = [os.path.join(newest, name) for name in os.listdir(newest)]
    state = flip_bit(max(files, key=os.path.getsize))
    manifest = flip_bit(os.path.join(next_one, "MANIFEST.json"))
    check(state in world.cli("checkpoint", "verify", newest, status=1)[1], "verify does not name", state)
    summary, err = world.local(job, directory, "--nodes", "2")
    check(summary["ok"] and summary["weights_sha256"] == world.digest(120), summary["error"], "or other bits")
    begin = summary["regroups"][0]
    check(begin["source"] == "checkpoint", begin)
    said = "".join(
        open(path, encoding="utf-8", errors="replace").read()
        for path in glob.glob(os.path.join(directory, "**", "*.log"), recursive=True))
    damaged = [line for line in said.splitlines() if "checkpoint_damaged" in line]
    check(damaged and all(state in line and "bytes " in line for line in damaged), "the damaged file is not named:",
          damaged)
    check(any("checkpoint_skipped" in line and manifest in line for line in said.splitlines()),
          "the damaged manifest is not named")
    check(any("checkpoint_read" in line and good in line for line in said.splitlines()), "read was not", good)


def saves_that_fail(world: World, name: str, place: str, sentence: str,
                    spoil: Callable[[], None] = lambda: None) -> None:
    """Training goes on to the right bits; the failure is in the journals, on /metrics and in the outcome: what was
    computed is lost, so the job has failed."""
    expected = world.digest()
    with Cluster(world, name) as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        cluster.agent("n2")
        eventually("etcd answers", lambda: fetch(cluster.ports["n2"], "/healthz")[0] == 200)
        cluster.cli("submit", world.job(name, snapshots=dict(every_steps=1, checkpoint_every_steps=5, dir=place)))
        eventually("the job trains", lambda: cluster.events("n1", "committed") or cluster.events("n2", "committed"), 60)
        spoil()
        eventually("the job is over", lambda: cluster.job().get("state") == "failed", 90)
        check(cluster.job()["weights_sha256"] == expected, "other bits")
        reason = cluster.job()["reason"]
        check("all 40 steps are committed, but the last one could not be saved: " in reason, reason)
        check(sentence in reason, reason)
        failed = [event for node in ("n1", "n2") for event in cluster.events(node, "checkpoint_failed")]
        check(failed and sentence in failed[0]["text"], failed[:2])
        counted = sum(metric(cluster.ports[node], "regroup_checkpoint_failures_total") for node in ("n1", "n2"))
        check(counted == len(failed), "not counted")


def directory_not_writable(world: World) -> None:
    """Root may write everywhere but below a file: refused at once, survived when it becomes so."""
    below_a_file = os.path.join(world.job("a-file"), "checkpoints")
    for command in (["submit"], ["local"]):
        err = world.cli(*command, world.job("unwritable", snapshots=dict(every_steps=1, dir=below_a_file)), status=2)[1]
        check("Not a directory" in err, err)
    place = world.fresh("unwritable-checkpoints")

    def spoil():
        if os.path.exists(place):
            os.rename(place, place + ".away")
        with open(place, "w", encoding="ascii") as file:
            file.write("a file where a directory was\n")

    shutil.rmtree(place + ".away", ignore_errors=True)
    saves_that_fail(world, "unwritable", place, "Not a directory", spoil)
    os.remove(place)


def no_place_for_checkpoints(world: World) -> None:
    """Refused before the first step: where it is submitted, and by the node that finds out alone."""
    directory = world.fresh("no-place")
    job = world.job("no-place", snapshots=dict(every_steps=1, dir="/proc/nope"))
    sentence = "snapshots.dir: cannot make the directory /proc/nope: No such file or directory"
    check(sentence in world.cli("local", job, "--dir", directory, status=2)[1])
    check(sentence in world.cli("submit", job, "--etcd", "127.0.0.1:1", status=2)[1])
    place = world.fresh("one-node-cannot-write")
    os.makedirs(place)
    bind = with_mount("-t", "tmpfs", "-o", "ro", "tmpfs", place)
    with Cluster(world, "one-cannot-write") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        cluster.agent("n2", wrap=bind)
        eventually("etcd answers", lambda: fetch(cluster.ports["n2"], "/healthz")[0] == 200)
        cluster.cli("submit", world.job("one-cannot-write", snapshots=dict(every_steps=1, dir=place)))
        eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 90)
        check(cluster.job()["weights_sha256"] == world.digest(), "other bits")
        check(not cluster.events("n2", "committed"), "n2 trained")
        text = cluster.events("n2", "fault")[0]["text"]
        check(text.startswith("snapshots.dir on node n2: cannot ") and "Read-only file system" in text, text)


def stop_that_cannot_save(world: World) -> None:
    """It ends all the same, and says why."""
    place = world.fresh("unsaved-checkpoints")
    path = world.job("unsaved", steps=100000, snapshots=dict(every_steps=1, dir=place))
    with Cluster(world, "unsaved") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        eventually("etcd answers", lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200)
        cluster.cli("submit", path)
        eventually("the job trains", lambda: cluster.events("n1", "committed"), 60)
        shutil.rmtree(place, ignore_errors=True)
        with open(place, "w", encoding="ascii") as file:
            file.write("a file where a directory was\n")
        cluster.cli("stop", "jobs-test")
        eventually("the job is stopped", lambda: cluster.job()["state"] == "stopped", 60)
        reason = cluster.job()["reason"]
        check(
            "which could not be saved: " in reason and "Not a directory" in reason
            and "no checkpoint of it is known" in reason, reason)
        os.remove(place)
        check("begins anew" in cluster.cli("submit", path)[0])


def full_disk(world: World) -> None:
    place = world.fresh("small-disk")
    os.makedirs(place)
    if os.geteuid() != 0:
        raise Skip("a small tmpfs cannot be mounted here: not root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place],
                             stderr=subprocess.PIPE, text=True, check=False)
    if mounted.returncode != 0:
        raise Skip("a small tmpfs cannot be mounted here: " + mounted.stderr.strip())
    try:
        job = world.job("full-local", snapshots=dict(every_steps=1, dir=os.path.join(place, "local")))
        summary = os.path.join(world.work, "full-local.json")
        run = world.cli("local", job, "--dir", world.fresh("full-local"), "--summary", summary, status=1)
        check("could not be saved: " in run[1] and "No space left" in run[1], run[1])
        with open(summary, encoding="utf-8") as file:
            told = json.load(file)
        check(not told["ok"] and "No space left" in told["error"] and told["final_step"] == 40, told)
        saves_that_fail(world, "full-disk", os.path.join(place, "checkpoints"), "No space left")
    finally:
        subprocess.run(["umount", place], check=True)


def slow_storage(world: World) -> None:
    """A checkpoint that takes for ever on one node (its agent is stopped, its worker is not) stops no step; those due
    meanwhile are left out."""
    with Cluster(world, "slow-storage") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        for name in ("n1", "n2"):
            cluster.agent(name)
        eventually("both nodes are there",
                   lambda: fetch(cluster.ports["n2"], "/healthz")[0] == 200 and len(cluster.status()["nodes"]) == 2)
        place = os.path.join(cluster.dir, "checkpoints")
        cluster.cli(
            "submit",
            world.job("slow-storage", steps=160, snapshots=dict(every_steps=1, checkpoint_every_steps=1, dir=place)))
        eventually("both train",
                   lambda: len(cluster.job().get("members", [])) == 2 and cluster.job().get("step", 0) > 3, 60)
        agent = cluster.processes["n2"]
        agent.send_signal(signal.SIGSTOP)
        stopped_at = cluster.job()["step"]
        eventually("steps go on", lambda: cluster.job()["step"] >= stopped_at + 5)
        agent.send_signal(signal.SIGCONT)
        check(metric(cluster.ports["n1"], "regroup_checkpoints_left_out_total") > 0, "no checkpoint was left out")
        eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 120)
        check(cluster.job()["weights_sha256"] == world.digest(160), "other bits")
        check(
            json.loads(world.cli("checkpoint", "verify", place, "--json")[0])["step"] == 160,
            "the last step is not on disk")


SCENARIOS = {
    "checkpoint-of-another-model": checkpoint_of_another_model,
    "damaged-checkpoint": damaged_checkpoint,
    "directory-not-writable": directory_not_writable,
    "no-place-for-checkpoints": no_place_for_checkpoints,
    "stop-that-cannot-save": stop_that_cannot_save,
    "full-disk": full_disk,
    "slow-storage": slow_storage,
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS))

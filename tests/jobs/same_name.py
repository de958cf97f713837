#!/usr/bin/env python3
"""Jobs that find checkpoints of their own name: of another job, of the last step already, of fewer steps.

    same_name.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')
"""

import glob
import json
import os
import shutil
import sys

from cluster import check, Cluster, eventually, main, World

CONSTANT = dict(schedule="constant", warmup_steps=1)


def other_jobs(world: World) -> None:
    """Whatever determines the weights and is another is refused by its name, with both values; what changes no bit is
    no reason."""
    place = world.fresh("other-jobs")
    snapshots = dict(dir=place, checkpoint_every_steps=1)
    world.local(world.job("first", steps=3, optimizer=CONSTANT, snapshots=snapshots),
                world.fresh("first"))
    before = sorted(os.listdir(place))
    for name, settings, says in (
        ("seed", dict(seed=12), "seed: the checkpoint's job had 11, this one has 12"),
        ("sequences", dict(sequence_length=32), "sequence_length: the checkpoint's job had 64, this one has 32"),
        ("batch", dict(microbatches=16), "microbatches: the checkpoint's job had 8, this one has 16"),
        ("chains", dict(chains=4), "chains: the checkpoint's job had 8, this one has 4"),
        ("schedule", dict(optimizer=dict(CONSTANT, schedule="cosine")),
         "optimizer.schedule: the checkpoint's job had constant, this one has cosine"),
        ("rate", dict(optimizer=dict(CONSTANT, learning_rate=0.002)),
         "optimizer.learning_rate: the checkpoint's job had 0.003, this one has 0.002"),
        ("fewer", dict(steps=2), "steps: 3 are done already, this job has 2"),
        ("more", dict(steps=4), "--extend lengthens a job"),
    ):
        settings = {"steps": 3, "optimizer": CONSTANT, "snapshots": snapshots, **settings}
        job = world.job("other-" + name, **settings)
        for command in (["local", job, "--dir", world.fresh("refused")], ["submit", job, "--etcd", "127.0.0.1:1"]):
            err = world.cli(*command, status=2)[1]
            check(says in err and place in err and "another name and another snapshots.dir" in err, name, ":", err)
    model = glob.glob(f"{place}/step-*")[0]
    job = world.job("other-weights", model=model, steps=3, optimizer=CONSTANT, snapshots=snapshots)
    err = world.cli("local", job, "--dir", world.fresh("refused"), status=2)[1]
    check("start weights: the checkpoint's job had those drawn from the seed" in err, err)
    check(sorted(os.listdir(place)) == before, "its checkpoints changed")
    harmless = world.job("harmless", steps=3, optimizer=CONSTANT, recompute="full", heartbeat_ms=300,
                         elastic=dict(max_groups=1, max_nodes=2), snapshots=dict(dir=place, every_steps=2, keep_last=9))
    check("all 3 steps are done already" in world.cli("local", harmless, "--dir", world.fresh("harmless"))[0])
    other = world.job("other-seed", seed=12, steps=3, optimizer=CONSTANT, snapshots=snapshots)
    seen_by_the_worker_alone(world, place, other)


def seen_by_the_worker_alone(world: World, place: str, job: str) -> None:
    """Neither `submit` nor the coordinator see the directory, as on a machine without the shared storage."""
    with Cluster(world, "unseen") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        os.rename(place, place + "-away")
        cluster.cli("submit", job)
        eventually("the coordinator looked in vain", lambda: "no node is free" in cluster.job().get("reason", ""))
        os.rename(place + "-away", place)
        cluster.agent("n1")
        eventually("the worker refuses it",
                   lambda: "seed: the checkpoint's job had 11, this one has 12" in cluster.job()["reason"])


def done_already(world: World) -> None:
    """The last step is there, and etcd is not: the job ends at once, without a loss, with the digest; so does the same
    directory again."""
    place = world.fresh("done-already")
    job = world.job("done-already", steps=3, optimizer=dict(warmup_steps=1), snapshots=dict(dir=place))
    directory = world.fresh("done-1")
    first, _ = world.local(job, directory)
    for again in (world.fresh("done-2"), directory):
        out, err = world.cli("local", job, "--dir", again, "--summary", f"{place}/summary.json", timeout=30)
        check("all 3 steps are done already" in out and "loss" not in out and "warning" not in out + err, out, err)
        with open(f"{place}/summary.json", encoding="utf-8") as file:
            summary = json.load(file)
        check(summary["ok"] and summary["loss"] == [] and summary["final_step"] == 3, summary)
        check(summary["weights_sha256"] == first["weights_sha256"], "another digest")
    with Cluster(world, "done-cluster") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        cluster.cli("submit", job)
        eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 60)
        check(cluster.job()["reason"] == "all 3 steps are done already" and "loss" not in cluster.job(), cluster.job())
        lengthened_in_a_cluster(world, cluster, place)


def lengthened_in_a_cluster(world: World, cluster: Cluster, place: str) -> None:
    job = world.job("done-longer", steps=5, optimizer=dict(warmup_steps=1, schedule_steps=5), snapshots=dict(dir=place))
    check("steps: the checkpoint's job had 3, this one has 5" in cluster.cli("submit", job, status=2)[1])
    cluster.cli("submit", "--extend", job)
    eventually("it is finished again", lambda: cluster.job().get("step") == 5
               and cluster.job().get("state") == "finished", 60)
    check("all 5 steps are committed; the schedule was ended anew" in cluster.job()["reason"], cluster.job())


def extended(world: World) -> None:
    """More steps, with the moments: where the schedule's end is kept, the weights are those of such a job from the
    start; where it ends anew, they are others, and the summary says so."""
    place, kept = world.fresh("extended"), world.fresh("extended-kept")
    snapshots = dict(dir=place)
    world.local(world.job("short", steps=6, snapshots=snapshots), world.fresh("short"))
    shutil.copytree(place, kept)
    longer = world.job("longer", steps=9, snapshots=snapshots)
    err = world.cli("local", longer, "--dir", world.fresh("longer"), "--extend", status=2)[1]
    check("optimizer.schedule_steps: 6 keeps it, optimizer.schedule_steps: 9 ends it anew" in err, err)

    anew = world.job("anew", steps=9, optimizer=dict(schedule_steps=9), snapshots=snapshots)
    summary, _ = world.local(anew, world.fresh("anew"), "--extend")
    check(summary["schedule_ended_anew"] and summary["loss_first_step"] == 7, summary)
    alone, _ = world.local(world.job("anew-alone", steps=9), world.fresh("anew-alone"))
    check(summary["weights_sha256"] != alone["weights_sha256"] and not alone["schedule_ended_anew"])
    with open(glob.glob(f"{place}/step-*9.e*/MANIFEST.json")[0], encoding="utf-8") as file:
        chain = json.load(file)["chain"]
    check([(entry["after_step"], entry["steps"], entry["schedule_end"]) for entry in chain] == [(0, 6, 6), (6, 9, 9)],
          chain)
    check(all(entry["sample_order"] >= 1 and entry["sums"] >= 1 for entry in chain), chain)

    keeps = dict(steps=9, optimizer=dict(schedule_steps=6, min_learning_rate=0.0003))
    err = world.cli("local", world.job("keeps", **keeps, snapshots=dict(dir=kept)), "--dir", world.fresh("keeps"),
                    "--extend", status=2)[1]
    check("optimizer.min_learning_rate: the checkpoint's job had 0.0, this one has 0.0003" in err, err)
    keeps = dict(steps=9, optimizer=dict(schedule_steps=6))
    summary, _ = world.local(world.job("keeps", **keeps, snapshots=dict(dir=kept)), world.fresh("keeps"), "--extend")
    alone, _ = world.local(world.job("keeps-alone", **keeps), world.fresh("keeps-alone"))
    check(summary["weights_sha256"] == alone["weights_sha256"] and not summary["schedule_ended_anew"], "other bits")


def other_terms(world: World) -> None:
    """Another learning rate from some step on: refused, unless that is asked for; then the chain and the summary say
    it."""
    place = world.fresh("other-terms")
    settings = dict(optimizer=CONSTANT, snapshots=dict(dir=place))
    world.local(world.job("first-rate", steps=4, **settings), world.fresh("first-rate"))
    slower = world.job("slower", steps=6, optimizer=dict(CONSTANT, learning_rate=0.0001), snapshots=dict(dir=place))
    err = world.cli("local", slower, "--dir", world.fresh("slower"), "--extend", status=2)[1]
    check("--other-terms lets a job go on with another optimizer or other data" in err, err)
    summary, _ = world.local(slower, world.fresh("slower"), "--extend", "--other-terms")
    check(summary["terms_changed"] and summary["loss_first_step"] == 5, summary)
    with open(glob.glob(f"{place}/step-*6.e*/MANIFEST.json")[0], encoding="utf-8") as file:
        chain = json.load(file)["chain"]
    check([(entry["after_step"], entry["terms"]["optimizer.learning_rate"]) for entry in chain][1] == (4, "0.0001"),
          chain)


SCENARIOS = {
    "other-jobs": other_jobs,
    "done-already": done_already,
    "extended": extended,
    "other-terms": other_terms,
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS))

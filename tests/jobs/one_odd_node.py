#!/usr/bin/env python3
"""One node reads something else than the others where all read one path: it is refused by name, and the others go on.

    one_odd_node.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')

Listens on 127.0.0.1 only. A scenario that this machine does not permit (mounts) says so and counts as skipped.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys

from cluster import check, Cluster, eventually, fetch, main, with_mount, World


def data_damaged_on_one_node(world: World) -> None:

    def cut(path):
        os.truncate(path, 1000)

    def flip_bits(path):
        """The size stays, every token exists, and of each piece that has a checksum one bit is another."""
        with open(path, "r+b") as file:
            tokens = bytearray(file.read())
            for at in range(0, len(tokens), 65536):
                tokens[at] ^= 1
            file.seek(0)
            file.write(tokens)

    for name, damage, sentence in (("cut", cut, "one of them was cut"),
                                   ("flipped", flip_bits, "text.bin is damaged: bytes ")):
        with Cluster(world, "one-" + name) as cluster:
            damaged = os.path.join(cluster.dir, "text.bin")
            shutil.copy(os.path.join(world.work, "text.bin"), damaged)
            damage(damaged)
            bind = with_mount("--bind", damaged, f"{world.work}/text.bin")
            cluster.start_etcd()
            cluster.coordinator("c1")
            cluster.agent("n1")
            cluster.agent("n2", wrap=bind)
            eventually("etcd answers", lambda: fetch(cluster.ports["n2"], "/healthz")[0] == 200)
            cluster.cli("submit", world.job("one-" + name))
            eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 90)
            check(cluster.job()["weights_sha256"] == world.digest(), "other bits")
            faults = cluster.events("n2", "fault")
            check(faults and sentence in faults[0]["text"], "nobody says what is wrong:", faults[:1])


def weights_differ_on_one_node(world: World) -> None:
    """It is refused by name, and the others train what was submitted, in whatever groups."""
    models = []
    for seed in (11, 12):
        directory = world.fresh(f"weights-{seed}")
        world.local(world.job("start-weights", seed=seed, steps=4, snapshots=dict(every_steps=1)), directory)
        models += glob.glob(os.path.join(directory, "checkpoints", "step-*"))
        with open(os.path.join(models[-1], "tokenizer.json"), "w", encoding="ascii") as file:
            json.dump({"version": "1.0"}, file)
    other_tokenizer = world.fresh("weights-other-tokenizer")
    shutil.copytree(models[0], other_tokenizer)
    with open(os.path.join(other_tokenizer, "tokenizer.json"), "a", encoding="ascii") as file:
        file.write(" ")
    without = world.fresh("weights-without")
    os.makedirs(without)
    settings = dict(model=models[0], steps=20)
    alone = world.local(world.job("from-weights", **settings), world.fresh("from-weights"))[0]["weights_sha256"]
    for name, shown, sentence in (("other", models[1], f"the weights in {models[0]} on node n2 are not those that the "
                                   "job was submitted with"),
                                  ("tokenizer", other_tokenizer, f"the files beside the weights in {models[0]} on node "
                                   "n2 are not those that the job was submitted with (tokenizer.json)"),
                                  ("nothing", without, "on node n2")):
        with Cluster(world, "weights-" + name) as cluster:
            bind = with_mount("--bind", shown, models[0])
            cluster.start_etcd()
            cluster.coordinator("c1")
            cluster.agent("n1")
            cluster.agent("n2", wrap=bind)
            eventually("etcd answers", lambda: fetch(cluster.ports["n2"], "/healthz")[0] == 200)
            cluster.cli("submit", world.job("weights-" + name, **settings))
            eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 90)
            check(cluster.job()["weights_sha256"] == alone, "other bits")
            faults = cluster.events("n2", "fault")
            check(faults and sentence in faults[0]["text"], "nobody says what is wrong:", faults[:1])
            check(not cluster.events("n2", "committed"), "n2 trained")


def checkpoint_differs_on_one_node(world: World) -> None:
    """Both directories hold a checkpoint of that name; the node that has the other one is refused by name."""
    place = world.fresh("resumes-checkpoints")
    other = world.fresh("resumes-other-checkpoints")
    job = world.job("resumes", steps=4000, snapshots=dict(every_steps=1, checkpoint_every_steps=5, keep_last=900,
                                                          dir=place))
    kept = os.path.join(place, "step-00000005.e1")
    for last in (False, True):
        process = subprocess.Popen(
            [world.program("regroup"), "local", job, "--dir", world.fresh("resumes-run")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually("a checkpoint is there", lambda: os.path.exists(os.path.join(kept, "MANIFEST.json")), 60)
        process.send_signal(signal.SIGINT)
        check(process.wait(30) == 130, process.returncode)
        for name in os.listdir(place):
            if name.startswith("step-") and os.path.join(place, name) != kept:
                shutil.rmtree(os.path.join(place, name))
        if not last:
            os.rename(place, other)
    bind = with_mount("--bind", other, place)
    with Cluster(world, "resumes") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        cluster.agent("n2", wrap=bind)
        eventually("both nodes are there", lambda: len(cluster.status()["nodes"]) == 2)
        cluster.cli("submit", job)
        eventually("the job goes on", lambda: cluster.job().get("step", 0) > 5, 60)
        faults = [fault["text"] for node in ("n1", "n2") for fault in cluster.events(node, "fault")]
        check(faults and " holds step-00000005.e1 (digest " in faults[0] and "the same directory" in faults[0],
              faults[:1])


SCENARIOS = {
    "damaged-data": data_damaged_on_one_node,
    "other-weights": weights_differ_on_one_node,
    "other-checkpoint": checkpoint_differs_on_one_node,
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS))

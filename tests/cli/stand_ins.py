#!/usr/bin/env python3
"""Stand-ins for regroup-coordinator and regroup-agent in tests of `regroup local`: no training, only what they would
write.

The agent writes journal lines: a plan, a commit every 20 ms (loss 10 / step) from step 1, the end at step 30. What
DIR/../mode says changes that. Its worker is `sleep`. The coordinator puts its own name under the leader's key and, once
DIR/../finished exists, the job's outcome.
"""
import json
import os
import subprocess
import sys
import time


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def agent():
    node, directory = option("--node"), option("--dir")
    shared = os.path.join(directory, "..")
    worker = subprocess.Popen(["sleep", "1000"])
    journal = open(os.path.join(directory, "journal.jsonl"), "a", buffering=1, encoding="ascii")

    def line(event, **fields):
        journal.write(json.dumps({"at_ms": int(time.time() * 1000), "node": node, "event": event, **fields}) + "\n")

    mode = open(os.path.join(shared, "mode"), encoding="ascii").read().strip()
    line("worker_ready", worker=f"{node}/1/0/0", pid=worker.pid)
    line(
        "plan", epoch=1, cause="start", reason="all are there", members=[f"{node}/1/0/0"], groups=1, when="now",
        detected_at_ms=0, decided_at_ms=int(time.time() * 1000),
    )
    if mode == "dies":
        print("no space left on the device", flush=True)
        sys.exit(4)
    if mode == "stalls":
        time.sleep(1000)
    for step in range(1, 31):
        loss = 10 / step + (1e-9 if mode == "contradicts" and node == "node-2" and step == 5 else 0)
        line("committed", worker=f"{node}/1/0/0", epoch=1, step=step, loss=loss, tokens=100, seconds=0.02)
        if step == 1:
            line(
                "regrouped", worker=f"{node}/1/0/0", epoch=1, cause="start", members=1, step=0, source="fresh",
                reason="nothing yet",
            )
        time.sleep(0.02)
    line("finished", worker=f"{node}/1/0/0", step=30, weights_sha256="ab" * 32)
    line("checkpoint_durable", worker=f"{node}/1/0/0", step=30, epoch=1, seconds=0.1)
    open(os.path.join(shared, "finished"), "w", encoding="ascii").close()
    time.sleep(1000)


def etcdctl(*arguments):
    command = ["etcdctl", "--endpoints", option("--etcd"), *arguments]
    subprocess.call(command, env={**os.environ, "ETCDCTL_API": "3"}, stdout=subprocess.DEVNULL)


def coordinator():
    root = "/regroup/" + option("--cluster") + "/"
    if option("--id") == "coordinator-1":
        etcdctl("put", root + "leader/1", option("--id"))
    shared = os.environ["STAND_IN_DIR"]
    while not os.path.exists(os.path.join(shared, "finished")):
        time.sleep(0.02)
    outcome = {"state": "finished", "reason": "all steps are done", "step": 30, "weights_sha256": "ab" * 32}
    etcdctl("put", root + "jobs/small/outcome", json.dumps(outcome))
    time.sleep(1000)


agent() if os.path.basename(sys.argv[0]) == "regroup-agent" else coordinator()

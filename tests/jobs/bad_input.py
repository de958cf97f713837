#!/usr/bin/env python3
"""What a user or a machine may do wrong, against the real programs: each is refused or survived with one clear sentence, and nothing is lost.

    bad_input.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')

Listens on 127.0.0.1 only. A scenario that this machine does not permit (mounts) or cannot run (no Prometheus) says so and counts as skipped.
"""
import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import run_jobs

SKIPPED = 77   # ctest's SKIP_RETURN_CODE


class Skip(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(part) for part in what))


def eventually(what, condition, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def fetch(port, page):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def metric(port, name, labels=""):
    """The sum of the samples of that name whose labels hold `labels`; None when there is none."""
    values = [float(m.group(2)) for m in re.finditer(rf"^{name}(\{{[^\n]*\}})? (\S+)$", fetch(port, "/metrics")[1], re.M) if labels in (m.group(1) or "")]
    return sum(values) if values else None


class Cluster:
    """etcd, coordinators and agents as a user starts them by hand."""

    def __init__(self, world, name):
        self.world = world
        self.dir = os.path.join(world.work, name)
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.etcd = f"127.0.0.1:{free_port()}"
        self.peer = f"127.0.0.1:{free_port()}"
        self.processes = {}
        self.ports = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.processes.values():
            process.wait()
        if kind is None:
            shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, name, argv):
        with open(self.log(name), "ab") as log:
            self.processes[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self, name):
        return os.path.join(self.dir, name + ".log")

    def said(self, name):
        with open(self.log(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def start_etcd(self):
        self.start("etcd", ["etcd", f"--data-dir={self.dir}/etcd", f"--listen-client-urls=http://{self.etcd}", f"--advertise-client-urls=http://{self.etcd}",
                            f"--listen-peer-urls=http://{self.peer}", f"--initial-advertise-peer-urls=http://{self.peer}", f"--initial-cluster=default=http://{self.peer}",
                            "--log-level=error"])

    def coordinator(self, name, *more):
        self.ports[name] = free_port()
        self.start(name, [self.world.program("regroup-coordinator"), "--etcd", self.etcd, "--id", name, "--metrics", f"127.0.0.1:{self.ports[name]}", *more])

    def agent(self, name, *more, directory=None, node=None, wrap=()):
        self.ports[name] = free_port()
        self.start(name, [*wrap, self.world.program("regroup-agent"), "--etcd", self.etcd, "--node", node or name, "--dir", directory or os.path.join(self.dir, name),
                          "--metrics", f"127.0.0.1:{self.ports[name]}", *more])

    def cli(self, *words, status=0):
        return self.world.cli(*words, "--etcd", self.etcd, status=status)

    def status(self):
        return json.loads(self.cli("status", "--json")[0])

    def job(self, name="jobs-test"):
        return next((job for job in self.status()["jobs"] if job["name"] == name), {})

    def etcdctl(self, *words):
        return subprocess.run(["etcdctl", f"--endpoints={self.etcd}", *words], check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "ETCDCTL_API": "3"}).stdout

    def journal(self, name):
        path = os.path.join(self.dir, name, "journal.jsonl")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def events(self, name, event):
        return [line for line in self.journal(name) if line["event"] == event]


class World:
    def __init__(self, programs, work):
        self.programs, self.work = programs, work
        self.runner = run_jobs.Runner(programs, work)
        self.runner.prepare()

    def program(self, name):
        return os.path.join(self.programs, name)

    def cli(self, *words, status=0):
        done = subprocess.run([self.program("regroup"), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        check(done.returncode == status, "regroup", *words, "ended with", done.returncode, "not", status, ":", done.stdout[-500:], done.stderr[-500:])
        if status != 0:
            check(done.stderr.strip().count("\n") == 0 or "--help" in done.stderr, "more than one sentence:", done.stderr)
        return done.stdout, done.stderr

    def job(self, name, *edits, steps=40, snapshots="every_steps: 1"):
        """A job file; each edit is (what stands there, what shall stand there)."""
        text = run_jobs.JOB.format(steps=steps, groups=2, min_nodes=1, snapshot_every=1, checkpoint_every=0, heartbeat_ms=200, slices=1, learning_rate=0.003, data="text", more="")
        text = re.sub(r"snapshots: \{.*\}", "snapshots: {" + snapshots + "}", text)
        for old, new in edits:
            check(old in text, old, "is not in the job file")
            text = text.replace(old, new)
        path = os.path.join(self.work, name + ".yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def fresh(self, name):
        path = os.path.join(self.work, name)
        shutil.rmtree(path, ignore_errors=True)
        return path

    def digest(self, steps=40):
        return self.runner.baseline(steps)["weights_sha256"]

    def local(self, job, directory, *more, status=0):
        out, err = self.cli("local", job, "--dir", directory, "--json", *more, status=status)
        return json.loads(out), err


def job_file(world):
    wrong = {
        "chains: 8": [("chians: 8", "did you mean chains?"), ("chains: 16", "chains (16) must divide microbatches (8)"), ("chains: 3", "power of two"), ("chains: x", "whole number")],
        "max_groups: 2": [("max_groups: 9", "max_groups (9) is above chains (8)"), ("max_group: 2", "elastic.max_group is not a key here; did you mean max_groups?")],
        "hidden_size: 64": [("hidden_size: 66", "num_attention_heads = 4 does not divide"), ("hidden_size: -64", "must be between 1")],
        "num_hidden_layers: 2": [("num_hidden_layers: 1000000000", "must be at most")],
        "microbatches: 8": [("microbatches: 2000000000", "must be between 1 and")],
        "data: text": [("data: nowhere", "regroup data prepare"), ("data:", "data must be a text")],
        "vocab_size: 260": [("vocab_size: 100", "holds token 256")],
        "model:": [("model: [", "is not YAML")],
    }
    for old, cases in wrong.items():
        for new, sentence in cases:
            path = world.job("wrong", (old, new))
            for command in (["submit", path, "--etcd", "127.0.0.1:1"], ["local", path, "--dir", world.fresh("wrong-dir")]):
                err = world.cli(*command, status=2)[1]
                check(sentence in err, command[0], new, ":", err)
            check(not os.path.exists(os.path.join(world.work, "wrong-dir")), "something was begun")
    check("cannot read the job file" in world.cli("local", "nowhere.yaml", status=2)[1])
    err = world.cli("local", world.job("wrong", ("min_nodes: 1", "min_nodes: 5")), "--nodes", "2", "--dir", world.fresh("wrong-dir"), status=2)[1]
    check("min_nodes = 5" in err, err)


def explained(words, text):
    """A sentence on what it does, how it is called, and every option with its own sentence."""
    description, found, rest = text.partition("Usage: ")
    check(found and len(description.split()) >= 3, words, "does not say what it does:", text)
    check(rest.split("\n")[0].split()[1:len(words)] == words[1:], words, "shows the usage of another:", rest.split("\n")[0])
    about = re.split(r"^  (?:--?[a-z])", rest.split("\n\n", 1)[1], flags=re.M)[1:]
    check(about and all(len(re.split(r"\s{2,}", option.strip(), maxsplit=1)) == 2 for option in about), words, "has an option without a word:", rest)


def command_line(world):
    for words, sentence in ((["lcoal", "x"], "did you mean local?"), (["status", "--etcd", "nonsense"], "not HOST:PORT"), (["status", "--dir", world.work], "cluster.json"),
                            (["status", "--cluster", "a/b"], "no slash"), (["local", world.job("good"), "--summary", "/nowhere/x"], "cannot write --summary"),
                            (["local", world.job("good"), "--trace", "/nowhere/x"], "cannot read the trace"), (["local", world.job("good"), "--events", "/nowhere/x"], "cannot read the events")):
        status = 1 if words[0] == "status" else 2
        check(sentence in world.cli(*words, status=status)[1], words)
    for command in ("", "local", "submit", "status", "scale", "drain", "stop", "plan", "data", "data prepare", "data check", "data train-tokenizer",
                    "checkpoint", "checkpoint ls", "checkpoint verify", "checkpoint digest", "checkpoint export"):
        explained(["regroup", *command.split()], world.cli(*command.split(), "--help")[0])
    for daemon in ("regroup-agent", "regroup-coordinator"):
        done = subprocess.run([world.program(daemon), "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        check(done.returncode == 0 and not done.stderr, daemon, done.returncode, done.stderr)
        explained([daemon], done.stdout)
    below_a_file = world.job("good") + "/x"
    check("Not a directory" in world.cli("local", world.job("good"), "--dir", below_a_file, status=1)[1])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for program, options in (("regroup-coordinator", []), ("regroup-agent", ["--dir", world.fresh("agent")])):
            for more, sentence in ((["--metrics", f"127.0.0.1:{port}"], "the port is in use"), (["--metrics", "127.0.0.1:x"], "HOST:PORT"), (["--etcd", "nonsense"], "not HOST:PORT"),
                                   (["--log-file", below_a_file], "Not a directory"), (["--cluster", "a/b"], "no slash"), (["--no-such"], "--help")):
                done = subprocess.run([world.program(program), *options, *more], stderr=subprocess.PIPE, text=True, timeout=30, check=False)
                check(done.returncode == 2 and sentence in done.stderr, program, more, done.returncode, done.stderr)
    done = subprocess.run([world.program("regroup-agent"), "--dir", below_a_file], stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    check(done.returncode == 2 and "Not a directory" in done.stderr, done.stderr)


def etcd_away(world):
    """Nobody answers: commands say so, daemons wait, say so on /healthz, and work as soon as it is there."""
    with Cluster(world, "etcd-away") as cluster:
        for words in (["submit", world.job("away")], ["status"], ["scale", "x", "--nodes", "2"], ["drain", "n1"], ["stop", "x"]):
            out, err = cluster.cli(*words, "--json", status=1)
            check(out == "" and "does not answer; start it" in err, words, out, err)
        cluster.coordinator("c1")
        cluster.agent("n1")
        for name in ("c1", "n1"):
            eventually(f"{name} says on /healthz that it has no etcd", lambda: fetch(cluster.ports[name], "/healthz")[0] == 503)
        eventually("the coordinator's log says it", lambda: "etcd_does_not_answer" in cluster.said("c1"))
        check(metric(cluster.ports["c1"], "regroup_store_connected") == 0)
        cluster.start_etcd()
        for name in ("c1", "n1"):
            eventually(f"{name} is well", lambda: fetch(cluster.ports[name], "/healthz")[0] == 200)
        eventually("the node is there", lambda: [node["node"] for node in cluster.status()["nodes"]] == ["n1"])


def damaged_data(world):
    prefix = os.path.join(world.work, "damaged")
    for end in (".bin", ".sums", ".idx", ".json"):
        shutil.copy(os.path.join(world.work, "text" + end), prefix + end)
    with open(prefix + ".bin", "r+b") as file:
        file.seek(5000)
        file.write(b"\xff")
    job = world.job("damaged-data", ("data: text", "data: damaged"))
    for sentence in ("damaged.bin", "one of them was cut or belongs to other data"):
        for command in (["local", job, "--dir", world.fresh("damaged-dir")], ["submit", job, "--etcd", "127.0.0.1:1"]):
            err = world.cli(*command, status=1)[1]
            check(sentence in err, err)
        os.truncate(prefix + ".bin", 1000)


def validation(world):
    """Sets that cannot be validated on are refused before anything starts."""
    other = os.path.join(world.work, "other-tokens")
    for end in (".bin", ".sums", ".idx", ".json"):
        shutil.copy(os.path.join(world.work, "text-validation" + end), other + end)
    with open(other + ".json", encoding="utf-8") as file:
        record = json.load(file)
    with open(other + ".json", "w", encoding="utf-8") as file:
        json.dump({**record, "tokenizer": "sentencepiece", "tokenizer_xxh3": "0123"}, file)
    for section, sentence in (
            ("{interval: 5, microbatches: 100000}", "validation.microbatches must be between 1 and 65536"),
            ("{interval: 5, microbatches: 60000}", "needs 120000: take fewer microbatches or a larger set"),
            ("{microbatches: 2}", "validation.interval is missing"),
            ("{interval: 5, data: no-such-set}", "no-such-set.idx"),
            ("{interval: 5, data: text}", "is the training data itself"),
            ("{interval: 5, data: other-tokens}", "was made with another tokenizer (sentencepiece 0123) than the training data (bytes)"),
            ("{intervall: 5}", "validation.interval is missing")):
        job = world.job("validation", ("chains: 8", f"chains: 8\nvalidation: {section}"))
        err = world.cli("local", job, "--dir", world.fresh("validation-dir"), status=2)[1]
        check(sentence in err, err)
    job = world.job("validation", ("data: text", "data: other-tokens"), ("chains: 8", "chains: 8\nvalidation: {interval: 5}"))
    err = world.cli("local", job, "--dir", world.fresh("validation-dir"), status=2)[1]
    check("there is no" in err and "other-tokens-validation.idx: name a set, or prepare the data with --validation SHARE" in err, err)


def checkpoint_of_another_model(world):
    directory = world.fresh("other-model")
    place = os.path.join(directory, "checkpoints")
    snapshots = f"every_steps: 1, checkpoint_every_steps: 5, dir: {place}"
    world.local(world.job("first-model", ("intermediate_size: 96", "intermediate_size: 64"), steps=6, snapshots=snapshots), world.fresh("first-model"))
    before = sorted(os.listdir(place))
    other = world.job("other-model", steps=6, snapshots=snapshots)
    for command in (["local", other, "--dir", os.path.join(directory, "run")], ["submit", other, "--etcd", "127.0.0.1:1"]):
        err = world.cli(*command, status=2)[1]
        check(place in err and "of a model of another shape; choose another directory" in err, err)
    check(sorted(os.listdir(place)) == before, "the other model's checkpoints changed")


def damaged_checkpoint(world):
    """Of the two newest checkpoints, a bit of the state and a bit of the manifest are wrong: both are named, the third is resumed from, and the bits at the end are the right ones."""
    directory, job = world.fresh("damaged-checkpoint"), world.job("damaged-checkpoint", steps=120, snapshots="every_steps: 1, checkpoint_every_steps: 5, keep_last: 3")

    def complete():
        place = os.path.join(directory, "checkpoints")
        found = [os.path.join(place, name) for name in os.listdir(place)] if os.path.isdir(place) else []
        return sorted((path for path in found if os.path.exists(os.path.join(path, "MANIFEST.json"))), key=step_of, reverse=True)

    def step_of(path):
        return int(re.search(r"step-(\d+)", os.path.basename(path)).group(1))

    def flip_bit(path):
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))
        return path

    process = subprocess.Popen([world.program("regroup"), "local", job, "--nodes", "3", "--dir", directory], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
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
    said = "".join(open(path, encoding="utf-8", errors="replace").read() for path in glob.glob(os.path.join(directory, "**", "*.log"), recursive=True))
    damaged = [line for line in said.splitlines() if "checkpoint_damaged" in line]
    check(damaged and all(state in line and "bytes " in line for line in damaged), "the damaged file is not named:", damaged)
    check(any("checkpoint_skipped" in line and manifest in line for line in said.splitlines()), "the damaged manifest is not named")
    check(any("checkpoint_read" in line and good in line for line in said.splitlines()), "read was not", good)


def saves_that_fail(world, name, place, sentence, spoil=lambda: None):
    """Training goes on to the right bits; the failure is in the journals, on /metrics and in what `regroup local` says."""
    expected = world.digest()
    with Cluster(world, name) as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        cluster.agent("n2")
        eventually("etcd answers", lambda: fetch(cluster.ports["n2"], "/healthz")[0] == 200)
        cluster.cli("submit", world.job(name, snapshots=f"every_steps: 1, checkpoint_every_steps: 5, dir: {place}"))
        eventually("the job trains", lambda: cluster.events("n1", "committed") or cluster.events("n2", "committed"), 60)
        spoil()
        eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 90)
        check(cluster.job()["weights_sha256"] == expected, "other bits")
        failed = [event for node in ("n1", "n2") for event in cluster.events(node, "checkpoint_failed")]
        check(failed and sentence in failed[0]["text"], failed[:2])
        check(sum(metric(cluster.ports[node], "regroup_checkpoint_failures_total") for node in ("n1", "n2")) == len(failed), "not counted")


def directory_not_writable(world):
    """Root may write everywhere but below a file: refused at once, survived when it becomes so."""
    below_a_file = os.path.join(world.job("a-file"), "checkpoints")
    for command in (["submit"], ["local"]):
        err = world.cli(*command, world.job("unwritable", snapshots=f"every_steps: 1, dir: {below_a_file}"), status=1)[1]
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


def full_disk(world):
    place = world.fresh("small-disk")
    os.makedirs(place)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], stderr=subprocess.PIPE, text=True, check=False) if os.geteuid() == 0 else None
    if mounted is None or mounted.returncode != 0:
        raise Skip("a small tmpfs cannot be mounted here: " + ("not root" if mounted is None else mounted.stderr.strip()))
    try:
        saves_that_fail(world, "full-disk", os.path.join(place, "checkpoints"), "No space left")
    finally:
        subprocess.run(["umount", place], check=True)


def strange_nodes(world):
    """Two agents of one name, two in one directory, a node of another version, a worker that dies at once."""
    with Cluster(world, "strange") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        eventually("n1 is there", lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200)
        # One directory.
        cluster.agent("second", directory=os.path.join(cluster.dir, "n1"))
        check(cluster.processes["second"].wait(20) == 2 and "another agent runs in" in cluster.said("second"), cluster.said("second"))
        # An old program.
        record = json.loads(cluster.etcdctl("get", "--print-value-only", "/regroup/default/nodes/n1"))
        record.update(version=0, node="old")
        cluster.etcdctl("put", "/regroup/default/nodes/old", json.dumps(record))
        # A worker that dies at once.
        crash = os.path.join(cluster.dir, "crash")
        with open(crash, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 3\n")
        os.chmod(crash, 0o755)
        cluster.agent("n2", "--worker", crash)
        # One name: the first stays.
        cluster.agent("namesake", node="n1")
        cluster.cli("submit", world.job("strange", steps=4000))
        eventually("the job trains", lambda: cluster.job().get("step", 0) > 3, 60)
        job = cluster.job()
        check(any("old" in note and "version" in note for note in job["notes"]), "the old node is not named:", job["notes"])
        check(any(key.endswith("nodes/old") for key in cluster.status()["unreadable"]), "not in status")
        check(all(member.startswith("n1/") for member in job["members"]), job["members"])
        eventually("the agent backs off", lambda: metric(cluster.ports["n2"], "regroup_worker_failures_total") >= 3, 20)
        check(metric(cluster.ports["n2"], "regroup_worker_starts_total") <= 6, "the worker is started again and again")
        check(cluster.events("n2", "worker_exited")[0]["status"] == 3, "not in the journal")
        check(cluster.processes["namesake"].wait(40) == 1 and "is held by another live agent" in cluster.said("namesake"), cluster.said("namesake"))
        check(cluster.job()["step"] > job["step"], "the job does not go on")


def data_damaged_on_one_node(world):
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

    for name, damage, sentence in (("cut", cut, "one of them was cut"), ("flipped", flip_bits, "text.bin is damaged: bytes ")):
        with Cluster(world, "one-" + name) as cluster:
            damaged = os.path.join(cluster.dir, "text.bin")
            shutil.copy(os.path.join(world.work, "text.bin"), damaged)
            damage(damaged)
            bind = ["unshare", "-m", "sh", "-c", f'mount --bind {damaged} {world.work}/text.bin && exec "$@"', "sh"]
            if subprocess.run([*bind, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
                raise Skip("a mount namespace of its own is not permitted here")
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


def slow_storage(world):
    """A checkpoint that takes for ever on one node (its agent is stopped, its worker is not) stops no step; those due meanwhile are left out."""
    with Cluster(world, "slow-storage") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        for name in ("n1", "n2"):
            cluster.agent(name)
        eventually("both nodes are there", lambda: fetch(cluster.ports["n2"], "/healthz")[0] == 200 and len(cluster.status()["nodes"]) == 2)
        place = os.path.join(cluster.dir, "checkpoints")
        cluster.cli("submit", world.job("slow-storage", steps=160, snapshots=f"every_steps: 1, checkpoint_every_steps: 1, dir: {place}"))
        eventually("both train", lambda: len(cluster.job().get("members", [])) == 2 and cluster.job().get("step", 0) > 3, 60)
        agent = cluster.processes["n2"]
        agent.send_signal(signal.SIGSTOP)
        stopped_at = cluster.job()["step"]
        eventually("steps go on", lambda: cluster.job()["step"] >= stopped_at + 5)
        agent.send_signal(signal.SIGCONT)
        check(metric(cluster.ports["n1"], "regroup_checkpoints_left_out_total") > 0, "no checkpoint was left out")
        eventually("the job is finished", lambda: cluster.job().get("state") == "finished", 120)
        check(cluster.job()["weights_sha256"] == world.digest(160), "other bits")
        check(json.loads(world.cli("checkpoint", "verify", place, "--json")[0])["step"] == 160, "the last step is not on disk")


def by_hand(world):
    """A user's morning: submit, look, scale, drain, take back, stop; nobody prints anything but JSON with --json."""
    with Cluster(world, "by-hand") as cluster:
        cluster.start_etcd()
        for name in ("c1", "c2"):
            cluster.coordinator(name)
        for name in ("n1", "n2", "n3"):
            cluster.agent(name)
        eventually("all nodes are there", lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200 and len(cluster.status()["nodes"]) == 3)
        path = world.job("by-hand", steps=100000, snapshots=f"every_steps: 1, checkpoint_every_steps: 20, dir: {cluster.dir}/checkpoints")
        check(json.loads(cluster.cli("submit", path, "--json")[0]) == {"job": "jobs-test"})
        check("exists and is not over yet; choose another name" in cluster.cli("submit", path, status=1)[1])

        def members(count):
            eventually(f"{count} members train", lambda: cluster.job().get("state") == "training" and len(cluster.job()["members"]) == count, 60)

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


def scrape(cluster):
    """Every metric that a user is promised is there and moves; promtool has nothing to say; a real Prometheus reads them."""
    agent, leader = cluster.ports["n1"], next(cluster.ports[name] for name in ("c1", "c2") if metric(cluster.ports[name], "regroup_coordinator_leading") == 1)
    for port in (agent, leader):
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=fetch(port, "/metrics")[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            check(done.returncode == 0 and not done.stdout, done.stdout)
        check(json.loads(fetch(port, "/status")[1]), "no status")
    check(json.loads(fetch(agent, "/status")[1])["workers"][0]["state"] == "training")
    positive = ["regroup_step", "regroup_steps_total", "regroup_tokens_total", "regroup_loss", "regroup_gradient_norm", "regroup_learning_rate", "regroup_epoch", "regroup_step_duration_seconds_count",
                "regroup_expert_tokens_total", "regroup_expert_load_max_mean_ratio", "regroup_regroups_total", "regroup_moved_bytes_total", "regroup_snapshot_duration_seconds_count",
                "regroup_snapshot_last_success_timestamp_seconds", "regroup_checkpoint_duration_seconds_count", "regroup_checkpoint_last_success_timestamp_seconds", "regroup_checkpoint_last_step"]
    for name in positive:
        check((metric(agent, name) or 0) > 0, name, "of the agent is", metric(agent, name))
    for phase in ("gather", "compute", "dispatch", "reduce", "vote", "update", "snapshot"):
        check(metric(agent, "regroup_step_phase_duration_seconds_count", f'phase="{phase}"') > 0, phase)
    for phase in ("decide", "stop", "agree", "move", "first_commit", "total"):
        check(metric(agent, "regroup_regroup_duration_seconds_count", f'phase="{phase}"') > 0, phase)
    for name, labels in (("regroup_members", ""), ("regroup_step", ""), ("regroup_groups", ""), ("regroup_job_plans_total", 'cause="scale"'), ("regroup_decide_duration_seconds_count", "")):
        check((metric(leader, name, labels) or 0) > 0, name, "of the coordinator is", metric(leader, name, labels))
    before = metric(agent, "regroup_step")
    eventually("the step moves", lambda: metric(agent, "regroup_step") > before)
    if not shutil.which("prometheus"):
        print("by-hand: Prometheus is not installed, not asked", flush=True)
        return
    config, port = os.path.join(cluster.dir, "prometheus.yml"), free_port()
    with open(config, "w", encoding="ascii") as file:
        json.dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [{"job_name": "regroup", "static_configs": [{"targets": [f"127.0.0.1:{agent}", f"127.0.0.1:{leader}"]}]}]}, file)
    cluster.start("prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={cluster.dir}/prometheus", f"--web.listen-address=127.0.0.1:{port}"])

    def ask(query):
        status, text = fetch(port, f"/api/v1/query?query={query}")
        return json.loads(text)["data"]["result"] if status == 200 else []   # it answers 503 while it starts

    eventually("both targets are up", lambda: [r["value"][1] for r in ask("up")] == ["1", "1"], 30)
    check(all(float(r["value"][1]) >= before for r in ask("regroup_step")) and len(ask("regroup_step")) == 2, ask("regroup_step"))


def interrupted(world):
    """Ctrl-C leaves no process, says how to go on, and going on ends with the same bits."""
    directory, job = world.fresh("interrupted"), world.job("interrupted", steps=120, snapshots="every_steps: 1, checkpoint_every_steps: 5")
    process = subprocess.Popen([world.program("regroup"), "local", job, "--nodes", "3", "--dir", directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually("a checkpoint is there", lambda: os.path.isdir(directory + "/checkpoints") and any(
        os.path.exists(os.path.join(directory, "checkpoints", name, "MANIFEST.json")) for name in os.listdir(directory + "/checkpoints")), 60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    check(process.returncode == 130, process.returncode, err)
    command = re.search(r"goes on from the checkpoint of step \d+ with: regroup (.*)$", err.strip())
    check(command, err)
    left = [entry for entry in os.listdir("/proc") if entry.isdigit() and directory in _command_line(entry)]
    check(not left, "left behind:", left)
    out, _ = world.cli(*command.group(1).split(), "--nodes", "2", "--json") if "--nodes" not in command.group(1) else world.cli(*re.sub(r"--nodes \d+", "--nodes 2", command.group(1)).split(), "--json")
    summary = json.loads(out)
    check(summary["weights_sha256"] == world.digest(120), "other bits")
    check("finished" in world.cli("local", job, "--dir", directory, status=1)[1], "a finished job begins again")
    # Before any checkpoint there is nothing to go on from, and it is said at once.
    directory, job = world.fresh("interrupted-early"), world.job("interrupted-early", steps=4000, snapshots="every_steps: 5")
    process = subprocess.Popen([world.program("regroup"), "local", job, "--dir", directory], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    journal = os.path.join(directory, "node-1", "journal.jsonl")
    eventually("a step is committed", lambda: os.path.exists(journal) and '"committed"' in open(journal, encoding="utf-8").read(), 60)
    process.send_signal(signal.SIGTERM)
    check("no checkpoint was written yet" in process.communicate(timeout=30)[1])
    err = world.cli("local", job, "--dir", directory, status=1)[1]
    check("nothing to go on from" in err, err)


def _command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


TRACE = "".join(f"{at},{what}\n" for at, what in ((600000, "add,a,b"), (660000, "add,c,d,e"), (900000, "remove,b"), (1200000, "remove,a,c"), (1260000, "add,f"), (1500000, "remove,d"), (1560000, "add,b,a")))


def trace(world):
    path = os.path.join(world.work, "small-trace.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write(TRACE)
    summary, _ = world.local(world.job("trace", steps=120), world.fresh("trace"), "--nodes", "3", "--trace", path, "--time-scale", "300", "--coordinators", "2")
    check(summary["ok"] and summary["weights_sha256"] == world.digest(120), summary["error"], "or other bits")
    deeds = [event["deed"] for event in summary["events"]]
    check(deeds.count("kill-node") >= 2 and deeds.count("join") >= 2, deeds)


def summary_of_a_run(world):
    """Everything that a script may rely on, with values that can be."""
    directory = world.fresh("summary")
    events = os.path.join(world.work, "summary.events")
    with open(events, "w", encoding="ascii") as file:
        json.dump([{"at_step": 8, "do": "kill-worker", "node": "node-2"}], file)
    summary, _ = world.local(world.job("summary"), directory, "--nodes", "3", "--events", events, "--metrics", "--profile", "3", "--profile-from", "8")
    check(summary["final_step"] == 40 == summary["steps"] == len(summary["loss"]) and summary["loss"][-1] < summary["loss"][0], summary["final_step"])
    check(summary["ok"] and summary["error"] == "" and summary["steps_lost"] == 0 and summary["samples_repeated"] == 0 and re.fullmatch("[0-9a-f]{64}", summary["weights_sha256"]))
    check(0 < summary["tokens_per_second"] < 1e7 and 0 < summary["seconds"] < 120, summary["tokens_per_second"])
    lost = next((r for r in summary["regroups"] if r["cause"] == "worker_lost"), None)
    check(lost, [r["cause"] for r in summary["regroups"]])
    for key in ("detect_ms", "decide_ms", "stop_ms", "agree_ms", "move_ms", "first_commit_ms", "total_ms"):
        check(0 <= lost[key] < 10000, key, lost[key])
    check(lost["total_ms"] > 0 and lost["members"] == 2 and lost["epoch"] > 1 and lost["source"] == "live" and lost["bytes_moved"] >= 0, lost)
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
        check(max(span["ts"] for span in whole) < min(span["ts"] + span["dur"] for span in whole), "step", step, "does not line up")


SCENARIOS = {"job-file": job_file, "command-line": command_line, "etcd-away": etcd_away, "damaged-data": damaged_data, "validation": validation, "checkpoint-of-another-model": checkpoint_of_another_model,
             "damaged-checkpoint": damaged_checkpoint,
             "directory-not-writable": directory_not_writable, "full-disk": full_disk, "strange-nodes": strange_nodes, "data-damaged-on-one-node": data_damaged_on_one_node, "slow-storage": slow_storage,
             "by-hand": by_hand, "interrupted": interrupted, "trace": trace, "summary": summary_of_a_run}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("scenario", nargs="+")
    options = parser.parse_args()
    if options.scenario == ["list"]:
        print("\n".join(SCENARIOS))
        return 0
    world = World(os.path.abspath(options.programs), os.path.abspath(options.work))
    results = []
    for name in SCENARIOS if options.scenario == ["all"] else options.scenario:
        start = time.monotonic()
        try:
            SCENARIOS[name](world)
            results.append(0)
            print(f"{name}: good ({time.monotonic() - start:.1f} s)", flush=True)
        except Skip as reason:
            results.append(SKIPPED)
            print(f"{name}: skipped: {reason}", flush=True)
        except AssertionError as error:
            results.append(1)
            print(f"FAILED {name}: {error}", flush=True)
    return 1 if 1 in results else SKIPPED if SKIPPED in results else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What a user or a machine may do wrong, against the real programs: each is refused or survived with one clear
sentence, and nothing is lost.

    bad_input.py --programs build/bin --work DIR SCENARIO...      ('all', 'list')

Listens on 127.0.0.1 only.
"""

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys

from cluster import check, Cluster, eventually, fetch, main, metric, World


def job_file(world: World) -> None:
    wrong = {
        "chains: 8": [
            ("chians: 8", "did you mean chains?"),
            ("chains: 16", "chains (16) must divide microbatches (8)"),
            ("chains: 3", "power of two"),
            ("chains: x", "whole number")],
        "max_groups: 2": [
            ("max_groups: 9", "max_groups (9) is above chains (8)"),
            ("max_group: 2", "elastic.max_group is not a key here; did you mean max_groups?")],
        "hidden_size: 64": [
            ("hidden_size: 66", "num_attention_heads = 4 does not divide"),
            ("hidden_size: -64", "must be between 1")],
        "num_hidden_layers: 2": [("num_hidden_layers: 1000000000", "must be at most")],
        "microbatches: 8": [("microbatches: 2000000000", "must be between 1 and")],
        "data: text": [("data: nowhere", "regroup data prepare"), ("data:", "data must be a text")],
        "vocab_size: 260": [("vocab_size: 100", "holds token 256")],
        "model:": [("model: [", "is not YAML")]}
    for old, cases in wrong.items():
        for new, sentence in cases:
            path = world.job("wrong", (old, new))
            for command in (["submit", path, "--etcd", "127.0.0.1:1"],
                            ["local", path, "--dir", world.fresh("wrong-dir")]):
                err = world.cli(*command, status=2)[1]
                check(sentence in err, command[0], new, ":", err)
            check(not os.path.exists(os.path.join(world.work, "wrong-dir")), "something was begun")
    check("the job file: cannot read nowhere.yaml: No such file" in world.cli("local", "nowhere.yaml", status=2)[1])
    job = world.job("wrong", elastic=dict(min_nodes=5))
    err = world.cli("local", job, "--nodes", "2", "--dir", world.fresh("wrong-dir"), status=2)[1]
    check("min_nodes = 5" in err, err)


def explained(words: list[str], text: str) -> None:
    """A sentence on what it does, how it is called, and every option with its own sentence."""
    description, found, rest = text.partition("Usage: ")
    check(found and len(description.split()) >= 3, words, "does not say what it does:", text)
    check(
        rest.split("\n")[0].split()[1:len(words)] == words[1:], words, "shows the usage of another:",
        rest.split("\n")[0])
    about = re.split(r"^  (?:--?[a-z])", rest.split("\n\n", 1)[1], flags=re.M)[1:]
    check(about and all(len(re.split(r"\s{2,}", option.strip(), maxsplit=1)) == 2 for option in about), words,
          "has an option without a word:", rest)


def command_line(world: World) -> None:
    for words, sentence in (
            (["lcoal", "x"], "did you mean local?"),
            (["status", "--etcd", "nonsense"], "not HOST:PORT"),
            (["status", "--dir", world.work], "cluster.json"),
            (["status", "--cluster", "a/b"], "no slash"),
            (["local", world.job("good"), "--summary", "/nowhere/x"], "cannot write --summary"),
            (["local", world.job("good"), "--trace", "/nowhere/x"], "cannot read the trace"),
            (["local", world.job("good"), "--events", "/nowhere/x"], "cannot read the events")):
        check(sentence in world.cli(*words, status=2)[1], words)
    for command in ("", "local", "submit", "status", "scale", "drain", "stop", "plan", "data", "data prepare",
                    "data check", "data show", "data train-tokenizer", "checkpoint", "checkpoint ls",
                    "checkpoint verify", "checkpoint digest", "checkpoint export"):
        explained(["regroup", *command.split()], world.cli(*command.split(), "--help")[0])
    for daemon in ("regroup-agent", "regroup-coordinator"):
        done = subprocess.run([world.program(daemon), "--help"],
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE,
                              text=True,
                              timeout=30,
                              check=False)
        check(done.returncode == 0 and not done.stderr, daemon, done.returncode, done.stderr)
        explained([daemon], done.stdout)
    below_a_file = world.job("good") + "/x"
    check("Not a directory" in world.cli("local", world.job("good"), "--dir", below_a_file, status=1)[1])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for program, options in (("regroup-coordinator", []), ("regroup-agent", ["--dir", world.fresh("agent")])):
            for more, sentence in (
                    (["--metrics", f"127.0.0.1:{port}"], "the port is in use"),
                    (["--metrics", "127.0.0.1:x"], "HOST:PORT"),
                    (["--etcd", "nonsense"], "not HOST:PORT"),
                    (["--log-file", below_a_file], "Not a directory"),
                    (["--cluster", "a/b"], "no slash"),
                    (["--no-such"], "--help")):
                done = subprocess.run([world.program(program), *options, *more],
                                      stderr=subprocess.PIPE,
                                      text=True,
                                      timeout=30,
                                      check=False)
                check(done.returncode == 2 and sentence in done.stderr, program, more, done.returncode, done.stderr)
    done = subprocess.run([world.program("regroup-agent"), "--dir", below_a_file],
                          stderr=subprocess.PIPE,
                          text=True,
                          timeout=30,
                          check=False)
    check(done.returncode == 2 and "Not a directory" in done.stderr, done.stderr)


def etcd_away(world: World) -> None:
    """Nobody answers: commands say so, daemons wait, say so on /healthz, and work as soon as it is there."""
    with Cluster(world, "etcd-away") as cluster:
        for words in (["submit", world.job("away")], ["status"], ["scale", "x", "--nodes", "2"], ["drain", "n1"],
                      ["stop", "x"]):
            out, err = cluster.cli(*words, "--json", status=1)
            check(out == "" and f"etcd at {cluster.etcd}: Connection refused" in err, words, out, err)
        cluster.coordinator("c1")
        cluster.agent("n1")
        for name in ("c1", "n1"):
            eventually(f"{name} says on /healthz that it has no etcd",
                       lambda: fetch(cluster.ports[name], "/healthz")[0] == 503)
        eventually("the coordinator's log says it", lambda: "etcd_out_of_contact" in cluster.said("c1"))
        for name in ("c1", "n1"):
            eventually(f"{name} says why", lambda: "Connection refused" in cluster.said(name))
            eventually(f"{name}'s page says why",
                       lambda: "Connection refused" in fetch(cluster.ports[name], "/healthz")[1])
        check(metric(cluster.ports["c1"], "regroup_store_connected") == 0)
        cluster.start_etcd()
        for name in ("c1", "n1"):
            eventually(f"{name} is well", lambda: fetch(cluster.ports[name], "/healthz")[0] == 200)
        eventually("the node is there", lambda: [node["node"] for node in cluster.status()["nodes"]] == ["n1"])
        # It is there, but not as they wish.
        err = world.cli("status", "--etcd", f"https://{cluster.etcd}", status=1)[1]
        check("no TLS is spoken there" in err or "the CAs that this system trusts" in err, err)
        for words in (["user", "add", "root:secret"], ["user", "grant-role", "root", "root"], ["auth", "enable"]):
            cluster.etcdctl(*words)
        cause = "etcdserver: user name is empty; its authentication is on"
        check(cause in cluster.cli("status", status=1)[1], "not what etcd says")
        eventually("the coordinator says it", lambda: cause in cluster.said("c1"))


def certificates(directory: str) -> tuple[str, str, str]:
    """A CA, and a certificate for 127.0.0.1 that it signed, for server and clients."""
    check(shutil.which("openssl"), "openssl is not installed")
    ca, key, request, cert = (os.path.join(directory, name) for name in ("ca.pem", "node.key", "node.csr", "node.pem"))
    ca_key, names = os.path.join(directory, "ca.key"), os.path.join(directory, "names")
    with open(names, "w", encoding="ascii") as file:
        file.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    for words in (
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test-ca", "-keyout", ca_key,
             "-out", ca],
            ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=node", "-keyout", key, "-out", request],
            ["x509", "-req", "-days", "2", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile",
             names, "-out", cert]):
        subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ca, cert, key


def etcd_with_tls(world: World) -> None:
    """Every program speaks TLS to etcd and shows its certificate; who has none, or the wrong CA, is told so."""
    with Cluster(world, "etcd-with-tls") as cluster:
        ca, cert, key = certificates(cluster.dir)
        tls = ["--etcd-ca", ca, "--etcd-cert", cert, "--etcd-key", key]
        url = f"https://{cluster.etcd}"
        cluster.start("etcd", [
            "etcd", f"--data-dir={cluster.dir}/etcd", f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
            f"--listen-peer-urls=http://{cluster.peer}", f"--initial-advertise-peer-urls=http://{cluster.peer}",
            f"--initial-cluster=default=http://{cluster.peer}", f"--cert-file={cert}", f"--key-file={key}",
            f"--trusted-ca-file={ca}", "--client-cert-auth", "--log-level=error"])
        cluster.coordinator("c1", *tls)
        cluster.agent("n1", *tls)
        eventually("the agent is registered", lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200)
        check(json.loads(cluster.cli("submit", world.job("tls"), *tls, "--json")[0])["job"] == "jobs-test")

        def job():
            return next(iter(json.loads(cluster.cli("status", "--json", *tls)[0])["jobs"]), {})

        eventually("the job is finished", lambda: job().get("state") == "finished", 60)
        check(job()["weights_sha256"] == world.digest(), "other bits")
        for command in (["scale", "jobs-test", "--nodes", "1"], ["stop", "jobs-test"]):
            check("is over" in cluster.cli(*command, *tls, status=1)[1], command)
        check("works for no job" in cluster.cli("drain", "n1", *tls, status=1)[1])
        other = os.path.join(cluster.dir, "other")
        os.mkdir(other)
        for less, sentence in (
                ([], "it speaks TLS: write https:// before HOST:PORT"),
                (tls[:2], "it wants a certificate of ours"),
                (["--etcd-ca", certificates(other)[0], *tls[2:]],
                 "its certificate is not trusted: unable to get local issuer"),
                (["--etcd-ca", key, *tls[2:]], "holds no certificate in PEM form"),
                ([*tls[:4], "--etcd-key", os.path.join(other, "node.key")], "is not the key of --etcd-cert")):
            status = 2 if sentence.endswith(("in PEM form", "of --etcd-cert")) else 1  # a file, or what etcd says
            check(sentence in cluster.cli("status", *less, status=status)[1], sentence, less)
        # With the CAs of the system, which do not know ours; where there are none, it is refused for that.
        err = world.cli("status", "--etcd", url, status=1)[1]
        check("its certificate is not trusted" in err or "the CAs that this system trusts" in err, err)
        check("says plain text" in world.cli("status", "--etcd", f"http://{cluster.etcd}", *tls, status=2)[1])
        check("--etcd-key" in cluster.cli("status", *tls[:4], status=2)[1])


def damaged_data(world: World) -> None:
    prefix = os.path.join(world.work, "damaged")
    for end in (".bin", ".sums", ".idx", ".json"):
        shutil.copy(os.path.join(world.work, "text" + end), prefix + end)
    with open(prefix + ".bin", "r+b") as file:
        file.seek(5000)
        file.write(b"\xff")
    job = world.job("damaged-data", data="damaged")
    for sentence in ("damaged.bin", "one of them was cut or belongs to other data"):
        for command in (["local", job, "--dir", world.fresh("damaged-dir")], ["submit", job, "--etcd", "127.0.0.1:1"]):
            err = world.cli(*command, status=2)[1]
            check(sentence in err, err)
        os.truncate(prefix + ".bin", 1000)
    foreign_index(world)


def foreign_index(world: World) -> None:
    """Megatron's files have no checksum: two sets merged with the document index of the first alone."""
    prefix = os.path.join(world.work, "merged")
    shutil.copy(os.path.join(world.work, "lines.bin"), prefix + ".bin")
    with open(os.path.join(world.work, "lines.idx"), "rb") as file:
        index = file.read()
    (sequences, ) = struct.unpack_from("<Q", index, 18)
    with open(prefix + ".idx", "wb") as file:
        file.write(index[:26] + struct.pack("<Q", 4) + index[34:34 + 12 * sequences] + struct.pack("<4q", 0, 1, 2, 3))
    job = world.job("merged-data", data="merged")
    sentence = f"merged.idx: its document index ends at sequence 3 of {sequences}"
    for command in (["local", job, "--dir", world.fresh("merged-dir")], ["submit", job, "--etcd", "127.0.0.1:1"],
                    ["data", "check", prefix]):
        err = world.cli(*command, status=1 if command[0] == "data" else 2)[1]
        check(sentence in err, command, err)


def validation(world: World) -> None:
    """Sets that cannot be validated on are refused before anything starts."""
    other = os.path.join(world.work, "other-tokens")
    for end in (".bin", ".sums", ".idx", ".json"):
        shutil.copy(os.path.join(world.work, "text-validation" + end), other + end)
    with open(other + ".json", encoding="utf-8") as file:
        record = json.load(file)
    with open(other + ".json", "w", encoding="utf-8") as file:
        json.dump({**record, "tokenizer": "sentencepiece", "tokenizer_xxh3": "0123"}, file)
    for section, sentence in (
            (dict(interval=5, microbatches=100000), "validation.microbatches must be between 1 and 65536"),
            (dict(interval=5, microbatches=60000), "needs 120000: take fewer microbatches or a larger set"),
            (dict(microbatches=2), "validation.interval is missing"),
            (dict(interval=5, data="no-such-set"), "no-such-set.idx"),
            (dict(interval=5, data="text"), "is trained on, as"),
            (dict(interval=5, data="other-tokens"),
             "was made with another tokenizer (sentencepiece 0123) than the training data (bytes)"),
            (dict(intervall=5), "validation.intervall is not a key here; did you mean interval?")):
        job = world.job("validation", validation=section)
        err = world.cli("local", job, "--dir", world.fresh("validation-dir"), status=2)[1]
        check(sentence in err, err)
    job = world.job("validation", data="other-tokens", validation=dict(interval=5))
    err = world.cli("local", job, "--dir", world.fresh("validation-dir"), status=2)[1]
    check(
        "there is no" in err
        and "other-tokens-validation.idx: name a set, or prepare the data with --validation SHARE" in err, err)


def strange_nodes(world: World) -> None:
    """Two agents of one name, two in one directory, a node of another version, a worker that dies at once."""
    with Cluster(world, "strange") as cluster:
        cluster.start_etcd()
        cluster.coordinator("c1")
        cluster.agent("n1")
        eventually("n1 is there", lambda: fetch(cluster.ports["n1"], "/healthz")[0] == 200)
        # One directory.
        cluster.agent("second", directory=os.path.join(cluster.dir, "n1"))
        refusal = f"an agent runs in {cluster.dir}/n1 (pid {cluster.processes['n1'].pid})"
        check(cluster.processes["second"].wait(20) == 2 and refusal in cluster.said("second"), cluster.said("second"))
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
        check(any("old" in note and "version" in note for note in job["notes"]), "the old node is not named:",
              job["notes"])
        check(any(key.endswith("nodes/old") for key in cluster.status()["unreadable"]), "not in status")
        check(all(member.startswith("n1/") for member in job["members"]), job["members"])
        eventually("the agent backs off", lambda: metric(cluster.ports["n2"], "regroup_worker_failures_total") >= 3, 20)
        check(metric(cluster.ports["n2"], "regroup_worker_starts_total") <= 6, "the worker is started again and again")
        check(cluster.events("n2", "worker_exited")[0]["status"] == 3, "not in the journal")
        # Other settings of the workers are other software.
        cluster.agent("n3", "--worker-env", "ONEDNN_MAX_CPU_ISA=AVX2")
        eventually("n3 is refused with its setting", lambda: any(
            "n3/" in note and "its fingerprint" in note and " ONEDNN_MAX_CPU_ISA=AVX2" in note
            for note in cluster.job()["notes"]))
        check(
            cluster.processes["namesake"].wait(40) == 1 and "is held by another live agent" in cluster.said("namesake"),
            cluster.said("namesake"))
        check(cluster.job()["step"] > job["step"], "the job does not go on")


SCENARIOS = {
    "job-file": job_file,
    "command-line": command_line,
    "etcd-away": etcd_away,
    "etcd-with-tls": etcd_with_tls,
    "damaged-data": damaged_data,
    "validation": validation,
    "strange-nodes": strange_nodes,
}

if __name__ == "__main__":
    sys.exit(main(__doc__, SCENARIOS))

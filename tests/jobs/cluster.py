"""etcd, coordinators and agents as a user starts them by hand, and what the scripts beside this file need of them:
bad_input.py, one_odd_node.py, bad_storage.py, user_runs.py, local_runs.py, same_name.py,
standing_still.py. Listens on 127.0.0.1 only.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs import Runner, Scenario, job_text, job_with

SKIPPED = 77  # ctest's SKIP_RETURN_CODE
CONSTANT = dict(schedule="constant")  # the first steps of a long job are those of a short one


class Skip(Exception):
    pass


def check(condition: Any, *what: Any) -> None:
    if not condition:
        raise AssertionError(" ".join(str(part) for part in what))


def eventually(what: str, condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What the condition is when it first holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def with_mount(*mount: str) -> list[str]:
    """What to put before a command that sees this mount, and nobody else does."""
    wrap = ["unshare", "-m", "sh", "-c", 'mount "$@"', "sh", *mount]
    if subprocess.run(wrap, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skip("a mount namespace of its own is not permitted here")
    return ["unshare", "-m", "sh", "-c", f'mount {shlex.join(mount)} && exec "$@"', "sh"]


def free_port() -> int:
    """Not of those that outgoing connections get: one of them may take it before anybody listens there."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def fetch(port: int, page: str) -> tuple[int, str]:
    """Status and text; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def metric(port: int, name: str, labels: str = "") -> float | None:
    """The sum of the samples of that name whose labels hold `labels`; None when there is none."""
    samples = re.finditer(rf"^{name}(\{{[^\n]*\}})? (\S+)$", fetch(port, "/metrics")[1], re.M)
    values = [float(sample.group(2)) for sample in samples if labels in (sample.group(1) or "")]
    return sum(values) if values else None


class Cluster:
    """etcd, coordinators and agents as a user starts them by hand."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.dir = os.path.join(world.work, name)
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.etcd = f"127.0.0.1:{free_port()}"
        self.peer = f"127.0.0.1:{free_port()}"
        self.processes: dict[str, subprocess.Popen] = {}
        self.ports: dict[str, int] = {}

    def __enter__(self) -> "Cluster":
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

    def start(self, name: str, argv: Sequence[str]) -> None:
        with open(self.log(name), "ab") as log:
            self.processes[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self, name: str) -> str:
        return os.path.join(self.dir, name + ".log")

    def said(self, name: str) -> str:
        with open(self.log(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def start_etcd(self) -> None:
        self.start("etcd", [
            "etcd", f"--data-dir={self.dir}/etcd", f"--listen-client-urls=http://{self.etcd}",
            f"--advertise-client-urls=http://{self.etcd}", f"--listen-peer-urls=http://{self.peer}",
            f"--initial-advertise-peer-urls=http://{self.peer}", f"--initial-cluster=default=http://{self.peer}",
            "--log-level=error"])

    def coordinator(self, name: str, *more: str) -> None:
        self.ports[name] = free_port()
        self.start(name, [
            self.world.program("regroup-coordinator"), "--etcd", self.etcd, "--id", name, "--metrics",
            f"127.0.0.1:{self.ports[name]}", *more])

    def agent(self, name: str, *more: str, directory: str | None = None, node: str | None = None,
              wrap: Sequence[str] = ()) -> None:
        self.ports[name] = free_port()
        directory = directory or os.path.join(self.dir, name)
        self.start(name, [
            *wrap, self.world.program("regroup-agent"), "--etcd", self.etcd, "--node", node or name, "--dir", directory,
            "--metrics", f"127.0.0.1:{self.ports[name]}", *more])

    def cli(self, *words: str, status: int = 0) -> tuple[str, str]:
        return self.world.cli(*words, "--etcd", self.etcd, status=status)

    def status(self) -> dict[str, Any]:
        return json.loads(self.cli("status", "--json")[0])

    def job(self, name: str = "jobs-test") -> dict[str, Any]:
        return next((job for job in self.status()["jobs"] if job["name"] == name), {})

    def etcdctl(self, *words: str) -> str:
        return subprocess.run(["etcdctl", f"--endpoints={self.etcd}", *words],
                              check=True,
                              stdout=subprocess.PIPE,
                              text=True,
                              env={**os.environ, "ETCDCTL_API": "3"}).stdout

    def journal(self, name: str) -> list[dict[str, Any]]:
        path = os.path.join(self.dir, name, "journal.jsonl")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        return [line for line in self.journal(name) if line["event"] == event]


class World:
    """The programs under test, and a directory to work in."""

    def __init__(self, programs: str, work: str) -> None:
        self.programs, self.work = programs, work
        self.runner = Runner(programs, work)
        self.runner.prepare()

    def program(self, name: str) -> str:
        return os.path.join(self.programs, name)

    def cli(self, *words: str, status: int = 0, timeout: float = 120) -> tuple[str, str]:
        """What `regroup` says on stdout and stderr."""
        done = subprocess.run([self.program("regroup"), *words],
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE,
                              text=True,
                              timeout=timeout,
                              check=False)
        check(done.returncode == status, "regroup", *words, "ended with", done.returncode, "not", status, ":",
              done.stdout[-500:], done.stderr[-500:])
        if status != 0:
            check(done.stderr.strip().count("\n") == 0 or "--help" in done.stderr, "more than one sentence:",
                  done.stderr)
        return done.stdout, done.stderr

    def job(self, name: str, *edits: tuple[str, str], **settings: Any) -> str:
        """A job file with these settings; then each edit, (what stands there, what shall stand there), as a user's hand
        may slip."""
        text = job_text(job_with(settings))
        for old, new in edits:
            check(old in text, old, "is not in the job file")
            text = text.replace(old, new)
        path = os.path.join(self.work, name + ".yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def fresh(self, name: str) -> str:
        path = os.path.join(self.work, name)
        shutil.rmtree(path, ignore_errors=True)
        return path

    def digest(self, steps: int = 40) -> str:
        """Of the weights after so many undisturbed steps."""
        return self.runner.baseline(Scenario(steps=steps))["weights_sha256"]

    def local(self, job: str, directory: str, *more: str, status: int = 0,
              timeout: float = 120) -> tuple[dict[str, Any], str]:
        """The summary of `regroup local`, and what it says on stderr."""
        out, err = self.cli("local", job, "--dir", directory, "--json", *more, status=status, timeout=timeout)
        return json.loads(out), err


def main(description: str, scenarios: Mapping[str, Callable[[World], None]], long: Sequence[str] = ()) -> int:
    """The command line of a file of scenarios: its exit status. `long`: for `./dev test --long` alone."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("scenario", nargs="+")
    options = parser.parse_args()
    if options.scenario == ["list"]:
        print("\n".join(name + ("!" if name in long else "") for name in scenarios))  # for CMake
        return 0
    world = World(os.path.abspath(options.programs), os.path.abspath(options.work))
    results = []
    for name in scenarios if options.scenario == ["all"] else options.scenario:
        start = time.monotonic()
        try:
            scenarios[name](world)
            results.append(0)
            print(f"{name}: good ({time.monotonic() - start:.1f} s)", flush=True)
        except Skip as reason:
            results.append(SKIPPED)
            print(f"{name}: skipped: {reason}", flush=True)
        except AssertionError as error:
            results.append(1)
            print(f"FAILED {name}: {error}", flush=True)
    return 1 if 1 in results else SKIPPED if SKIPPED in results else 0

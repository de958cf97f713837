"""A small job and what may be asked of one run of it: the job file, the scenario, the run, the check.

The scripts beside this file are tables of scenarios; this is what they share.
"""

import dataclasses
import difflib
import fcntl
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Settings = Mapping[str, Any]

JOB: Settings = {
    "name": "jobs-test",
    "seed": 11,
    "data": "text",
    "model": {
        "vocab_size": 260,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "expert_slices": 1,
    },
    "steps": 40,
    "microbatches": 8,
    "chains": 8,
    "sequences_per_microbatch": 2,
    "sequence_length": 64,
    "optimizer": {"learning_rate": 0.003, "warmup_steps": 4},
    "elastic": {"min_nodes": 1, "max_groups": 2},
    "snapshots": {"every_steps": 1},
    "heartbeat_ms": 200,
}


def job_with(settings: Settings, base: Settings = JOB) -> dict[str, Any]:
    """`base` with other values, or with more keys; sections are merged."""
    job = dict(base)
    for key, value in settings.items():
        job[key] = job_with(value, base.get(key, {})) if isinstance(value, Mapping) else value
    return job


def job_text(job: Settings) -> str:
    """As a user writes it: one key a line."""

    def lines(section: Settings, indent: str) -> Iterator[str]:
        for key, value in section.items():
            if isinstance(value, Mapping):
                yield f"{indent}{key}:"
                yield from lines(value, indent + "  ")
            else:
                yield f"{indent}{key}: {value if isinstance(value, str) else json.dumps(value)}"

    return "".join(line + "\n" for line in lines(job, ""))


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One run of a job, and what must be true of it."""

    # The job. Its bits depend on the first six.
    steps: int = 40
    slices: int = 1  # of an expert
    learning_rate: float = 0.003
    validate_every: int = 0
    data: str = "text"
    more: Settings = dataclasses.field(default_factory=dict)  # keys of the job file
    groups: int = 2
    min_nodes: int = 1
    snapshot_every: int = 1
    checkpoint_every: int = 0
    heartbeat_ms: int = 200
    # The cluster, and what happens to it: as in an events file.
    nodes: int = 1
    coordinators: int = 1
    events: Sequence[Settings] = ()
    # How it must end.
    fails: str = ""  # the job fails, and says this
    lost: int | None = 0  # so many steps may be computed again; None: any number
    sources: Sequence[str] = ()  # one of them must be among the regroups' sources
    causes: Sequence[str] = ()  # each must be among the regroups' causes
    never: Sequence[str] = ()  # none of these may
    all_events: bool = True  # each must have happened before the run was over

    BITS = ("steps", "slices", "learning_rate", "validate_every", "data", "more")

    @classmethod
    def of(cls, name: str, **keys: Any) -> "Scenario":
        """As a table gives it. A key that is none is refused: what it should have asked for would hold unasked."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in keys:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                raise ValueError(
                    f"{name}: {key} is not a key of a scenario"
                    + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}")
                )
        return cls(**keys)

    def undisturbed(self) -> "Scenario":
        """The run that this one is compared with: the same bits on one node."""
        return Scenario(**{key: getattr(self, key) for key in (*self.BITS, "fails")})

    def name_of_bits(self) -> str:
        changed = {key: getattr(self, key) for key in self.BITS[1:] if getattr(self, key) != getattr(Scenario(), key)}
        return str(self.steps) + "".join(
            "-" + re.sub(r"[^\w.+-]+", "-", f"{key}-{value}").strip("-") for key, value in changed.items()
        )

    def job(self) -> dict[str, Any]:
        validation = (
            {"validation": {"interval": self.validate_every, "microbatches": 30}} if self.validate_every else {}
        )
        return job_with(
            {
                "data": self.data,
                "model": {"expert_slices": self.slices},
                "steps": self.steps,
                "optimizer": {"learning_rate": self.learning_rate},
                "elastic": {"min_nodes": self.min_nodes, "max_groups": self.groups},
                "snapshots": {"every_steps": self.snapshot_every, "checkpoint_every_steps": self.checkpoint_every},
                "heartbeat_ms": self.heartbeat_ms,
                **self.more,
                **validation,
            }
        )


def write_text(path: str, seed: int) -> None:
    words = (
        "in the beginning was a small model that learned to spell from few words and many repetitions of them"
    ).split()
    choose = random.Random(seed)
    with open(path, "w", encoding="ascii") as file:
        for _ in range(3000):
            file.write(" ".join(choose.choice(words) for _ in range(9)) + ".\n")


class Runner:
    """Runs scenarios with `regroup local`; several at a time may share `work`."""

    def __init__(self, programs: str, work: str) -> None:
        self.regroup = os.path.join(programs, "regroup")
        self.work = work
        os.makedirs(work, exist_ok=True)

    def prepare(self) -> None:
        """Makes the data, once."""
        with open(os.path.join(self.work, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name, seed, form in (("text-validation", 6, "text"), ("text", 5, "text"), ("lines", 5, "lines")):
                prefix = os.path.join(self.work, name)
                if not os.path.exists(prefix + ".sums"):
                    write_text(prefix + ".txt", seed)
                    subprocess.run(
                        [self.regroup, "data", "prepare", prefix + ".txt", "--format", form, "--out", prefix],
                        check=True,
                    )

    def run(self, name: str, scenario: Scenario) -> dict[str, Any]:
        """The summary of the run."""
        directory = os.path.join(self.work, name)
        shutil.rmtree(directory, ignore_errors=True)
        job, happenings, summary = (
            os.path.join(self.work, name + end) for end in (".yaml", ".events", ".summary.json")
        )
        with open(job, "w", encoding="ascii") as file:
            file.write(job_text(scenario.job()))
        with open(happenings, "w", encoding="ascii") as file:
            json.dump(list(scenario.events), file)  # YAML holds JSON
        if os.path.exists(summary):
            os.remove(summary)
        command = [
            self.regroup,
            "local",
            job,
            "--nodes",
            str(scenario.nodes),
            "--coordinators",
            str(scenario.coordinators),
            "--dir",
            directory,
            "--events",
            happenings,
            "--summary",
            summary,
        ]
        status = subprocess.call(command, stdin=subprocess.DEVNULL)
        if status != (1 if scenario.fails else 0):
            raise AssertionError(f"{name}: regroup local ended with status {status}; logs in {directory}")
        with open(summary, encoding="utf-8") as file:
            result = json.load(file)
        shutil.rmtree(directory, ignore_errors=True)
        return result

    def baseline(self, scenario: Scenario) -> dict[str, Any]:
        """The summary of the undisturbed run with the same bits: computed once, and again for newer programs."""
        name = f"undisturbed-{scenario.name_of_bits()}"
        path = os.path.join(self.work, name + ".json")
        with open(path + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            newest = max(
                os.path.getmtime(os.path.join(os.path.dirname(self.regroup), program))
                for program in ("regroup", "regroup-worker", "regroup-agent")
            )
            if not os.path.exists(path) or os.path.getmtime(path) < newest:
                result = self.run(name, scenario.undisturbed())
                with open(path + ".new", "w", encoding="ascii") as file:
                    json.dump(result, file)
                os.rename(path + ".new", path)
            with open(path, encoding="ascii") as file:
                return json.load(file)


def violations(scenario: Scenario, result: Settings, baseline: Settings) -> Iterator[str]:
    """What is wrong with a run."""
    if result["weights_sha256"] != baseline["weights_sha256"]:
        yield (
            f"weights {result['weights_sha256']} differ from those of the undisturbed run, "
            f"{baseline['weights_sha256']}"
        )
    if result["loss"] != baseline["loss"]:
        yield "the losses differ from those of the undisturbed run"
    if result["validation"] != baseline["validation"] or bool(result["validation"]) != bool(scenario.validate_every):
        yield f"validations {result['validation']} differ from those of the undisturbed run, {baseline['validation']}"
    if result["bad_steps"] != baseline["bad_steps"]:
        yield f"bad steps {result['bad_steps']} differ from those of the undisturbed run, {baseline['bad_steps']}"
    if scenario.fails not in result["error"] or bool(result["error"]) != bool(scenario.fails):
        yield f"it ended with '{result['error']}'"
    if result["final_step"] != scenario.steps and not scenario.fails:
        yield f"it ended at step {result['final_step']}"
    if scenario.lost is not None and result["steps_lost"] > scenario.lost:
        yield f"{result['steps_lost']} steps were lost, at most {scenario.lost} may be"
    sources = "+".join(r["source"] for r in result["regroups"])
    if scenario.sources and not any(source in sources for source in scenario.sources):
        yield f"state came from {sources}, expected one of {scenario.sources}"
    causes = [r["cause"] for r in result["regroups"]]
    for cause in scenario.causes:
        if cause not in causes:
            yield f"no regroup had the cause {cause}, only {causes}"
    for cause in scenario.never:
        if cause in causes:
            yield f"a regroup had the cause {cause}"
    if not scenario.fails and not result["loss"][-1] < result["loss"][0]:
        yield "the loss did not fall"
    if scenario.all_events and len(result["events"]) != len(scenario.events):
        yield f"only {len(result['events'])} events happened before the run was over"

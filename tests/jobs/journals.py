"""What agents wrote into their journals below a directory."""

import glob
import json
import os
from collections.abc import Iterator
from typing import Any


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

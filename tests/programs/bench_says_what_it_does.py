#!/usr/bin/env python3
"""bench_says_what_it_does.py PROGRAM: --help answers on stdout with status 0; what it does not know ends it with 2."""
import subprocess
import sys


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


program = sys.argv[1]
status, out, err = run(program, "--help")
assert status == 0 and len(out.splitlines()[0]) > 40 and not err, (status, out, err)
for wrong in (["--no-such-option"], ["--help-me"], ["1", "2", "3", "4", "5", "6"]):
    status, out, err = run(program, *wrong)
    assert status == 2 and err and not out, (wrong, status, out, err)

#!/usr/bin/env python3
"""says_what_it_is.py PROGRAM VERSION: --version and --help answer on stdout with status 0, a wrong option with 2."""
import os
import subprocess
import sys


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


program, version = sys.argv[1:]
name = os.path.basename(program)
status, out, err = run(program, "--version")
assert (status, out, err) == (0, f"{name} {version}\n", ""), (status, out, err)
status, out, err = run(program, "--help")
assert status == 0 and "--version" in out and not err, (status, out, err)
status, out, err = run(program, "--no-such-option")
assert status == 2 and err, (status, out, err)

#!/usr/bin/env python3
"""run_where_installed.py CMAKE BUILD VERSION PROGRAMS...: after `cmake --install` they run in their new place."""
import os
import re
import subprocess
import sys
import tempfile

cmake, build, version, *programs = sys.argv[1:]
environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
with tempfile.TemporaryDirectory() as prefix:
    subprocess.run([cmake, "--install", build, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
    assert sorted(os.listdir(os.path.join(prefix, "bin"))) == sorted(programs), os.listdir(os.path.join(prefix, "bin"))
    for program in programs:
        command = [os.path.join(prefix, "bin", program), "--version"]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=environment).stdout
        assert said == f"{program} {version}\n", said
    docs = os.path.join(prefix, "share/doc/regroup")
    assert os.path.exists(os.path.join(docs, "README.md"))
    assert not os.path.exists(os.path.join(docs, "examples/demo/run"))  # it needs a checkout
    for folder, _, names in os.walk(docs):
        for page in (name for name in names if name.endswith(".md")):
            with open(os.path.join(folder, page), encoding="utf-8") as file:
                text = file.read()
            for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", text):
                assert os.path.exists(os.path.join(folder, target)), (folder, page, target)
            assert page != "README.md" or folder != docs or "](docs/design.md)" in text and "`bench/README.md`" in text

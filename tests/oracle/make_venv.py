#!/usr/bin/env python3
"""Makes the Python with the real transformers that the oracle tests compare with. Called by ./dev; quick when it is
there.

    make_venv.py VENV LIBTORCH

torch is the LibTorch wheel that the worker links: 530 MB that are there already. Its Python module wants NVIDIA's
libraries at load time, 2 GB that a CPU never calls; libraries of the same names whose every function ends the process
take their place. Another Python than the wheel's gets torch from PyPI with all that belongs to it.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

PINNED = ["transformers==5.23.0", "numpy==2.4.6", "safetensors==0.8.0", "tokenizers==0.23.3", "huggingface-hub==2.4.0"]
with open(os.path.join(os.path.dirname(__file__), "../../cmake/libtorch.txt"), encoding="ascii") as wheels:
    TORCH = re.search(r"^torch==(.+)$", wheels.read(), re.M)[1]
TORCH_NEEDS = ["filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec", "setuptools<82"]
LIBRARIES = {  # soname: what the names of its functions start with
    "libcublas.so.13": "cublas(?!Lt)",
    "libcublasLt.so.13": "cublasLt",
    "libcudnn.so.9": "cudnn",
    "libcufft.so.12": "cufft",
    "libcurand.so.10": "curand",
    "libcusparse.so.12": "cusparse(?!Lt)",
    "libcusparseLt.so.0": "cusparseLt",
    "libnccl.so.2": "nccl",
    "libcufile.so.0": "cuFile",
    "libnvshmem_host.so.3": "nvshmem",
}
PRELOAD = '''"""Loaded by regroup_stubs.pth before torch: names of NVIDIA's libraries that a CPU never calls."""
import ctypes
import os
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
for name in {names}:
    ctypes.CDLL(os.path.join({folder!r}, name), mode=ctypes.RTLD_GLOBAL)
'''


def say(text):
    print(f"\033[1m==> {text}\033[0m", file=sys.stderr, flush=True)


def missing_functions(libtorch):
    """name@version of what torch's libraries want from NVIDIA's."""
    wanted = {}
    for library in ("libtorch_python.so", "libtorch_cuda.so", "libtorch_nvshmem.so"):
        command = ["readelf", "-W", "--dyn-syms", os.path.join(libtorch, "torch/lib", library)]
        table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for line in table.splitlines():
            fields = line.split()
            if len(fields) >= 8 and fields[6] == "UND":
                name, _, version = fields[7].partition("@")
                wanted[name] = version
    return wanted


def make_stubs(libtorch, folder):
    os.makedirs(folder)
    wanted = missing_functions(libtorch)
    for soname, prefix in LIBRARIES.items():
        names = {name: version for name, version in wanted.items() if re.match(prefix, name)}
        source, script = os.path.join(folder, "stub.c"), os.path.join(folder, "stub.map")
        with open(source, "w", encoding="ascii") as file:
            file.write("#include <stdio.h>\n#include <stdlib.h>\n")
            for name in names:
                says = f"{name} is a stub of the oracle's Python, for the CPU alone"
                file.write(f'void {name}(void) {{ fputs("{says}\\n", stderr); abort(); }}\n')
        versions = {version for version in names.values() if version}
        with open(script, "w", encoding="ascii") as file:
            for version in versions:
                file.write(f"{version} {{ global: {' '.join(n + ';' for n, v in names.items() if v == version)} }};\n")
        command = ["gcc", "-shared", "-fPIC", "-w", "-o", os.path.join(folder, soname), f"-Wl,-soname,{soname}", source]
        subprocess.run(command + ([f"-Wl,--version-script={script}"] if versions else []), check=True)
        os.remove(source)
        os.remove(script)


def main():
    venv, libtorch = (os.path.abspath(path) for path in sys.argv[1:3])
    mark = os.path.join(venv, "complete")
    with open(__file__, encoding="utf-8") as file:
        recipe = file.read() + libtorch
    if os.path.exists(mark):
        with open(mark, encoding="utf-8") as file:
            if file.read() == recipe:
                return
    say(f"making {venv} for the oracle tests: {', '.join(PINNED)}, torch {TORCH}")
    os.makedirs(os.path.dirname(venv), exist_ok=True)
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = os.path.join(venv, "bin/python")
    reuse = sys.version_info[:2] == (3, 11)
    wanted = [*PINNED, *(TORCH_NEEDS if reuse else [f"torch=={TORCH}"])]
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], check=True)
    if reuse:
        site = os.path.join(venv, "lib/python3.11/site-packages")
        stubs = os.path.join(venv, "stubs")
        make_stubs(libtorch, stubs)
        with open(os.path.join(site, "regroup_stubs.py"), "w", encoding="utf-8") as file:
            file.write(PRELOAD.format(names=list(LIBRARIES), folder=stubs))
        with open(os.path.join(site, "regroup_stubs.pth"), "w", encoding="utf-8") as file:
            file.write(libtorch + "\nimport regroup_stubs\n")
    with tempfile.TemporaryDirectory() as elsewhere:
        trial = "import torch, transformers, safetensors, numpy; assert float(torch.ones(3).sum()) == 3"
        subprocess.run([python, "-c", trial], check=True, cwd=elsewhere)
    with open(mark, "w", encoding="utf-8") as file:
        file.write(recipe)


main()

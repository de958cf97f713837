"""Who includes what: layers, forms, includes, outside."""
import os
import re

import layers
from checks.tree import SOURCES, code_lines

OTHER_ENDINGS = (".h", ".hh", ".hxx", ".h++", ".inc", ".inl", ".ipp", ".tpp", ".tcc", ".c", ".cc", ".cxx", ".c++",
                 ".cppm", ".ixx", ".cu", ".cuh")


def folder_of(path):
    top = path.split("/")[0]
    folder = top if layers.MAY_INCLUDE.get(top) == "*" else os.path.dirname(path)
    return folder if folder in layers.MAY_INCLUDE else None


def includes_of(tree, path):
    for number, line in tree.lines(path):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found[1] == '"', found[2]


def check_forms(tree):
    for path in tree.having(OTHER_ENDINGS):
        tree.complain(path, 1, "sources end in .cpp and .hpp: no check sees another ending")
    for path in tree.having(SOURCES):
        for number, line in code_lines(tree, path):
            if re.match(r"\s*#\s*import\b", line):
                tree.complain(path, number, "#import: write #include")
            elif re.match(r'\s*#\s*include(_next)?\b(?!\s*[<"])|\s*#\s*include_next', line):
                tree.complain(path, number, "an include that no check can read: write the file's name")
        for number, quoted, name in includes_of(tree, path):
            if not quoted and tree.exists(name):
                tree.complain(path, number, f"<{name}> is a file of this tree: write it between quotes")


def check_layers(tree, may_include=layers.MAY_INCLUDE):
    """The table itself: it names only folders that there are; no two see each other, not even around corners."""
    table = {folder: [f for f in may.split() if f != "*"] for folder, may in may_include.items()}
    for folder, may in table.items():
        if not any(f.startswith(folder + "/") and f.endswith(SOURCES) for f in tree.files):
            tree.complain("tests/tidy/layers.py", 1, f"there is no source in {folder}/")
        for name in may:
            if name not in table:
                tree.complain("tests/tidy/layers.py", 1, f"{folder} may include {name}, which has no line of its own")
            elif name not in {os.path.dirname(included) for path in tree.having(SOURCES)
                              if os.path.dirname(path) == folder for _, _, included in includes_of(tree, path)}:
                tree.complain("tests/tidy/layers.py", 1, f"{folder} may include {name}, and nothing there does")
    below = {folder: set(may) for folder, may in table.items()}
    for _ in table:
        for seen in below.values():
            seen |= {deeper for folder in seen if folder in below for deeper in below[folder]}
    for folder, seen in below.items():
        if folder in seen:
            tree.complain("tests/tidy/layers.py", 1, f"{folder} may include what includes it")


def check_includes(tree):
    for path in tree.having(SOURCES):
        here = folder_of(path)
        if here is None:
            tree.complain(path, 1, "lies in no folder that tests/tidy/layers.py knows")
            continue
        may = layers.MAY_INCLUDE[here].split()
        for number, quoted, name in includes_of(tree, path):
            if not quoted:
                continue
            generated = name.endswith(".pb.h")
            if not generated and not tree.exists(name):
                tree.complain(path, number, f'"{name}" is no file of this tree (name it from the root)')
                continue
            there = here if generated and here == "store/etcd" else folder_of(name)
            if there != here and there not in may and "*" not in may:
                tree.complain(path, number, f'{here} must not include {there or "generated code"} ("{name}")')


def check_outside(tree):
    for path in tree.having(SOURCES):
        here = folder_of(path)
        for number, quoted, name in includes_of(tree, path):
            if quoted:
                continue
            if name in layers.NEVER:
                tree.complain(path, number, f"<{name}> is the whole library; include what is used")
            for start, where in layers.OUTSIDE.items():
                at_home = any(path == w or (w.endswith("/") and path.startswith(w)) for w in where.split())
                if name.startswith(start) and not at_home:
                    tree.complain(path, number, f"<{name}> belongs to {where}")
            if here in layers.PURE and re.fullmatch(layers.NOT_PURE_HEADERS, name):
                tree.complain(path, number, f"{here} is pure: no <{name}>")
            if here in layers.CORES_USE_ONLY_STD and ("/" in name or name.endswith(".h")):
                tree.complain(path, number, f"{here} uses std alone: no <{name}>")
        if here in layers.PURE:
            for number, line in code_lines(tree, path):
                if re.search(layers.NOT_PURE_CALLS, line):
                    tree.complain(path, number, f"{here} is pure: {line.strip()}")

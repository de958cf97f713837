#!/usr/bin/env python3
"""tidy.py ROOT CHECK: what a compiler does not see. Prints each violation as file:line: what; exit status 1
if there is one.

layers     the table of layers.py has no circle and no folder that is not there
includes   folders include only what lies below them; a name between quotes is a file of this tree
outside    headers of libraries stay where they belong; pure folders stay pure
lines      no line is longer than .clang-format's limit (in .md: outside tables, code blocks and links), no tabs,
           no blanks at the end, a newline at the end
sizes      a file of the product has 250 lines at most
format     clang-format 14 would change nothing
mutexes    the product's mutexes are those of base/mutex.hpp, which clang checks
leftovers  no TODO, FIXME, XXX, debugging output or conflict marks
readme     what README.md names exists; links in every .md lead somewhere
units      a .cpp has a header of its name, or the README of its folder names it
names      files that the folders' READMEs name exist
paths      paths between back-ticks in docs/*.md that begin with a folder of this tree exist, and so do their lines
versions   numbers of versions in the documents are those of the code
types      no two headers define a type of one name in one namespace
tests      every folder of tests/ is built, every test source is compiled
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import layers

SOURCES = (".cpp", ".hpp")
LIMITED = SOURCES + (".py", ".md", ".cmake", "CMakeLists.txt", ".yaml", ".proto")
TEXTS = LIMITED + (".txt",)
MOST_LINES = 250
CLANG_FORMAT = 14  # another version lays out otherwise
FENCES = ("```", "~~~")


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "build", "shared", "__pycache__")))
            self.files += [os.path.relpath(os.path.join(folder, name), root) for name in sorted(names)]
        self.found = []

    def having(self, endings):
        return [f for f in self.files if f.endswith(endings)]

    def text(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read()

    def lines(self, path):
        return list(enumerate(self.text(path).splitlines(), 1))

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def complain(self, path, line, what):
        self.found.append(f"{path}:{line}: {what}")


def folder_of(path):
    top = path.split("/")[0]
    folder = top if layers.MAY_INCLUDE.get(top) == "*" else os.path.dirname(path)
    return folder if folder in layers.MAY_INCLUDE else None


def includes_of(tree, path):
    for number, line in tree.lines(path):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found[1] == '"', found[2]


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
            for number, line in tree.lines(path):
                if re.search(layers.NOT_PURE_CALLS, line.split("//")[0]):
                    tree.complain(path, number, f"{here} is pure: {line.strip()}")


def prose_of(tree, path):
    """The lines of a page that are no code block (fenced, or indented by four after an empty line) and no table."""
    fenced, indented, before = False, False, ""
    for number, line in tree.lines(path):
        indented = line.startswith("    ") and (indented or not before) or indented and not line
        before = line
        if line.lstrip().startswith(FENCES):
            fenced = not fenced
        elif not fenced and not indented and not line.lstrip().startswith("|"):
            yield number, line


def check_lines(tree):
    limit = int(re.search(r"^ColumnLimit:\s*(\d+)", tree.text(".clang-format"), re.M)[1])
    for path in tree.having(TEXTS):
        text = tree.text(path)
        if text and not text.endswith("\n"):
            tree.complain(path, text.count("\n") + 1, "no newline at the end")
        for number, line in tree.lines(path):
            if "\t" in line:
                tree.complain(path, number, "a tab")
            if line != line.rstrip():
                tree.complain(path, number, "blanks at the end")
    for path in tree.having(LIMITED):
        for number, line in prose_of(tree, path) if path.endswith(".md") else tree.lines(path):
            length = len(re.sub(r"\]\([^)]*\)", "]", line)) if path.endswith(".md") else len(line)
            if length > limit:
                tree.complain(path, number, f"{length} characters; {limit} at most (.clang-format)")


def check_sizes(tree):
    for path in tree.having(SOURCES):
        lines = len(tree.lines(path))
        if lines > MOST_LINES and not path.startswith(("tests/", "bench/")):
            tree.complain(path, MOST_LINES + 1, f"{lines} lines; {MOST_LINES} at most (CONTRIBUTING.md)")


def check_format(tree):
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    if f"version {CLANG_FORMAT}." not in version:
        tree.complain(".clang-format", 1, f"needs clang-format {CLANG_FORMAT}, not {version.strip()}")
        return
    command = ["clang-format", "--dry-run", "-Werror", *tree.having(SOURCES)]
    for line in subprocess.run(command, cwd=tree.root, capture_output=True, text=True).stderr.splitlines():
        found = re.match(r"(?:\./)?([\w./-]+):(\d+):\d+: error: ", line)
        if found:
            tree.complain(found[1], int(found[2]), "clang-format lays this out otherwise (./dev fmt)")


def check_mutexes(tree):
    # A std::recursive_mutex may stay: Mutex is none.
    plain = re.compile(r"\bstd::((timed_|shared_)?mutex|condition_variable|(lock_guard|unique_lock)\b(?!<std::rec))\b")
    for path in tree.having(SOURCES):
        if path.startswith(("tests/", "bench/")) or path == "base/mutex.hpp":
            continue
        for number, line in tree.lines(path):
            found = plain.search(line.split("//")[0])
            if found:
                tree.complain(path, number, f"{found[0]}: clang cannot check it; base/mutex.hpp has one that it can")


def check_leftovers(tree):
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b|^(<<<<<<<|>>>>>>>) ")
    for path in tree.having(TEXTS):
        if path.startswith("tests/tidy/"):
            continue
        for number, line in tree.lines(path):
            found = marks.search(line)
            if found:
                tree.complain(path, number, found[0])
            daemon = path.endswith(SOURCES) and not path.startswith(("tests/", "bench/", "cli/"))
            if daemon and re.search(r"std::c(out|err)\b", line):
                tree.complain(path, number, "prints by itself: log it, or return it")


def check_readme(tree):
    for number, line in tree.lines("README.md"):
        for name in re.findall(r"`([\w./-]+/)`", line):
            if not name.startswith(("build", "/", "~")) and not tree.exists(name):
                tree.complain("README.md", number, f"there is no {name}")
    for path in tree.having((".md",)):
        for number, line in tree.lines(path):
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                if not re.match(r"\w+:", target) and not tree.exists(os.path.join(os.path.dirname(path), target)):
                    tree.complain(path, number, f"the link leads nowhere: {target}")


def readme_of(tree, folder):
    while folder and not tree.exists(os.path.join(folder, "README.md")):
        folder = os.path.dirname(folder)
    return os.path.join(folder, "README.md")


def check_units(tree):
    for path in tree.having((".cpp",)):
        folder, name = os.path.split(path.removesuffix(".cpp"))
        if path.startswith(("tests/", "bench/")) or name == "main" or tree.exists(f"{folder}/{name}.hpp"):
            continue
        page = readme_of(tree, folder)
        told = {os.path.basename(word).removesuffix(".cpp") for word in re.findall(r"`([\w./-]+)`", tree.text(page))}
        if name not in told:
            tree.complain(path, 1, f"has no header of its name, and {page} does not say what it is")


def exists_below(tree, folder, name):
    below = [f.removeprefix(folder) for f in tree.files if f.startswith(folder + "/")]
    return tree.exists(name) or tree.exists(os.path.join(folder, name)) or any(f.endswith("/" + name) for f in below)


def check_types(tree):
    """A name means one type in a namespace: two headers that both define it cannot be included together."""
    defined = {}
    for path in tree.having((".hpp",)):
        namespace = ""
        for number, line in tree.lines(path):
            opened = re.match(r"(?:inline )?namespace ([\w:]+) \{", line)
            namespace = opened[1] if opened else namespace
            found = re.match(r"(?:struct|class|enum(?: class)?) (?:REGROUP_\w+(?:\([^)]*\))? )?(\w+)\b[^;]*$", line)
            found = found or re.match(r"(?:struct|class|enum(?: class)?) (\w+)[^;]*\{", line)
            if not found:
                continue
            first = defined.setdefault((namespace, found[1]), path)
            if first != path:
                tree.complain(path, number, f"{namespace}::{found[1]} is a type of {first}, too")


def check_names(tree):
    """Words between back-ticks: in a table's column `file` those without an ending, and everywhere those that end as
    sources do. They lie at that path from the root, or end so anywhere below the page's folder."""
    for path in tree.having(("/README.md",)):
        folder, in_table = os.path.dirname(path), False
        for number, line in tree.lines(path):
            cells = line.split("|")
            in_table = line.startswith("|") and (in_table or cells[1].strip() in ("file", "folder"))
            names = set(re.findall(r"`([\w./-]+\.(?:cpp|hpp|py|proto))`", line))
            names |= set(re.findall(r"`([\w/-]+)`", cells[1])) if in_table else set()
            for name in sorted(names):
                if not any(exists_below(tree, folder, name + end) for end in ("", ".hpp", ".cpp", ".py")):
                    tree.complain(path, number, f"there is no {name}")


def check_paths(tree):
    folders = {file.split("/")[0] for file in tree.files if "/" in file}
    for path in [file for file in tree.files if re.fullmatch(r"docs/[^/]+\.md", file)]:
        for number, line in tree.lines(path):
            for name, row in re.findall(r"`([\w-]+/[\w./-]*)(?::(\d+))?`", line):
                if name.split("/")[0] not in folders:
                    continue
                if not any(tree.exists(name + end) for end in ("", ".hpp", ".cpp", ".py")):
                    tree.complain(path, number, f"there is no {name}")
                elif row and int(row) > len(tree.lines(name)):
                    tree.complain(path, number, f"{name} has no line {row}")


# Page, what it says there, file, what the code says there: all numbers that the first finds are the second's.
VERSIONS = [
    ("docs/protocol.md", r"node record \| `version: (\d+)`", "api/records.hpp", r"kProtocolVersion = (\d+);"),
    ("docs/protocol.md", r'"node":"\w+","slots":\d+,"version":(\d+)', "api/records.hpp", r"kProtocolVersion = (\d+);"),
    ("docs/protocol.md", r"mesh handshake \| `RGH1`, `version: (\d+)`", "mesh/handshake.cpp", r"kVersion = (\d+);"),
    ("docs/protocol.md", r"HELLO \| dialler \| u16 `version: (\d+)`", "mesh/handshake.cpp", r"kVersion = (\d+);"),
    ("docs/protocol.md", r"mesh frame \| `RGF(\d)`", "mesh/wire.cpp", r'kMagic = \w+;  // "RGF(\d)"'),
    ("docs/protocol.md", r"peer port \| `RGP(\d)`", "api/snapshots/peer_wire.cpp", r"'R', 'G', 'P', '(\d)'"),
    ("docs/protocol.md", r"`regroup-checkpoint/(\d+)`", "checkpoint/core/manifest.cpp", r'kFormat = "[a-z-]+/(\d+)"'),
    ("docs/protocol.md", r"`regroup-checkpoint-part/(\d+)`", "checkpoint/core/manifest.cpp",
     r'kPartFormat = "[a-z-]+/(\d+)"'),
    ("docs/protocol.md", r'data \| `"format": (\d+)`', "moe/data/prepare/prepare.cpp", r'\["format"\] = (\d+);'),
    ("docs/protocol.md", r"order of samples \| `sample_order: (\d+)`", "api/orders.hpp", r"kSampleOrder = (\d+);"),
    ("docs/protocol.md", r"order of sums \| `sums: (\d+)`", "api/orders.hpp", r"kSums = (\d+);"),
    ("docs/protocol.md", r"Megatron index `version: (\d+)`", "moe/data/index_file.cpp", r"\(version != (\d+)\)"),
    ("docs/protocol.md", r"`PREFIX.idx`: `MMIDIDX\\0\\0`, u64 `version: (\d+)`", "moe/data/index_file.cpp",
     r"\(version != (\d+)\)"),
]


def check_versions(tree):
    for page, says, file, is_there in VERSIONS:
        if not tree.exists(page):
            continue
        code = re.search(is_there, tree.text(file)) if tree.exists(file) else None
        if not code:
            tree.complain(file, 1, f"has no {is_there}, which {page} is compared with: tell tests/tidy/tidy.py")
            continue
        said = [(number, found) for number, line in tree.lines(page) for found in re.findall(says, line)]
        if not said:
            tree.complain(page, 1, f"says nothing like {says}, which {file} is compared with")
        for number, found in said:
            if found != code[1]:
                tree.complain(page, number, f"says version {found}; {file} says {code[1]}")


def check_tests(tree):
    built = set(re.findall(r"add_subdirectory\((\w+)\)", tree.text("tests/CMakeLists.txt")))
    folders = {f.split("/")[1] for f in tree.files if f.startswith("tests/") and f.count("/") > 1}
    for name in sorted(folders - built):
        tree.complain("tests/CMakeLists.txt", 1, f"tests/{name} is not built")
    for name in sorted(folders):
        cmake = f"tests/{name}/CMakeLists.txt"
        compiled = tree.text(cmake) if tree.exists(cmake) else ""
        for path in tree.having((".cpp",)):
            inner = path.removeprefix(f"tests/{name}/")
            if inner != path and inner not in re.split(r"[\s()]+", compiled):
                tree.complain(path, 1, f"is not compiled: {cmake} does not name it")


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}


def violations(root, check):
    tree = Tree(root)
    CHECKS[check](tree)
    return tree.found


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in CHECKS:
        sys.exit(f"usage: tidy.py ROOT CHECK\n\n{__doc__}")
    found = violations(sys.argv[1], sys.argv[2])
    print("\n".join(found))
    sys.exit(1 if found else 0)

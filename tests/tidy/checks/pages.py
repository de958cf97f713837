"""What pages name exists: readme, names, paths, functions."""
import os
import re

from checks.tree import SOURCES

ENDINGS = ("", ".hpp", ".cpp", ".py")
NAMED = r"cpp|hpp|py|proto"
INLINE_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'(][^)]*)?\)")
PATH = re.compile(r"`(?:\./)?([\w.-]*[/.][\w./-]*)(?:::([\w:~]+)\(?\)?)?(?::|#L)?(\d+)?`")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)")


def check_readme(tree):
    for number, line in tree.lines("README.md"):
        for name in re.findall(r"`([\w./-]+/)`", line):
            if not name.startswith(("build", "/", "~")) and not tree.exists(name):
                tree.complain("README.md", number, f"there is no {name}")
    for path in tree.having((".md",)):
        for number, line in tree.lines(path):
            for link in INLINE_LINK.findall(line) + REFERENCE.findall(line):
                target, _, part = link.partition("#")
                if not target or re.match(r"\w+:", target):
                    continue
                file = os.path.normpath(os.path.join(os.path.dirname(path), target))
                row = re.fullmatch(r"L(\d+)", part)
                if not tree.exists(file):
                    tree.complain(path, number, f"the link leads nowhere: {target}")
                elif row and file in tree.files and int(row[1]) > len(tree.lines(file)):
                    tree.complain(path, number, f"{file} has no line {row[1]}")


def exists_below(tree, folder, name):
    below = [f.removeprefix(folder) for f in tree.files if f.startswith(folder + "/")]
    return tree.exists(name) or tree.exists(os.path.join(folder, name)) or any(f.endswith("/" + name) for f in below)


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


def is_page(path):
    return re.fullmatch(r"docs/([^/]+/)*[^/]+\.md|CONTRIBUTING\.md|SECURITY\.md", path)


def file_named(tree, name):
    """The file or folder of that name from the root, where an ending may be left out; None: there is none."""
    return next((name + end for end in ENDINGS if tree.exists(name + end)), None)


def check_paths(tree):
    folders = {file.split("/")[0] for file in tree.files if "/" in file}
    base_names = {os.path.basename(file) for file in tree.files}
    for path in filter(is_page, tree.files):
        for number, line in tree.lines(path):
            for name, function, row in PATH.findall(line):
                is_source = re.search(rf"\w\.({NAMED})$", name)
                if "/" not in name:
                    if is_source and name not in base_names:
                        tree.complain(path, number, f"there is no {name}")
                    continue
                if name.split("/")[0] not in folders and not is_source or name.startswith("/"):
                    continue
                file = file_named(tree, name)
                if not file:
                    tree.complain(path, number, f"there is no {name}")
                elif row and (file not in tree.files or int(row) > len(tree.lines(file))):
                    tree.complain(path, number, f"{name} has no line {row}")
                elif function and not re.search(rf"\b{function.split('::')[-1]}\b", tree.text(file)):
                    tree.complain(path, number, f"{name} has no {function}")


def check_functions(tree):
    """docs/failover.md follows one failover through the code: each `Type::function` of it stands in a source that
    speaks of that type."""
    page = "docs/failover.md"
    if not tree.exists(page):
        tree.complain(page, 1, "is gone: tell tests/tidy/checks/pages.py")
        return
    texts = [tree.text(path) for path in tree.having(SOURCES)]
    for number, line in tree.lines(page):
        for owner, name in re.findall(r"`(?:\w+::)*(\w+)::(\w+)(?:\(\))?`", line):
            kinds = "class|struct|namespace|enum class"
            known = re.compile(rf"\b{owner}::{name}\b|\b(?:{kinds}) (?:\w+::)*{owner}\b(?s:.*)\b{name}\b")
            if not any(known.search(text) for text in texts):
                tree.complain(page, number, f"there is no {owner}::{name}")

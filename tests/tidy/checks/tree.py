"""The files of this tree, and what is code, prose or a string in them."""
import fnmatch
import os
import re

SOURCES = (".cpp", ".hpp")
FENCES = ("```", "~~~")
HIDDEN_BUT_OURS = (".ci",)


class Tree:
    def __init__(self, root):
        self.root = root
        self.found = []
        self.files = []
        at_top = self.ignored_at_the_top()
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if f != "__pycache__"
                                and (not f.startswith(".") or f in HIDDEN_BUT_OURS)
                                and not (folder == root and any(fnmatch.fnmatch(f, p) for p in at_top)))
            self.files += [os.path.relpath(os.path.join(folder, name), root) for name in sorted(names)]

    def ignored_at_the_top(self):
        patterns = self.text(".gitignore").splitlines() if self.exists(".gitignore") else []
        return [p.strip("/") for p in patterns if p.startswith("/") and p.endswith("/")] + ["shared"]

    def having(self, endings):
        return [f for f in self.files if f.endswith(endings)]

    def text(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", newline="") as file:
            return file.read()

    def lines(self, path):
        return numbered(self.text(path))

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def complain(self, path, line, what):
        self.found.append(f"{path}:{line}: {what}")


def numbered(text):
    lines = text.split("\n")
    return list(enumerate(lines if lines[-1] else lines[:-1], 1))


NO_CODE = re.compile(r'''R"([^()\\\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])*\''''
                     r"|//[^\n]*|/\*.*?\*/", re.S)


def code_of(tree, path):
    """The text of a C++ file without comments and without what stands in strings; lines keep their numbers."""
    def blank(found):
        return ("" if found[0].startswith("/") else '""') + "\n" * found[0].count("\n")

    return NO_CODE.sub(blank, tree.text(path))


def code_lines(tree, path):
    return numbered(code_of(tree, path))


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

"""How files look: lines, sizes, format, leftovers."""
import re
import subprocess

from checks.tree import SOURCES, prose_of

SCRIPTS = ("dev", ".ci/run")
LIMITED = SOURCES + (".py", ".md", ".cmake", "CMakeLists.txt", ".yaml", ".yml", ".proto", ".sh", ".json", ".in")
TEXTS = LIMITED + (".txt",)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
MOST_LINES = 250
CLANG_FORMAT = 14  # another version lays out otherwise


def having(tree, endings):
    return tree.having(endings) + [path for path in SCRIPTS if tree.exists(path)]


def check_lines(tree):
    limit = int(re.search(r"^ColumnLimit:\s*(\d+)", tree.text(".clang-format"), re.M)[1])
    for path in having(tree, TEXTS):
        text = tree.text(path)
        if text and not text.endswith("\n"):
            tree.complain(path, text.count("\n") + 1, "no newline at the end")
        for number, line in tree.lines(path):
            if "\t" in line:
                tree.complain(path, number, "a tab")
            elif CONTROL.search(line):
                tree.complain(path, number, "a control character")
            elif line != line.rstrip():
                tree.complain(path, number, "blanks at the end")
    for path in having(tree, LIMITED):
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


def check_leftovers(tree):
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b|^(<<<<<<<|>>>>>>>) ")
    for path in having(tree, TEXTS):
        if path.startswith("tests/tidy/"):
            continue
        for number, line in tree.lines(path):
            found = marks.search(line)
            if found:
                tree.complain(path, number, found[0])
            daemon = path.endswith(SOURCES) and not path.startswith(("tests/", "bench/", "cli/"))
            if daemon and re.search(r"std::c(out|err)\b", line):
                tree.complain(path, number, "prints by itself: log it, or return it")

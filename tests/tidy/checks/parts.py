"""Nothing is left out: units, tests."""
import os
import re


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

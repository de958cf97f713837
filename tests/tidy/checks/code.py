"""What code may say: mutexes, json, types."""
import re

from checks.tree import SOURCES, code_lines, code_of

FOR_MEASURING = ("tests/", "bench/")

# A std::recursive_mutex may stay: Mutex is none.
PLAIN_MUTEX = re.compile(
    r"\bstd\s*::\s*((timed_|shared_|shared_timed_|recursive_timed_)?mutex|condition_variable(_any)?|shared_lock"
    r"|(counting|binary)_semaphore|(lock_guard|unique_lock|scoped_lock)\b(?!<std::recursive_mutex>))\b"
    r"|\bpthread_(mutex|cond|rwlock|spin)\w*|\busing\s+namespace\s+std\s*;|\bnamespace\s+\w+\s*=\s*(::\s*)?std\s*;")


def check_mutexes(tree):
    for path in tree.having(SOURCES):
        if path.startswith(FOR_MEASURING) or path == "base/mutex.hpp":
            continue
        for number, line in code_lines(tree, path):
            found = PLAIN_MUTEX.search(line)
            if found:
                tree.complain(path, number, f"{found[0]}: clang cannot check it; base/mutex.hpp has one that it can")


# json_text.cpp builds no document: it counts brackets.
PARSES_JSON = ("base/json_fields.hpp", "base/json_fields.cpp", "moe/data/prepare/json_text.cpp")
JSON_PARSER = re.compile(r"(?i:json)(<[^>]*>)?\s*::\s*(parse|accept|sax_parse|from_\w+)\s*\("
                         r"|\bjson_literals\b|\"\"_json\b")


def check_json(tree):
    for path in tree.having(SOURCES):
        if path.startswith(FOR_MEASURING) or path in PARSES_JSON:
            continue
        for number, line in code_lines(tree, path):
            found = JSON_PARSER.search(line)
            if found:
                tree.complain(path, number, f"{found[0]} takes any depth: base/json_fields.hpp has parse_text")


def without_template(head):
    """`template <class T, class = X<T>> struct A` becomes `struct A`."""
    while re.match(r"\s*template\s*<", head):
        depth, at = 0, head.index("<")
        for at in range(at, len(head)):
            depth += {"<": 1, ">": -1}.get(head[at], 0)
            if depth == 0:
                break
        head = head[at + 1:]
    return head


def type_defined_by(head):
    """The name of the type whose body begins behind `head`, or None."""
    found = re.match(r"\s*(?:typedef\s+)?(?:struct|class|union|enum(?:\s+(?:class|struct))?)\b(.*)$",
                     without_template(head), re.S)
    if not found:
        return None
    rest = re.sub(r"\[\[.*?\]\]|\balignas\s*\([^)]*\)|\b[A-Z]+_[A-Z0-9_]+\b(\s*\([^)]*\))?", " ", found[1], flags=re.S)
    name = re.match(r"\s*(\w+)\s*(?:final\s*)?(?::(?!:)|$)", rest)
    return name and name[1]


def alias_of(statement):
    found = re.match(r"\s*using\s+(\w+)\s*=|\s*typedef\b.*?(\w+)\s*$", without_template(statement), re.S)
    return found and (found[1] or found[2])


def types_of(code):
    """(line, namespace, name, is an alias) of each type defined outside of other types and of functions."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m[0].count("\n"), code, flags=re.M)
    scopes, begin = [], 0  # scopes: the name of a namespace, "" of an anonymous one, None of anything else
    for at in (found.start() for found in re.finditer(r"[{};]", code)):
        head = code[begin:at]
        line = code.count("\n", 0, at) + 1 - head[len(head.rstrip()):].count("\n")
        begin = at + 1
        name, is_alias, scope = None, False, None
        if code[at] == "{":
            namespace = re.match(r"\s*(?:inline\s+)?namespace\b\s*([\w:]*)\s*$", head)
            if namespace:
                scope = namespace[1]
            else:
                name = type_defined_by(head)
        elif code[at] == ";":
            name, is_alias = alias_of(head), True
        if name and None not in scopes:
            yield line, "::".join(scopes), name, is_alias
        if code[at] == "{":
            scopes.append(scope)
        elif code[at] == "}" and scopes:
            scopes.pop()


def check_types(tree):
    """A name means one type in a namespace: two headers that both define it cannot be included together, and two
    sources cannot be linked together."""
    defined = {}
    for path in sorted(tree.having(SOURCES), key=lambda path: path.endswith(".cpp")):
        is_header = path.endswith(".hpp")
        if not is_header and path.startswith(FOR_MEASURING):
            continue
        for line, namespace, name, is_alias in types_of(code_of(tree, path)):
            is_own = is_alias or "" in namespace.split("::") and namespace != ""
            if not is_header and is_own:
                continue
            first = defined.setdefault((namespace, name), path)
            if first != path:
                tree.complain(path, line, f"{namespace}::{name} is a type of {first}, too")

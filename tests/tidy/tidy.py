#!/usr/bin/env python3
"""tidy.py ROOT CHECK: what a compiler does not see. Prints each violation as file:line: what; exit status 1
if there is one.

layers     the table of layers.py has no circle and no folder that is not there
forms      sources end in .cpp and .hpp; includes are written so that the checks can read them
includes   folders include only what lies below them; a name between quotes is a file of this tree
outside    headers of libraries stay where they belong; pure folders stay pure
lines      no line is longer than .clang-format's limit (in .md: outside tables, code blocks and links), no tabs,
           no blanks at the end, a newline at the end
sizes      a file of the product has 250 lines at most
format     clang-format 14 would change nothing
mutexes    the product's mutexes are those of base/mutex.hpp, which clang checks
json       JSON is parsed by base/json_fields.hpp alone, which bounds its depth
leftovers  no TODO, FIXME, XXX, debugging output or conflict marks
readme     what README.md names exists; links in every .md lead somewhere
units      a .cpp has a header of its name, or the README of its folder names it
names      files that the folders' READMEs name exist
paths      paths between back-ticks in docs/, CONTRIBUTING.md and SECURITY.md exist, and so do their lines and functions
functions  what docs/failover.md names as Type::function exists
versions   numbers of versions in the documents are those of the code
types      no two headers, and no two sources, define a type of one name in one namespace
tests      every folder of tests/ is built, every test source is compiled
"""
import sys

sys.dont_write_bytecode = True
from checks import code, includes, pages, parts, text, versions
from checks.tree import Tree

CHECKS = {name.removeprefix("check_"): check for module in (includes, text, code, pages, parts, versions)
          for name, check in vars(module).items() if name.startswith("check_")}


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

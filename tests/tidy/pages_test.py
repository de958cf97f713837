#!/usr/bin/env python3
"""What the checks of pages and of lines notice, in every way in which one can write a path, a link or a line."""
import unittest

from small_tree import SmallTree


class Pages(SmallTree):
    def test_a_path_is_seen_however_it_is_written(self):
        for text, what in (("`meshh/b.cpp`", "no meshh/b.cpp"), ("`mesh/bb.cpp`", "no mesh/bb.cpp"),
                           ("`./mesh/bb.cpp`", "no mesh/bb.cpp"), ("`gone.cpp`", "no gone.cpp"),
                           ("`mesh/bb.cpp::f`", "no mesh/bb.cpp"), ("`mesh/b.cpp::gone`", "mesh/b.cpp has no gone"),
                           ("`mesh/b.cpp#L3`", "no line 3"), ("`mesh/b:9`", "no line 9"), ("`mesh:2`", None),
                           ("`mesh/:2`", "no line 2")):
            if what:
                self.expect("paths", "docs/page.md", text + "\n", what)
            else:
                self.assertEqual(self.violations("paths", **{"docs/page.md": text + "\n"}), [], text)
        for page in ("docs/decisions/1.md", "CONTRIBUTING.md", "SECURITY.md"):
            self.expect("paths", page, "`mesh/gone.cpp`\n", "no mesh/gone.cpp")
        good = "`b.cpp`, `./mesh/b.cpp`, `mesh/b.hpp::Lane`, `mesh/b.hpp::Lane::b()`, `mesh/b.cpp#L1`, `.cpp`, `1/2`\n"
        self.assertEqual(self.violations("paths", **{"docs/page.md": good}), [])

    def test_a_link_is_seen_however_it_is_written(self):
        for text in ('[x](gone.md "title")', "[x](<gone.md>)", "[x]: gone.md", "[x](./gone.md#part)"):
            self.expect("readme", "base/README.md", text + "\n", "leads nowhere")
        self.expect("readme", "base/README.md", "[x](a.hpp#L2)\n", "base/a.hpp has no line 2")
        good = '[x](a.hpp#L1 "title") [y](https://x.org/gone) [z](#part)\n[r]: a.hpp\n'
        self.assertEqual(self.violations("readme", **{"base/README.md": good}), [])

    def test_functions_of_the_failover_exist(self):
        self.expect("functions", "docs/failover.md", "`Lane::gone` is called\n", "no Lane::gone")
        self.expect("functions", "docs/failover.md", "`Gone::b()` is called\n", "no Gone::b")
        self.expect("functions", "docs/failover.md", "`mesh::Lane::gone()`\n", "no Lane::gone")

    def test_lines_of_scripts_and_of_data(self):
        for path in ("dev", ".ci/run", "x.yml", "x.yaml", "x.sh", "x.py", "x.json"):
            self.expect("lines", path, "x" * 41 + "\n", "41 characters")

    def test_control_characters(self):
        for character in ("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x00"):
            self.expect("lines", "base/a.hpp", f"int{character}x;\n", "base/a.hpp:1: a control character")
        self.expect("lines", "base/a.hpp", "int x;\r\nint y;\n", "base/a.hpp:1: a control character")
        self.expect("lines", "base/a.hpp", "x" * 30 + "\x0b" + "x" * 9 + "\n", "a control character")


if __name__ == "__main__":
    unittest.main()

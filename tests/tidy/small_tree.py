"""A small tree without a fault, and what tidy.py says of it with one."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import tidy

GOOD = {
    ".gitignore": "/build/\n/build-*/\n*.pyc\n",
    ".clang-format": "ColumnLimit: 40\n",
    "README.md": "See [`base/`](base).\n",
    "base/a.hpp": "#include <vector>\n",
    "mesh/b.cpp": '#include "base/a.hpp"\n',
    "mesh/b.hpp": "struct Lane {\n  int b();\n};\n",
    "mesh/README.md": "| file | |\n|---|---|\n| `b` | `Result<T>` |\n",
    "coordinator/core/c.cpp": '#include "base/a.hpp"\n',
    "coordinator/README.md": "`core/c.cpp` counts\n",
    "docs/page.md": "`mesh/b.cpp:1`\n",
    "docs/failover.md": "`Lane::b` is called\n",
    "agent/core/d.hpp": "int d();\n",
    "tests/CMakeLists.txt": "add_subdirectory(mesh)\n",
    "tests/mesh/CMakeLists.txt": "regroup_test(t SOURCES b_test.cpp)\n",
    "tests/mesh/b_test.cpp": "int x;\n",
}


class SmallTree(unittest.TestCase):
    def violations(self, check, **changed):
        with tempfile.TemporaryDirectory() as root:
            for path, text in (GOOD | changed).items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return tidy.violations(root, check)

    def expect(self, check, path, text, what):
        found = self.violations(check, **{path: text})
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(path), found)
        self.assertIn(what, found[0])

#!/usr/bin/env python3
"""Each check of tidy.py notices what it is for: in a small tree with one fault."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import tidy
from checks.includes import check_layers
from small_tree import SmallTree


class Tidy(SmallTree):
    def test_a_good_tree_has_no_violations(self):
        for check in set(tidy.CHECKS) - {"layers", "versions"}:
            self.assertEqual(self.violations(check), [], check)

    def test_arrows_point_down(self):
        self.expect("includes", "base/a.hpp", '#include "mesh/b.cpp"\n', "base must not include mesh")
        self.expect("includes", "coordinator/core/c.cpp", '#include "agent/core/d.hpp"\n', "not include agent/core")
        self.expect("includes", "agent/core/d.hpp", '#include "coordinator/core/c.cpp"\n', "not include coordinator")
        self.expect("includes", "mesh/b.cpp", '#include "tests/mesh/b_test.cpp"\n', "must not include tests")

    def test_a_header_is_named_from_the_root(self):
        self.expect("includes", "base/a.hpp", '#include "a.hpp"\n', "no file of this tree")

    def test_a_new_folder_needs_a_place(self):
        self.expect("includes", "elsewhere/x.cpp", "int x;\n", "no folder")
        self.expect("includes", "agent/elsewhere/x.cpp", "int x;\n", "no folder")

    def test_the_table_of_layers_has_no_circle(self):
        with tempfile.TemporaryDirectory() as root:
            for folder in "abc":
                os.mkdir(os.path.join(root, folder))
                with open(os.path.join(root, folder, "x.cpp"), "w", encoding="utf-8") as file:
                    file.write("".join(f'#include "{name}/x.cpp"\n' for name in "abc" if (folder, name) != ("a", "c")))

            def found(**table):
                tree = tidy.Tree(root)
                check_layers(tree, table)
                return " ".join(tree.found)

            self.assertEqual(found(a="", b="a", c="a b"), "")
            self.assertIn("a may include what includes it", found(a="b", b="a"))
            self.assertIn("a may include what includes it", found(a="b", b="c", c="a"))
            self.assertIn("no source in gone/", found(a="", gone="a"))
            self.assertIn("no line of its own", found(a="b"))
            self.assertIn("a may include c, and nothing there does", found(a="c", c=""))

    def test_libraries_stay_where_they_belong(self):
        self.expect("outside", "mesh/b.cpp", "#include <ATen/core/Tensor.h>\n", "belongs to")
        self.expect("outside", "mesh/b.cpp", "#include <spdlog/spdlog.h>\n", "belongs to base/log.cpp")
        self.expect("outside", "mesh/b.cpp", "#include <prometheus/metric.h>\n", "belongs to metrics/page.cpp")
        self.expect("outside", "moe/step/x.cpp", "#include <torch/torch.h>\n", "whole library")

    def test_cores_are_pure(self):
        self.expect("outside", "coordinator/core/c.cpp", "#include <thread>\n", "is pure")
        self.expect("outside", "agent/core/d.hpp", "#include <nlohmann/json.hpp>\n", "std alone")
        self.expect("outside", "agent/core/d.hpp", "auto t = std::chrono::steady_clock::now();\n", "is pure")
        self.expect("outside", "agent/core/d.hpp", "auto t = Clock::now();\n", "is pure")

    def test_lines(self):
        self.expect("lines", "base/a.hpp", "x" * 41 + "\n", "41 characters")
        self.expect("lines", "base/CMakeLists.txt", "x" * 41 + "\n", "41 characters")
        self.expect("lines", "base/README.md", "x" * 41 + "\n", "41 characters")
        link, table, block = f"[a]({'x' * 50})\n", f"| {'x' * 50} |\n", f"```\n{'x' * 50}\n```\n"
        indented = f"\n    {'x' * 50}\n\n    {'x' * 50}\n"
        self.assertEqual(self.violations("lines", **{"base/README.md": link + table + block + indented}), [])
        self.expect("lines", "base/README.md", f"{indented}{'x' * 41}\n", "README.md:5: 41 characters")
        self.expect("lines", "base/README.md", f"a paragraph\n    {'x' * 41}\n", "45 characters")
        self.expect("lines", "base/a.hpp", "int x; \n", "blanks")
        self.expect("lines", "base/a.hpp", "int x;", "no newline")

    def test_a_file_has_one_purpose_and_is_not_long(self):
        self.assertEqual(self.violations("sizes", **{"mesh/b.cpp": "int x;\n" * 250}), [])
        self.expect("sizes", "mesh/b.cpp", "int x;\n" * 251, "mesh/b.cpp:251: 251 lines; 250 at most")
        self.assertEqual(self.violations("sizes", **{"tests/mesh/b_test.cpp": "int x;\n" * 251}), [])

    def test_a_mutex_is_one_that_clang_checks(self):
        self.expect("mutexes", "mesh/b.hpp", "std::mutex m;\n", "mesh/b.hpp:1: std::mutex: clang cannot check it")
        self.expect("mutexes", "mesh/b.hpp", "int b;\nstd::condition_variable c;\n", ":2: std::condition_variable")
        self.expect("mutexes", "base/a.hpp", "const std::lock_guard lock(m);\n", "std::lock_guard")
        for path, text in (("base/mutex.hpp", "std::mutex m;\n"), ("tests/mesh/b_test.cpp", "std::mutex m;\n"),
                           ("mesh/b.hpp", "int m;  // no std::mutex\n"), ("mesh/b.hpp", "std::recursive_mutex m;\n")):
            self.assertEqual(self.violations("mutexes", **{path: text}), [], text)

    def test_leftovers(self):
        self.expect("leftovers", "mesh/b.cpp", "// TO" "DO later\n", "TO" "DO")
        self.expect("leftovers", "mesh/b.cpp", "std::cerr << 1;\n", "prints")

    def test_what_the_readme_names(self):
        self.expect("readme", "README.md", "See `gone/`.\n", "no gone/")
        self.expect("readme", "README.md", "[x](gone.md)\n", "leads nowhere")

    def test_the_layout_is_clang_formats(self):
        self.expect("format", "base/a.hpp", "int  x;\n", "lays this out otherwise")

    def test_a_source_has_a_header_or_a_word_in_the_readme(self):
        self.expect("units", "mesh/lonely.cpp", "int x;\n", "mesh/README.md does not say")
        self.expect("units", "coordinator/core/d.cpp", "int x;\n", "coordinator/README.md does not say")

    def test_what_a_folders_readme_names(self):
        self.expect("names", "mesh/README.md", "| file | |\n|---|---|\n| `gone` | |\n", "no gone")
        self.expect("names", "mesh/README.md", "`gone.cpp`, but `words` are free\n", "no gone.cpp")
        self.expect("names", "mesh/README.md", "`c.cpp` is another folder's\n", "no c.cpp")
        self.expect("names", "coordinator/README.md", "`re/c.cpp` is half a name\n", "no re/c.cpp")
        good = "`c.cpp`, `core/c.cpp`, `coordinator/core/c.cpp` and `mesh/b.hpp`\n"
        self.assertEqual(self.violations("names", **{"coordinator/README.md": good}), [])

    def test_paths_in_the_documents(self):
        self.expect("paths", "docs/page.md", "`mesh/gone.cpp`\n", "no mesh/gone.cpp")
        self.expect("paths", "docs/page.md", "`mesh/b.cpp:2`\n", "no line 2")
        self.assertEqual(self.violations("paths", **{"docs/page.md": "`mesh/b`, `v1/data` and `mesh/`\n"}), [])

    def test_versions_in_the_documents(self):
        page = (
            '| node record | `version: 3` |\n"node":"n1","slots":1,"version":3,\n'
            "| mesh handshake | `RGH1`, `version: 2` |\n| 1 HELLO | dialler | u16 `version: 2` (`kVersion`) |\n"
            "| order of samples | `sample_order: 4` |\n| order of sums | `sums: 5` |\n"
            "| mesh frame | `RGF1` |\n| peer port | `RGP1` |\n"
            "| checkpoint | `regroup-checkpoint/1` |\n| part | `regroup-checkpoint-part/1` |\n"
            '| data | `"format": 1`, Megatron index `version: 1` |\n'
            "`PREFIX.idx`: `MMIDIDX\\0\\0`, u64 `version: 1`\n"
        )
        code = {
            "api/records.hpp": "kProtocolVersion = 3;",
            "api/orders.hpp": "inline constexpr int kSampleOrder = 4;\ninline constexpr int kSums = 5;\n",
            "mesh/handshake.cpp": 'kMagic = "RGH1"; kVersion = 2;',
            "mesh/wire.cpp": 'kMagic = 0x31464752;  // "RGF1"',
            "api/snapshots/peer_wire.cpp": "kMagic[4] = {'R', 'G', 'P', '1'};",
            "checkpoint/core/manifest.cpp": 'kFormat = "regroup-checkpoint/1";\n'
            'kPartFormat = "regroup-checkpoint-part/1";',
            "moe/data/set_record.hpp": "kPreparedFormat = 1;",
            "moe/data/index_file.cpp": "if (version != 1) return;",
        }
        self.assertEqual(self.violations("versions", **code, **{"docs/protocol.md": page}), [])
        older = page.replace("u16 `version: 2", "u16 `version: 1")
        found = self.violations("versions", **code, **{"docs/protocol.md": older})
        self.assertEqual(found, ["docs/protocol.md:4: says version 1; mesh/handshake.cpp says 2"])
        found = self.violations("versions", **code, **{"docs/protocol.md": page.replace("version: 3", "number 3")})
        self.assertEqual(len(found), 1, found)
        self.assertIn("says nothing like node record", found[0])
        found = self.violations("versions", **(code | {"mesh/handshake.cpp": ""}), **{"docs/protocol.md": page})
        self.assertEqual(len(found), 3, found)
        for there, other, said in (("mesh/handshake.cpp", ("RGH1", "RGH2"), "mesh/handshake.cpp says 2"),
                                   ("mesh/wire.cpp", ("0x31", "0x32"), "mesh/wire.cpp says 2"),
                                   ("moe/data/set_record.hpp", ("= 1", "= 2"), "moe/data/set_record.hpp says 2")):
            changed = {there: code[there].replace(*other)}
            found = self.violations("versions", **(code | changed), **{"docs/protocol.md": page})
            self.assertEqual(len(found), 1, found)
            self.assertIn("says version 1; " + said, found[0])
        found = self.violations("versions", **code)
        self.assertIn("docs/protocol.md:1: is gone", found[0])
        newer = code | {"api/snapshots/peer_wire.cpp": "kMagic[4] = {'R', 'G', 'P', '2'};"}
        found = self.violations("versions", **newer, **{"docs/protocol.md": page})
        self.assertEqual(found, ["docs/protocol.md:8: says version 1; api/snapshots/peer_wire.cpp says 2"])

    def test_a_name_is_one_type(self):
        one = "namespace regroup {\nstruct Lane {\n};\n}\n"
        elsewhere = one.replace("regroup", "regroup::mesh")
        self.assertEqual(self.violations("types", **{"base/a.hpp": one, "mesh/b.hpp": elsewhere}), [])
        found = self.violations("types", **{"base/a.hpp": one, "mesh/b.hpp": one.replace("struct", "enum class")})
        self.assertEqual(len(found), 1, found)
        self.assertIn("regroup::Lane is a type of base/a.hpp, too", found[0])
        forward = "namespace regroup {\nstruct Lane;\n}\n"
        self.assertEqual(self.violations("types", **{"base/a.hpp": one, "mesh/b.hpp": forward}), [])

    def test_every_test_is_built(self):
        found = self.violations("tests", **{"tests/wire/CMakeLists.txt": "", "tests/wire/w_test.cpp": ""})
        self.assertEqual(len(found), 2, found)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""What the checks of sources notice: mutexes, JSON, types and includes in every way in which one can write them."""
import unittest

from small_tree import SmallTree


class Code(SmallTree):
    def test_every_kind_of_mutex_is_seen(self):
        for text in ("std::shared_mutex m;", "std::timed_mutex m;", "std::shared_timed_mutex m;",
                     "std::recursive_timed_mutex m;", "std::condition_variable_any c;", "std::scoped_lock lock(m);",
                     "std::shared_lock lock(m);", "std::counting_semaphore<4> s(0);", "std::binary_semaphore s(0);",
                     "pthread_mutex_t m;", "using namespace std;", "namespace s = std;", "std :: mutex m;",
                     "using std::mutex;", 'auto u = "http://x"; std::mutex m;', "/* a */ std::mutex m;",
                     "char c = '\"'; std::mutex m;"):
            self.expect("mutexes", "mesh/b.cpp", text + "\n", "mesh/b.cpp:1: ")
        self.expect("mutexes", "mesh/b.cpp", "/* 1\n2 */ R\"x(\n)x\" std::mutex m;\n", "mesh/b.cpp:3: ")

    def test_a_mutex_in_a_comment_or_a_string_is_none(self):
        for text in ("/* std::mutex\nstd::mutex */", 'auto s = "std::mutex";', 'auto s = R"(\nstd::mutex)";',
                     "int n = 1\'000; // std::mutex", "std::lock_guard<std::recursive_mutex> lock(m);"):
            self.assertEqual(self.violations("mutexes", **{"mesh/b.cpp": text + "\n"}), [], text)

    def test_json_is_parsed_in_one_place(self):
        for text in ("nlohmann::json::parse(text);", "Json::parse(text);", "ordered_json::accept(text);",
                     "json::from_cbor(bytes);", "nlohmann::basic_json<M>::parse(text);", "Json::sax_parse(text, &s);",
                     'auto j = "[]"_json;'):
            self.expect("json", "mesh/b.cpp", text + "\n", "takes any depth")
        good = "json::parse_text(text);\n"
        there = {"base/json_fields.hpp": "Json::parse(t);\n"}
        self.assertEqual(self.violations("json", **{"mesh/b.cpp": good}, **there), [])

    def test_a_type_is_seen_however_it_is_written(self):
        one = "namespace regroup {{\n{}\n}}\n"
        for text in ("struct Lane {};", "template <class T> class Lane {};", "class [[nodiscard]] Lane final {};",
                     "struct alignas(64) Lane {};", "using Lane = int;", "template <class T> using Lane = T;",
                     "typedef int Lane;", "union Lane { int i; };", "  struct Lane {};", "enum Lane : int { a };",
                     "class REGROUP_CAPABILITY(x) Lane {};",
                     "template <class T, class = X<T>>\nstruct Lane\n    : T {};",
                     "enum class Lane { a };", "namespace a { int x; }\nstruct Lane {};"):
            found = self.violations("types", **{"base/a.hpp": one.format("struct Lane {};"),
                                                "mesh/b.hpp": one.format(text)})
            self.assertEqual(len(found), 1, (text, found))
            self.assertIn("regroup::Lane is a type of base/a.hpp, too", found[0])

    def test_what_is_no_second_type(self):
        one = "namespace regroup {{\n{}\n}}\n"
        for text in ("struct Lane;", "class Other { struct Lane {}; };", "void f() { struct Lane {}; }",
                     "namespace mesh { struct Lane {}; }", "// struct Lane {};", "struct Other::Lane {};",
                     "template <> struct Lane<int> {};", "using other::Lane;", "namespace { struct Lane {}; }"):
            found = self.violations("types", **{"base/a.hpp": one.format("struct Lane {};"),
                                                "mesh/b.hpp": one.format(text)})
            self.assertEqual(found, [], text)

    def test_two_sources_may_each_have_a_type_of_their_own(self):
        named = "namespace regroup {\nstruct Lane {};\n}\n"
        own = "namespace regroup {\nnamespace {\nstruct Lane {};\n}\n}\n"
        found = self.violations("types", **{"base/a.cpp": named, "mesh/b.cpp": named})
        self.assertEqual(found, ["mesh/b.cpp:2: regroup::Lane is a type of base/a.cpp, too"])
        self.assertEqual(self.violations("types", **{"base/a.cpp": own, "mesh/b.cpp": own}), [])
        self.assertEqual(self.violations("types", **{"base/a.cpp": named, "tests/mesh/b_test.cpp": named}), [])

    def test_includes_that_no_check_could_read(self):
        for text in ("#import <vector>", "#  import \"base/a.hpp\"", "#include HEADER", "#include_next <vector>"):
            self.expect("forms", "mesh/b.cpp", text + "\n", "mesh/b.cpp:1: ")
        self.expect("forms", "mesh/b.cpp", "#include <base/a.hpp>\n", "is a file of this tree")
        for ending in (".h", ".hh", ".cc", ".cxx", ".inc", ".ipp", ".c"):
            self.expect("forms", "mesh/c" + ending, "int x;\n", "sources end in .cpp and .hpp")

    def test_a_folder_is_skipped_only_where_git_ignores_it(self):
        for folder in ("mesh/builder", "mesh/shared", "buildings", "base/build"):
            self.expect("forms", folder + "/x.h", "int x;\n", "sources end in")
        self.assertEqual(self.violations("forms", **{"build/x.h": "", "build-asan/x.h": "", "shared/x.h": ""}), [])


if __name__ == "__main__":
    unittest.main()

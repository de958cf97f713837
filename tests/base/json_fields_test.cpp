// Errors name the field, however deep it lies; what JSON cannot say has one rule.
#include "base/json_fields.hpp"

#include <gtest/gtest.h>

namespace regroup::json {
namespace {

template <class Read>
std::string problem_of(const std::string& text, Read read) {
  const auto got = read_json(text, "it", read);
  return got ? "none" : got.error().context;
}

TEST(JsonFields, an_error_says_where_the_value_stands) {
  const std::string text = R"({"groups":[{"chain":1},{"chain":"two","rows":[[1,2],[3]]}]})";
  EXPECT_EQ(problem_of(text, [](const Field& in) { return in["groups"].items()[1]["chain"].integer<int>(); }),
            "it: groups[1].chain must be a whole number, not \"two\"");
  EXPECT_EQ(problem_of(text, [](const Field& in) { return in["groups"].items()[1]["ranks"].items().size(); }),
            "it: groups[1].ranks is missing");
  EXPECT_EQ(
      problem_of(text, [](const Field& in) { return in["groups"].items()[1]["rows"].items()[1].items(2).size(); }),
      "it: groups[1].rows[1] must be a list of 2");
  EXPECT_EQ(problem_of(text, [](const Field& in) { return in["members"].string(); }), "it: members is missing");
  EXPECT_EQ(problem_of("[]", [](const Field& in) { return in["members"].string(); }),
            "it: the document must be an object, not []");
  EXPECT_EQ(problem_of("{", [](const Field& in) { return in.path(); }),
            "it: this is not JSON at line 1, column 2: '{'");
}

// Whoever walks such a document by recursion has no stack left.
TEST(JsonFields, a_document_nested_without_end_is_refused_wherever_the_nest_lies) {
  const auto wrong = [](const Field& in) { return in["wanted"].integer<int>(); };
  for (const std::size_t depth : {100'000, 1'000'000})
    for (const auto& [open, close] : {std::pair<std::string, std::string>{"[", "]"}, {"{\"a\":", "}"}}) {
      std::string deep;
      for (std::size_t i = 0; i < depth; ++i) deep += open;
      const std::string unclosed = deep;
      deep += "0";
      for (std::size_t i = 0; i < depth; ++i) deep += close;
      for (const std::string& text :
           {"{\"nest\":" + deep + ",\"wanted\":\"x\"}", "{\"wanted\":\"x\",\"nest\":" + deep + "}", deep, unclosed}) {
        EXPECT_TRUE(problem_of(text, wrong).starts_with("it: lists and objects lie in one another deeper than 64, at"))
            << problem_of(text, wrong);
        EXPECT_FALSE(parse_text<nlohmann::ordered_json>(text));
      }
    }
}

TEST(JsonFields, depth_counts_what_is_open_and_no_brackets_in_strings) {
  const auto nest = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_text(nest(kDeepest)));
  EXPECT_FALSE(parse_text(nest(kDeepest + 1)));
  std::string wide = "[0";
  for (int i = 0; i < 1000; ++i) wide += ",[{}]";
  EXPECT_TRUE(parse_text(wide + "]"));
  EXPECT_TRUE(parse_text("[\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"]"));
  EXPECT_FALSE(parse_text("[\"\\\\\"," + nest(kDeepest) + "]"));  // the string ends behind its escaped backslash
}

TEST(JsonFields, a_number_that_does_not_fit_is_refused) {
  EXPECT_EQ(problem_of("[-1]", [](const Field& in) { return in.integers<std::uint64_t>().size(); }),
            "it: [0] is too small");
  EXPECT_EQ(problem_of("[1,3000000000]", [](const Field& in) { return in.integers<int>().size(); }),
            "it: [1] is too large");
  EXPECT_EQ(problem_of("1.5", [](const Field& in) { return in.integer<int>(); }),
            "it: the document must be a whole number, not 1.5");
}

TEST(JsonFields, null_is_no_value_and_a_real_that_is_none) {
  const auto read = [](const Field& in) {
    EXPECT_TRUE(in.has("loss"));
    EXPECT_FALSE(in.find("loss"));
    EXPECT_TRUE(std::isnan(in["loss"].real_or_nan()));
    return dump(Json{{"loss", in["loss"].real_or_nan()}});
  };
  EXPECT_EQ(read_json(R"({"loss":null})", "it", read).value(), R"({"loss":null})");
}

TEST(JsonFields, the_caller_says_what_kind_of_error_it_is) {
  const auto got = read_json(
      "{}", "it", [](const Field& in) { return in["a"].boolean(); }, Code::kCorrupt);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace regroup::json

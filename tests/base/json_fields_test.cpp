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

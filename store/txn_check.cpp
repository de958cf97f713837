#include "store/txn_check.hpp"

#include <set>

namespace regroup {
namespace {

Result<std::size_t> check_branch(const std::vector<Op>& ops) {
  std::size_t bytes = 0;
  std::set<std::string> puts;
  for (const Op& op : ops) {
    if (op.key.empty()) return Error{Code::kBadInput, "a transaction names an empty key"};
    if (op.value.size() > kMaxValueBytes)
      return Error{Code::kBadInput, "the value of " + op.key + " has " + std::to_string(op.value.size()) +
                                        " bytes, above the limit of " + std::to_string(kMaxValueBytes)};
    bytes += op.key.size() + op.value.size();
    if (op.kind == Op::Kind::kPut && !puts.insert(op.key).second)
      return Error{Code::kBadInput, "a transaction writes " + op.key + " twice"};
  }
  for (const Op& op : ops) {
    if (op.kind == Op::Kind::kDelete && puts.contains(op.key))
      return Error{Code::kBadInput, "a transaction both writes and deletes " + op.key};
    if (op.kind != Op::Kind::kDeletePrefix) continue;
    const auto first = puts.lower_bound(op.key);
    if (first != puts.end() && first->starts_with(op.key))
      return Error{Code::kBadInput, "a transaction writes " + *first + " and deletes all under " + op.key};
  }
  return bytes;
}

}  // namespace

Result<void> check_txn(const std::vector<Compare>& when, const std::vector<Op>& then,
                       const std::vector<Op>& otherwise) {
  if (when.size() > kMaxTxnOps || then.size() > kMaxTxnOps || otherwise.size() > kMaxTxnOps)
    return Error{Code::kBadInput,
                 "a transaction has more than " + std::to_string(kMaxTxnOps) + " entries in one list; split it"};
  const Result<std::size_t> a = check_branch(then);
  if (!a) return a.error();
  const Result<std::size_t> b = check_branch(otherwise);
  if (!b) return b.error();
  if (*a + *b > kMaxRequestBytes)
    return Error{Code::kBadInput, "a write of " + std::to_string(*a + *b) + " bytes is above the limit of " +
                                      std::to_string(kMaxRequestBytes)};
  return {};
}

}  // namespace regroup

#include "base/ids.hpp"

#include "base/hex.hpp"

#include <charconv>

namespace regroup {

std::string to_string(const WorkerId& id) {
  return id.node.value + "/" + to_hex(id.incarnation) + "/" + std::to_string(id.slot) + "/" + std::to_string(id.start);
}

bool parse_worker_id(const std::string& text, WorkerId& id) {
  std::size_t end = text.size();
  std::string fields[3];
  for (int i = 2; i >= 0; --i) {
    const std::size_t slash = end == 0 ? std::string::npos : text.rfind('/', end - 1);
    if (slash == std::string::npos) return false;
    fields[i] = text.substr(slash + 1, end - slash - 1);
    end = slash;
  }
  const auto parse = [](const std::string& field, auto& out, int base) {
    const auto [rest, error] = std::from_chars(field.data(), field.data() + field.size(), out, base);
    return error == std::errc{} && rest == field.data() + field.size() && !field.empty();
  };
  id.node = NodeId(text.substr(0, end));
  return end > 0 && parse(fields[0], id.incarnation, 16) && parse(fields[1], id.slot, 10) &&
         parse(fields[2], id.start, 10);
}

}  // namespace regroup

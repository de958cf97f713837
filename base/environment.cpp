#include "base/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace regroup {
namespace {

constexpr std::array<std::string_view, 12> kPlain{"PATH",         "HOME",         "USER",          "LOGNAME",
                                                  "TMPDIR",       "TZ",           "LANG",          "LANGUAGE",
                                                  "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};

constexpr std::array<std::string_view, 16> kSteeringBeginnings{
    "OMP_",     "GOMP_", "KMP_",  "MKL_",  "ONEDNN_",   "DNNL_",   "ATEN_",          "TORCH_",
    "PYTORCH_", "C10_",  "BLIS_", "GOTO_", "OPENBLAS_", "MALLOC_", "GLIBC_TUNABLES", "LD_",
};

std::string_view name_in(std::string_view setting) { return setting.substr(0, setting.find('=')); }

bool is_plain(std::string_view name) {
  return name.starts_with("LC_") || std::find(kPlain.begin(), kPlain.end(), name) != kPlain.end();
}

bool is_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// Libraries ignore a word that they do not know.
std::string unknown_word(std::string_view name, std::string_view value) {
  const auto refuse = [&](std::string_view known) {
    std::string lower(value);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::string words = " " + std::string(known) + " ";
    if (words.find(" " + lower + " ") != std::string::npos) return std::string();
    return std::string(name) + ": '" + std::string(value) + "' would be ignored; known are " + std::string(known);
  };
  if (name == "ATEN_CPU_CAPABILITY") return refuse("default avx2 avx512");
  if (name == "ONEDNN_MAX_CPU_ISA" || name == "DNNL_MAX_CPU_ISA")
    return refuse(
        "default sse41 avx avx2 avx2_vnni avx2_vnni_2 avx512_core avx512_core_vnni avx512_core_bf16 avx512_core_fp16 "
        "avx512_core_amx avx512_core_amx_fp16 avx10_1_512 avx10_1_512_amx avx10_1_512_amx_fp16");
  return {};
}

}  // namespace

std::vector<std::string> plain_environment() {
  std::vector<std::string> kept;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (is_plain(name_in(*entry))) kept.emplace_back(*entry);
  return kept;
}

std::vector<std::string> steering_variables_left_out() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = name_in(*entry);
    if (std::any_of(kSteeringBeginnings.begin(), kSteeringBeginnings.end(),
                    [&](std::string_view begin) { return name.starts_with(begin); }))
      names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> checked_settings(std::vector<std::string> settings) {
  std::sort(settings.begin(), settings.end());
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const std::string& setting = settings[i];
    const std::string_view name = name_in(setting);
    if (name.size() == setting.size() || !is_name(name))
      return Error{Code::kBadInput, "'" + setting + "': write NAME=VALUE; a name has letters, digits and _"};
    if (std::any_of(setting.begin(), setting.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }))
      return Error{Code::kBadInput, std::string(name) + ": its value has a control character, such as a line's end"};
    if (const std::string why = unknown_word(name, std::string_view(setting).substr(name.size() + 1)); !why.empty())
      return Error{Code::kBadInput, why};
    if (i > 0 && name_in(settings[i - 1]) == name) return Error{Code::kBadInput, std::string(name) + " is given twice"};
  }
  return settings;
}

void set_variable(std::vector<std::string>& environment, const std::string& setting) {
  std::erase_if(environment, [&](const std::string& other) { return name_in(other) == name_in(setting); });
  environment.push_back(setting);
}

}  // namespace regroup

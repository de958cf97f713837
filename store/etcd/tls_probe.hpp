// tls_probe.hpp: why TLS does not come about with an endpoint: gRPC says "Socket closed" or "certificate verify
// failed", whichever of the two sides and of a dozen reasons it was. Private to this folder.
#pragma once

#include "base/address_text.hpp"
#include "store/etcd/tls_files.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace regroup {

// Connects once more, by itself. Waits up to `limit` for each address of the name and for each part of the answer; how
// long the system takes to find the addresses is not limited. `tls`: what we connect with; nothing:
// plain text, and the question is whether the other side wants TLS. Empty: nothing was found.
std::string probe_tls(const HostPort& at, const std::optional<TlsFiles>& tls, std::chrono::milliseconds limit);

}  // namespace regroup

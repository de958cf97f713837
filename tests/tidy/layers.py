"""Which folder may include which: the layers of docs/design.md as data. Arrows point down only.

Each folder with sources has a line of its own; under tests/ and bench/ one line stands for all.
Within a folder everything may include everything. A right that no include uses is a fault, too: the table is the
picture.
"""

MAY_INCLUDE = {
    "base": "",
    "metrics": "base",
    "layout": "base",
    "store": "base",
    "store/etcd": "base store",
    "net": "base",
    "mesh": "base net",
    "api": "base layout",
    "api/snapshots": "base net api",
    "checkpoint/core": "base layout",
    "checkpoint/io": "base layout api checkpoint/core",
    "coordinator/planner": "base layout api",
    "coordinator/core": "base metrics layout store api coordinator/planner",
    "agent/core": "base api",
    "agent/snapshots": "base layout net api api/snapshots checkpoint/io",
    "moe/data": "base api",
    "moe/data/prepare": "base moe/data",
    "moe/ops": "base layout api",
    "moe/state": "base layout mesh api",
    "moe/step": "base layout mesh api moe/data moe/ops moe/state",
    "moe/regroup": "base layout mesh api api/snapshots checkpoint/io moe/ops moe/state",
    "moe/worker": "base net mesh api checkpoint/io moe/data moe/ops moe/state moe/step moe/regroup",
    "coordinator": "base metrics store store/etcd api checkpoint/io coordinator/core",
    "agent": "base metrics store store/etcd net api agent/core agent/snapshots",
    "cli/job": "base store api checkpoint/core checkpoint/io moe/data",
    "cli/etcd": "base",
    "cli/data": "base moe/data moe/data/prepare cli/job",
    "cli/checkpoint": "checkpoint/io cli/job",
    "cli/plan": "base layout api coordinator/planner",
    "cli/local": "base store store/etcd net api checkpoint/io cli/job cli/etcd",
    "cli": "base store/etcd api cli/job cli/checkpoint cli/plan cli/local",
    "tests": "*",
    "bench": "*",
}

# Headers of others: which files may include them. A folder ends with a slash.
OUTSIDE = {
    "ATen/": "moe/ops/ moe/step/ tests/ops/ tests/train/ tests/oracle/",
    "torch/": "moe/ops/ moe/step/",
    "c10/": "moe/ops/ moe/step/ moe/worker/main.cpp tests/ops/ tests/train/ tests/oracle/ bench/train/",
    "cuda": "moe/ops/",
    "nccl": "mesh/",
    "spdlog/": "base/log.cpp",
    "prometheus/": "metrics/page.cpp",
    "grpc": "store/etcd/etcd_channel.hpp store/etcd/etcd_channel.cpp store/etcd/etcd_streams.hpp"
    " store/etcd/etcd_streams.cpp store/etcd/etcd_wire.hpp store/etcd/etcd_wire.cpp",
    "boost/asio": "metrics/http_server.cpp",
    "boost/beast": "metrics/http_server.cpp",
    "yaml-cpp/": "cli/job/yaml_section.hpp",
    "CLI/": "cli/ coordinator/main.cpp agent/options.hpp tests/checkpoint/cli_test.cpp bench/command_line.hpp",
    "openssl/": "base/ net/ store/etcd/",
    "gtest/": "tests/",
}
NEVER = ["torch/torch.h", "torch/all.h", "torch/extension.h"]  # 20 s and 1.4 GB a file

# Folders of pure functions: values in, values out. No clock, no thread, no file, no socket, no environment,
# no random device.
PURE = ["layout", "coordinator/planner", "coordinator/core", "agent/core", "api", "checkpoint/core"]
NOT_PURE_HEADERS = (
    r"(thread|mutex|condition_variable|future|semaphore|fstream|filesystem|iostream|random"
    r"|unistd\.h|fcntl\.h|poll\.h|dlfcn\.h|(sys|netinet|arpa)/.*|boost/.*)"
)
NOT_PURE_CALLS = r"\b(\w+_clock::now|Clock::now|getenv|std::time|std::rand|random_device|random_bytes|random_word)\s*\("
CORES_USE_ONLY_STD = ["layout", "coordinator/planner", "coordinator/core", "agent/core"]

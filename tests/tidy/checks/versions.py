"""Numbers of versions in the documents are those of the code."""
import re

TABLE = "tests/tidy/checks/versions.py"


def fourth_letter(number):
    """0x31464752 is "RGF1" on the wire: little endian."""
    return int(number, 16).to_bytes(4, "little").decode("ascii")[3]


VERSIONS = [
    ("docs/protocol.md", r"node record \| `version: (\d+)`", "api/records.hpp", r"kProtocolVersion = (\d+);"),
    ("docs/protocol.md", r'"node":"\w+","slots":\d+,"version":(\d+)', "api/records.hpp", r"kProtocolVersion = (\d+);"),
    ("docs/protocol.md", r"order of samples \| `sample_order: (\d+)`", "api/orders.hpp", r"kSampleOrder = (\d+);"),
    ("docs/protocol.md", r"order of sums \| `sums: (\d+)`", "api/orders.hpp", r"kSums = (\d+);"),
    ("docs/protocol.md", r"mesh handshake \| `RGH1`, `version: (\d+)`", "mesh/handshake.cpp", r"kVersion = (\d+);"),
    ("docs/protocol.md", r"HELLO \| dialler \| u16 `version: (\d+)`", "mesh/handshake.cpp", r"kVersion = (\d+);"),
    ("docs/protocol.md", r"mesh frame \| `RGF(\d)`", "mesh/wire.cpp", r"kMagic = (0x\w+);", fourth_letter),
    ("docs/protocol.md", r"mesh handshake \| `RGH(\d)`", "mesh/handshake.cpp", r'kMagic = "RGH(\d)";'),
    ("docs/protocol.md", r"peer port \| `RGP(\d)`", "api/snapshots/peer_wire.cpp", r"'R', 'G', 'P', '(\d)'"),
    ("docs/protocol.md", r"`regroup-checkpoint/(\d+)`", "checkpoint/core/manifest.cpp", r'kFormat = "[a-z-]+/(\d+)"'),
    ("docs/protocol.md", r"`regroup-checkpoint-part/(\d+)`", "checkpoint/core/manifest.cpp",
     r'kPartFormat = "[a-z-]+/(\d+)"'),
    ("docs/protocol.md", r'data \| `"format": (\d+)`', "moe/data/set_record.hpp", r"kPreparedFormat = (\d+);"),
    ("docs/protocol.md", r"Megatron index `version: (\d+)`", "moe/data/index_file.cpp", r"\(version != (\d+)\)"),
    ("docs/protocol.md", r"`PREFIX.idx`: `MMIDIDX\\0\\0`, u64 `version: (\d+)`", "moe/data/index_file.cpp",
     r"\(version != (\d+)\)"),
]


def check_versions(tree):
    for page, says, file, is_there, *read in VERSIONS:
        if not tree.exists(page):
            tree.complain(page, 1, f"is gone, and {file} is compared with it: tell {TABLE}")
            continue
        code = re.search(is_there, tree.text(file)) if tree.exists(file) else None
        if not code:
            tree.complain(file, 1, f"has no {is_there}, which {page} is compared with: tell {TABLE}")
            continue
        number_there = read[0](code[1]) if read else code[1]
        said = [(number, found) for number, line in tree.lines(page) for found in re.findall(says, line)]
        if not said:
            tree.complain(page, 1, f"says nothing like {says}, which {file} is compared with")
        for number, found in said:
            if found != number_there:
                tree.complain(page, number, f"says version {found}; {file} says {number_there}")

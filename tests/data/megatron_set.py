"""Writes PREFIX.bin and PREFIX.idx as Megatron-Core's IndexedDatasetBuilder does
(megatron/core/datasets/indexed_dataset.py): one sequence a sentence, several a document.

    megatron_set.py PREFIX uint16|int32 [--modes]     documents as JSON on standard input: [[[sentence's tokens],
    ...], ...]
"""
import json
import struct
import sys

prefix, dtype = sys.argv[1:3]
code, letter, size = {"uint16": (8, "H", 2), "int32": (4, "i", 4)}[dtype]
lengths, document_indices = [], [0]
with open(prefix + ".bin", "wb") as out:
    for document in json.load(sys.stdin):
        for sentence in document:
            out.write(struct.pack(f"<{len(sentence)}{letter}", *sentence))
            lengths.append(len(sentence))
        document_indices.append(len(lengths))
pointers = [sum(lengths[:i]) * size for i in range(len(lengths))]
with open(prefix + ".idx", "wb") as out:
    out.write(b"MMIDIDX\x00\x00")
    out.write(struct.pack("<Q", 1))
    out.write(struct.pack("<B", code))
    out.write(struct.pack("<Q", len(lengths)))
    out.write(struct.pack("<Q", len(document_indices)))
    out.write(struct.pack(f"<{len(lengths)}i", *lengths))
    out.write(struct.pack(f"<{len(pointers)}q", *pointers))
    out.write(struct.pack(f"<{len(document_indices)}q", *document_indices))
    if "--modes" in sys.argv:
        out.write(bytes(len(lengths)))

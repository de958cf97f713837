"""Opens a checkpoint directory with the installed transformers: every weight is used, logits are finite, text can be
generated.

Usage: open_with_transformers.py DIR
"""
import sys

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM


def main(directory: str) -> None:
    import json
    import pathlib

    expected = json.loads((pathlib.Path(directory) / "MANIFEST.json").read_text())["shape"]
    config = AutoConfig.from_pretrained(directory)
    for key in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "num_local_experts", "num_experts_per_tok", "max_position_embeddings",
        "tie_word_embeddings", "rms_norm_eps", "sliding_window", "router_aux_loss_coef",
    ):
        assert getattr(config, key) == expected[key], (key, getattr(config, key), expected[key])
    theta = config.rope_parameters["rope_theta"] if getattr(config, "rope_parameters", None) else config.rope_theta
    assert theta == expected["rope_theta"], theta

    model, info = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    assert type(model).__name__ == "MixtralForCausalLM"
    assert next(model.parameters()).dtype == torch.float32

    # The weights are those in the files, in the fused form of transformers 5 too.
    index = json.loads((pathlib.Path(directory) / "model.safetensors.index.json").read_text())
    stored = {}
    for name in sorted(set(index["weight_map"].values())):
        with safe_open(f"{directory}/{name}", framework="pt") as file:
            for key in file.keys():
                assert index["weight_map"][key] == name
                stored[key] = file.get_tensor(key)
    assert set(stored) == set(index["weight_map"])
    assert sum(t.numel() * 4 for t in stored.values()) == index["metadata"]["total_size"]
    state = model.state_dict()
    for key in ("model.embed_tokens.weight", "model.norm.weight", "model.layers.0.self_attn.k_proj.weight"):
        assert torch.equal(state[key], stored[key]), key

    with torch.no_grad():
        tokens = torch.tensor([[1, 5, 9, 3]])
        logits = model(tokens).logits
        assert logits.shape == (1, 4, expected["vocab_size"]) and torch.isfinite(logits).all()
        out = model.generate(tokens, max_new_tokens=5, do_sample=False)
        assert out.shape == (1, 9), out.shape
    print("opened", type(model).__name__, "with", sum(p.numel() for p in model.parameters()), "parameters")


main(sys.argv[1])

"""Writes the demo model as a float32 GGUF, for llama.cpp's server.

    python make_gguf.py ../../media/demo/model demo.gguf

Needs numpy, safetensors and gguf. The demo's tokenizer looks whole words up and has no merges, and it puts a digit or a
punctuation mark together with the space before it. llama.cpp has no such pre-tokeniser; GPT-2's with the merges made
here gives the same ids for every text of the demo's words (record.ts asks for and checks every prompt).
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import load_file

folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
config = json.loads((folder / "config.json").read_text())
vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
weights = load_file(folder / "model.safetensors")
heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]


def interleaved(matrix: np.ndarray, count: int) -> np.ndarray:
    """Rows of a head as llama.cpp turns them: pairs side by side, not half a head apart."""
    rows, columns = matrix.shape
    return matrix.reshape(count, 2, rows // count // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def merges() -> list[str]:
    """Every token from the left, those with a leading space first: no merge within a word may come before its start."""
    rank = lambda token: (not token.startswith("Ġ"), not token[0].isupper(), token)
    steps: dict[str, None] = {}
    for token in sorted((t for t in vocab if len(t) > 1 and t != "<|endoftext|>"), key=rank):
        for i in range(1, len(token)):
            steps.setdefault(f"{token[:i]} {token[i]}")
    return list(steps)


writer = gguf.GGUFWriter(out, "llama")
writer.add_name("circuit-amplifier-demo")
writer.add_context_length(config["max_position_embeddings"])
writer.add_embedding_length(config["hidden_size"])
writer.add_block_count(config["num_hidden_layers"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_head_count(heads)
writer.add_head_count_kv(kv_heads)
writer.add_key_length(config["head_dim"])
writer.add_value_length(config["head_dim"])
writer.add_rope_dimension_count(config["head_dim"])
writer.add_rope_freq_base(config["rope_theta"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_vocab_size(config["vocab_size"])
writer.add_file_type(gguf.LlamaFileType.ALL_F32)
tokens = [token for token, _ in sorted(vocab.items(), key=lambda entry: entry[1])]
types = [gguf.TokenType.CONTROL if t == "<|endoftext|>" else gguf.TokenType.NORMAL for t in tokens]
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-2")
writer.add_token_list(tokens)
writer.add_token_types(types)
writer.add_token_merges(merges())
writer.add_eos_token_id(config["eos_token_id"])
writer.add_pad_token_id(config["pad_token_id"])
writer.add_add_bos_token(False)
writer.add_add_eos_token(False)

names = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
for name, tensor in weights.items():
    tensor = tensor.astype(np.float32)
    if name == "model.embed_tokens.weight":
        target = "token_embd.weight"
    elif name == "model.norm.weight":
        target = "output_norm.weight"
    else:
        layer, rest = name.removeprefix("model.layers.").split(".", 1)
        kind = rest.removesuffix(".weight")
        target = f"blk.{layer}.{names[kind]}.weight"
        if kind in ("self_attn.q_proj", "self_attn.k_proj"):
            tensor = interleaved(tensor, heads if kind.endswith("q_proj") else kv_heads)
    writer.add_tensor(target, np.ascontiguousarray(tensor))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

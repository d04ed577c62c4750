"""Writes a member of the family as a GGUF file, so that llama.cpp can serve it.

    python write_gguf.py base base.gguf          weights in single precision
    python write_gguf.py base base.gguf f16      matrices in half precision

The file is not called gguf.py because it imports the package of that name.

The weights are those of NAME/model.onnx and are the same numbers in both forms:
they are stored rounded to half precision. What differs is the arithmetic, since
llama.cpp multiplies half-precision matrices by activations in half precision;
to compare rows take the first. llama.cpp turns neighbouring values of a head by
one angle where transformers turns the first half against the second, so the
rows of the query and key projections change places. Nothing of where or when it
was written gets into the file.
"""

import argparse
import json
import pathlib

import gguf
import numpy as np
import onnx
from onnx import numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
# The pre-tokenizer of ByteLevel with use_regex, by llama.cpp's name.
PRE_TOKENIZER = "gpt-2"
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}
LAYER_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def read_weights(folder):
    """name as transformers has it → float32 array [out, in]."""
    stored = {i.name.removesuffix(".half"): numpy_helper.to_array(i).astype(np.float32)
              for i in onnx.load(folder / "model.onnx").graph.initializer if i.name.endswith(".half")}
    return {name: value.T if "_proj" in name else value for name, value in stored.items()}


def gguf_name(name):
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest]}"


def neighbours(weight, heads):
    """The rows of every head in the order 0, h/2, 1, h/2+1, …"""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def add_architecture(writer, config):
    if config["hidden_act"] != "silu" or not config["tie_word_embeddings"] or config["rope_parameters"]["rope_type"] != "default":
        raise ValueError("config.json: only Llama models with SiLU, tied embeddings and plain rotary positions are written")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])


def add_tokenizer(writer, folder, config):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pre, model = tokenizer["pre_tokenizer"], tokenizer["model"]
    if model["type"] != "BPE" or pre != {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}:
        raise ValueError("tokenizer.json: only byte-level BPE behind the pattern of GPT-2 is written")
    special = {t["id"] for t in tokenizer["added_tokens"] if t["special"]}
    pieces = {i: piece for piece, i in model["vocab"].items()} | {t["id"]: t["content"] for t in tokenizer["added_tokens"]}
    if sorted(pieces) != list(range(config["vocab_size"])):
        raise ValueError("tokenizer.json: its ids are not 0 … vocab_size − 1")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list([pieces[i] for i in range(len(pieces))])
    writer.add_token_types([gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(pieces))])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def write(folder, path, half=False):
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(folder.name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
    add_architecture(writer, config)
    add_tokenizer(writer, folder, config)
    for name, weight in sorted(read_weights(folder).items()):
        if "q_proj" in name:
            weight = neighbours(weight, config["num_attention_heads"])
        if "k_proj" in name:
            weight = neighbours(weight, config["num_key_value_heads"])
        matrix = np.float16 if half and weight.ndim > 1 else np.float32
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(weight, dtype=matrix))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    arguments = argparse.ArgumentParser(description="a member of the embedded family as a GGUF file")
    arguments.add_argument("name", help="base, small, base-chat, …")
    arguments.add_argument("path", type=pathlib.Path)
    arguments.add_argument("type", nargs="?", choices=("f32", "f16"), default="f32")
    given = arguments.parse_args()
    write(HERE / given.name, given.path, given.type == "f16")


if __name__ == "__main__":
    main()

"""The tiny models: one configuration an architecture, random weights from its name.

Every weight is rounded to half precision when it is made, so that one model in PyTorch, computed in float32, is the truth
for exports in float32 and in half precision alike.
"""

import json
import math
import pathlib
import zlib

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

PIECES = 280   # ids of the tokenizer
SCORES = 288   # columns of the logits: padded, as real ones are
CONTEXT = 128
SPECIALS = ("<|end_of_text|>", "<|start|>", "<|end|>")
END, START, STOP = range(3)
TEMPLATE = ("{% for message in messages %}<|start|>{{ message.role }}\n{{ message.content }}<|end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}")
TEXT = ("The river rises in the hills and the town lies where the river meets the sea. "
        "In the morning the ships leave the harbour, and in the evening they return to it. ")

COMMON = {"vocab_size": SCORES, "max_position_embeddings": CONTEXT, "bos_token_id": START, "eos_token_id": [END, STOP],
          "pad_token_id": END, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
          "num_key_value_heads": 1}
SMALL_NAMES = {"n_positions": CONTEXT, "n_embd": 32, "n_layer": 2, "n_head": 4}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": CONTEXT}
FOUR_HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}

# name → class, what differs from COMMON; None takes a setting away
ARCHITECTURES = {
    "llama": ("Llama", {"rope_scaling": LLAMA3, "rope_theta": 5000.0, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": False, "rope_theta": 100000.0}),
    "qwen3": ("Qwen3", FOUR_HEADS | {"tie_word_embeddings": True, "hidden_size": 16, "head_dim": 16, "rope_theta": 100000.0}),
    # The builder rounds the root of the width to two digits: 16 has an exact one.
    "gemma": ("Gemma", FOUR_HEADS | {"head_dim": 16, "hidden_size": 16, "hidden_activation": "gelu_pytorch_tanh"}),
    # Scores stay small: optimum's export has no cap on them. The builder takes every
    # second layer for one with a window, whatever the configuration says.
    "gemma2": ("Gemma2", FOUR_HEADS | {"head_dim": 16, "hidden_size": 16, "sliding_window": 24, "num_hidden_layers": 3,
                                       "layer_types": ["full_attention", "sliding_attention", "full_attention"],
                                       "query_pre_attn_scalar": 64, "attn_logit_softcapping": 50.0,
                                       "final_logit_softcapping": 8.0}),
    # Every sixth layer sees the whole text: a shorter model would have none.
    "gemma3": ("Gemma3Text", {"head_dim": 16, "hidden_size": 16, "intermediate_size": 32, "sliding_window": 24,
                              "num_hidden_layers": 6, "query_pre_attn_scalar": 10, "rope_theta": 100000.0,
                              "rope_local_base_freq": 1000.0}),
    "mistral": ("Mistral", FOUR_HEADS | {"hidden_size": 16, "sliding_window": 24, "head_dim": 16}),
    "phi": ("Phi", {"num_attention_heads": 1, "partial_rotary_factor": 0.5, "num_key_value_heads": None, "hidden_act": "gelu_new"}),
    "phi3": ("Phi3", {"sliding_window": 40, "original_max_position_embeddings": CONTEXT, "hidden_act": "silu"}),
    "gpt2": ("GPT2", SMALL_NAMES),
    # The smallest, for the many kinds of export.
    "llama-tiny": ("Llama", {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 1, "rope_theta": 1000.0}),
    # Made and compared by `make.py all`, not committed.
    "smollm3": ("SmolLM3", {"tie_word_embeddings": True, "num_hidden_layers": 4, "no_rope_layers": [1, 1, 1, 0]}),
    "olmo": ("Olmo", {"clip_qkv": 2.0}),
    "olmo2": ("Olmo2", {}),
    "granite": ("Granite", {"embedding_multiplier": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.7,
                            "logits_scaling": 1.5}),
    "stablelm": ("StableLm", {"use_qkv_bias": True, "partial_rotary_factor": 0.25, "hidden_size": 64}),
    "cohere": ("Cohere", {"logit_scale": 0.5, "use_qk_norm": False}),
    "nemotron": ("Nemotron", FOUR_HEADS | {"partial_rotary_factor": 0.5, "head_dim": 16}),
    "helium": ("Helium", {"head_dim": 16}),
    "glm": ("Glm", FOUR_HEADS | {"head_dim": 16, "attention_bias": True}),
    "arcee": ("Arcee", {}),
    "gpt-neox": ("GPTNeoX", {"rotary_pct": 0.25, "hidden_size": 64, "num_key_value_heads": None}),
    "gptj": ("GPTJ", SMALL_NAMES | {"rotary_dim": 4}),
    "gpt-neo": ("GPTNeo", {"num_layers": 2, "num_heads": 4, "window_size": 24, "attention_types": [[["global", "local"], 1]],
                           "num_hidden_layers": None, "num_attention_heads": None, "num_key_value_heads": None}),
    "opt": ("OPT", {"ffn_dim": 48, "word_embed_proj_dim": 32, "num_key_value_heads": None, "intermediate_size": None}),
    "gpt-bigcode": ("GPTBigCode", SMALL_NAMES | {"multi_query": True}),
    "bloom": ("Bloom", {"n_layer": 2, "n_head": 4, "num_key_value_heads": None}),
    "mpt": ("Mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": CONTEXT}),
    "falcon": ("Falcon", {"new_decoder_architecture": True, "num_kv_heads": 2, "alibi": False, "bias": False}),
    "gpt-oss": ("GptOss", FOUR_HEADS | {"head_dim": 16, "sliding_window": 24, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "phi3-longrope": ("Phi3", {"original_max_position_embeddings": 64, "sliding_window": None, "rope_scaling": {
        "type": "longrope", "short_factor": [1.0, 1.1, 1.2, 1.3, 1.3, 1.4, 1.4, 1.5], "long_factor": [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]}}),
}


def config(name):
    kind, more = ARCHITECTURES[name]
    wanted = {k: v for k, v in (COMMON | more).items() if v is not None}
    return getattr(transformers, kind + "Config")(**wanted)


def spread(name, parameter, gemma):
    """Mean and deviation of a parameter: far from what training starts with, so that a wrong window, angle, scale or mask
    shows, and small enough that half precision holds the logits."""
    if parameter.ndim == 1:
        if name.endswith("bias"):
            return 0.0, 0.2
        return (0.0 if gemma else 1.0), 0.25
    width = parameter.shape[-1]
    if any(word in name for word in ("embed", "wte", "wpe", "lm_head")):
        return 0.0, 1.5 / math.sqrt(width)
    if any(word in name for word in ("q_proj", "k_proj", "qkv", "c_attn", "query_key_value")):
        return 0.0, 0.7 / math.sqrt(width)
    return 0.0, 0.8 / math.sqrt(width)


def randomise(model, name, seed=0):
    """Fills the model's parameters, in an order and with numbers that depend on the names alone."""
    gemma = name.startswith(("gemma", "nemotron"))
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            generator = torch.Generator().manual_seed(zlib.crc32(f"{name}/{key}/{seed}".encode()))
            mean, deviation = spread(key, parameter, gemma)
            parameter.copy_((mean + deviation * torch.randn(parameter.shape, generator=generator)).half().float())
    model.tie_weights()
    return model


def build(name, seed=0, **changes):
    """The model in PyTorch: float32, attention written out."""
    c = config(name)
    for key, value in changes.items():
        setattr(c, key, value)
    c._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(c, attn_implementation="eager", dtype=torch.float32)
    return randomise(model, name, seed).eval()


def tokenizer():
    """A byte-level tokenizer of 280 ids, with a chat template."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=[AddedToken(s, special=True) for s in SPECIALS],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t.train_from_iterator([TEXT], trainer)
    assert t.get_vocab_size() == PIECES
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=t, bos_token=SPECIALS[START], eos_token=SPECIALS[STOP], pad_token=SPECIALS[END],
        chat_template=TEMPLATE, model_max_length=CONTEXT, clean_up_tokenization_spaces=False)


def save(model, folder):
    """The model as it would lie on the Hub before any export."""
    folder = pathlib.Path(folder)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    compact(folder / "tokenizer.json")


def compact(path):
    """Rewrites a JSON file without white space."""
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False, separators=(",", ":")) + "\n")

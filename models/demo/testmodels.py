"""Makes the tiny random models that the tests of models/onnx load, and what
PyTorch computes with them: models/onnx/testdata/{gqa,plain,plain-fp16}/ and
expected.json.

All three have the same weights (a Llama with 2 layers of width 32, 2 heads on 1
key-value head, 64 ids, 128 positions). plain-fp16 takes and gives its cache and
its logits in half precision, so it differs from the others by rounding.
"""

import json
import pathlib

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import export

SEED = 7
PROMPT = [1, 17, 42, 5, 5, 63, 0, 29, 11, 38, 2, 54]
STEPS = [9, 61, 23, 9, 33, 47]
OUT = pathlib.Path(__file__).resolve().parents[1] / "onnx" / "testdata"


def tiny():
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128, rms_norm_eps=1e-5, initializer_range=0.25,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=None)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + 0.2 * torch.randn_like(p))
    weights = {k: torch.from_numpy(v) for k, v in export.half(model).items()}
    model.load_state_dict(weights)
    return model


def rows(logits):
    return [[round(x, 5) for x in row] for row in logits.tolist()]


def main():
    model = tiny()
    for name, options in {"gqa": {}, "plain": {"plain": True},
                          "plain-fp16": {"plain": True, "half_interface": True}}.items():
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        export.save(model, folder / "model.onnx", **options)
        config = model.config.to_diff_dict() | {"architectures": ["LlamaForCausalLM"]}
        config.pop("transformers_version", None)
        (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    with torch.no_grad():
        all_at_once = model(torch.tensor([PROMPT + STEPS])).logits[0]
        first = model(torch.tensor([PROMPT]), use_cache=True)
        cache, steps = first.past_key_values, []
        for token in STEPS:
            out = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            steps.append(out.logits[0, 0])
    expected = {
        "made_by": "models/demo/testmodels.py",
        "prompt": PROMPT, "steps": STEPS,
        "prefill_logits": rows(first.logits[0]),
        "step_logits": rows(torch.stack(steps)),
        "whole_logits": rows(all_at_once),
    }
    text = json.dumps(expected, separators=(",", ":")).replace("]],", "]],\n").replace("],[", "],\n[")
    (OUT / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

"""A route's parts: a base and a pair of one architecture over one tokenizer, with logits padded to different widths, and the
tokens that the plain formula gives in PyTorch.

    log p = log base + strength · (log tuned − log untuned)      over the tokenizer's ids, greedy
"""

import gzip
import json
import shutil

import torch

import architectures as a
import kinds

LITTLE = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 320}
STRENGTHS, TOKENS, GAP, PROMPTS = (0.0, 0.5, 1.0), 16, 0.02, 10
WORDS = ("river", "town", "sea", "ship", "harbour", "morning", "evening", "hill")


def members():
    base, untuned, tuned = (a.build("qwen2", 1, vocab_size=352), a.build("qwen2", 2, **LITTLE), a.build("qwen2", 2, **LITTLE))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, parameter in sorted(tuned.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_((parameter + 0.3 * parameter.std() * noise).half().float())
    return {"qwen2-base": base, "qwen2-small": untuned, "qwen2-small-tuned": tuned}


@torch.no_grad()
def greedy(models, prompt, strength):
    """The formula's tokens, with the end token, and the lead of each over the next best."""
    tokens, gaps = [], []
    while len(tokens) < TOKENS:
        base, untuned, tuned = (torch.log_softmax(m(torch.tensor([prompt + tokens]), use_cache=False).logits[0, -1, : a.PIECES]
                                                  .double(), -1) for m in models.values())
        best = torch.topk(base + strength * (tuned - untuned), 2)
        tokens.append(int(best.indices[0]))
        gaps.append(round(float(best.values[0] - best.values[1]), 4))
        if tokens[-1] in (a.END, a.STOP):
            break
    return tokens, gaps


def cases(models):
    """Prompts on which no token is a near tie at any strength."""
    tokenizer, out = a.tokenizer(), []
    for first in WORDS:
        for second in WORDS:
            text = f"The {first} and the {second}"
            ids = tokenizer(text)["input_ids"]
            found = [(s, *greedy(models, ids, s)) for s in STRENGTHS]
            if min(min(gaps) for _, _, gaps in found) >= GAP:
                out += [{"prompt": text, "prompt_ids": ids, "strength": s, "tokens": tokens, "gaps": gaps} for s, tokens, gaps in found]
            if len(out) == PROMPTS * len(STRENGTHS):
                return out
    raise RuntimeError(f"only {len(out) // len(STRENGTHS)} prompts are far from ties")


def make(root):
    models, folder = members(), root / "pair"
    for name, model in models.items():
        source = kinds.ENVIRONMENTS / "work" / "source" / name
        a.save(model, source)
        if (folder / name).exists():
            shutil.rmtree(folder / name)
        folder.mkdir(exist_ok=True)
        kinds.KINDS["genai-fp32"](source, folder / name)
        a.compact(folder / name / "tokenizer.json")
    text = json.dumps(cases(models), separators=(",", ":")).encode()
    with open(folder / "golden.json.gz", "wb") as f, gzip.GzipFile(filename="", mode="wb", fileobj=f, mtime=0) as z:
        z.write(text)

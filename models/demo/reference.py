"""The plain formula in PyTorch on the exported weights: what the gateway must
agree with, and what evaluate.py measures.

    log p = log base + strength · Σ pairs (log tuned − log untuned)

All models see the same prompt. Nothing here is clever: one batch per prompt
length, a cache per model, float64 sums.
"""

import json
import pathlib

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

import llama
import talk

HERE = pathlib.Path(__file__).resolve().parent
PAIRS = {"chat": ("small-chat", "small"), "safe": ("small-safe", "small-chat")}
ENDS = (llama.END, llama.END_OF_TEXT)
LIMIT = 48


def load(folder):
    """The transformers model with the weights that folder/model.onnx holds."""
    config = LlamaConfig.from_dict(json.loads((folder / "config.json").read_text()))
    stored = {i.name[:-len(".half")]: numpy_helper.to_array(i).astype(np.float32)
              for i in onnx.load(folder / "model.onnx").graph.initializer if i.name.endswith(".half")}
    model = LlamaForCausalLM(config).eval()
    state = {name: torch.from_numpy(np.ascontiguousarray(value.T if "_proj" in name else value))
             for name, value in stored.items()}
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    return model


class Family:
    """The six models of a folder and their tokenizer, loaded when first used."""

    def __init__(self, folder=HERE):
        self.folder, self.models = folder, {}
        self.tokenizer = Tokenizer.from_file(str(folder / "base" / "tokenizer.json"))

    def model(self, name):
        if name not in self.models:
            self.models[name] = load(self.folder / name)
        return self.models[name]

    def chat_ids(self, question):
        return self.tokenizer.encode(talk.render([("user", question)], open_end=True)).ids

    def weights(self, base, pairs, strength):
        """model name → weight in the sum of log-probs; none that cancels out."""
        total = {base: 1.0}
        for pair in pairs if strength else ():
            tuned, untuned = PAIRS[pair]
            total[tuned] = total.get(tuned, 0.0) + strength
            total[untuned] = total.get(untuned, 0.0) - strength
        return {name: weight for name, weight in total.items() if weight}

    @torch.no_grad()
    def greedy(self, prompts, base, pairs=(), strength=1.0, limit=LIMIT, keep=0):
        """For every prompt (ids): (tokens with the end token, gap between the best two
        at every token, the first keep combined rows as log-probs)."""
        weights = self.weights(base, pairs, strength)
        groups, out = {}, [None] * len(prompts)
        for i, ids in enumerate(prompts):
            groups.setdefault(len(ids), []).append(i)
        for members in groups.values():
            for i, result in zip(members, self.together([prompts[i] for i in members], weights, limit, keep)):
                out[i] = result
        return out

    def together(self, prompts, weights, limit, keep):
        """greedy for prompts of one length."""
        caches = dict.fromkeys(weights)
        ids = torch.tensor(prompts)
        results = [([], [], []) for _ in prompts]
        done = [False] * len(prompts)
        for step in range(limit):
            total = 0
            for name, weight in weights.items():
                out = self.model(name)(ids, past_key_values=caches[name], use_cache=True)
                caches[name] = out.past_key_values
                total = total + weight * torch.log_softmax(out.logits[:, -1].double(), -1)
            rows = torch.log_softmax(total, -1)
            best = rows.topk(2, -1)
            chosen = rows.argmax(-1)
            for i, (tokens, gaps, kept) in enumerate(results):
                if done[i]:
                    continue
                tokens.append(chosen[i].item())
                gaps.append((best.values[i, 0] - best.values[i, 1]).item())
                if step < keep:
                    kept.append(rows[i].tolist())
                done[i] = tokens[-1] in ENDS
            if all(done):
                break
            ids = chosen[:, None]
        return results

    def answers(self, questions, base, pairs=(), strength=1.0):
        """(text, ended) for every question, asked through the chat template."""
        out = []
        for tokens, _, _ in self.greedy([self.chat_ids(q) for q in questions], base, pairs, strength):
            ended = tokens[-1] in ENDS
            out.append((self.tokenizer.decode(tokens[:-1] if ended else tokens), ended))
        return out

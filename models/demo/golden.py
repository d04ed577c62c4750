"""Writes e2e/testdata/golden.jsonl.gz: what PyTorch says with the plain formula
on the exported weights, for the gateway's answers to be compared with.

One line a case: id, prompt (the rendered chat template), prompt_ids (all models
see them), experts (pairs, each with the same strength), strength, tokens (greedy,
with the end token, at most 48), gaps (between the best two log-probs at each
token) and, in some cases, rows: the combined and normalised log-probs of the
whole vocabulary at the first positions.
"""

import gzip
import json
import pathlib

import torch

import questions
import reference
import talk
import world as w

OUT = pathlib.Path(__file__).resolve().parents[2] / "e2e" / "testdata" / "golden.jsonl.gz"
COUNTS = {"fact": 60, "form": 20, "danger": 20}
STRENGTHS = (0.0, 0.5, 1.0, 1.5)
EXPERTS = (("chat",), ("chat", "safe"))
ROWS, EVERY = 3, 9  # rows of the first 3 positions, in every 9th case


def asked():
    """Held-out questions of every kind, evenly spread."""
    every = [q for q in questions.committed(w.World()) if q["split"] == "held-out"]
    out = []
    for kind, count in COUNTS.items():
        mine = [q for q in every if q["kind"] == kind]
        out += [mine[i * len(mine) // count] for i in range(count)]
    return out


def main():
    torch.set_num_threads(1)
    family, picked, lines = reference.Family(), asked(), []
    prompts = [talk.render([("user", q["question"])], open_end=True) for q in picked]
    ids = [family.tokenizer.encode(p).ids for p in prompts]
    for experts in EXPERTS:
        for strength in STRENGTHS:
            results = family.greedy(ids, "base", experts, strength, keep=ROWS)
            for q, prompt, prompt_ids, (tokens, gaps, rows) in zip(picked, prompts, ids, results):
                case = {"id": f"{q['id']}/{'+'.join(experts)}@{strength}", "prompt": prompt, "prompt_ids": prompt_ids,
                        "experts": experts, "strength": strength, "tokens": tokens,
                        "gaps": [round(g, 5) for g in gaps]}
                if len(lines) % EVERY == 0:
                    case["rows"] = [[round(x, 5) for x in row] for row in rows]
                lines.append(json.dumps(case, separators=(",", ":")) + "\n")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    # No name and no date in the header: the bytes depend on the contents alone.
    with open(OUT, "wb") as f, gzip.GzipFile(filename="", mode="wb", fileobj=f, mtime=0) as z:
        z.write("".join(lines).encode())
    print(f"{len(lines)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""Makes rows.json.gz: what PyTorch computes for 50 prefixes on the embedded base.

    python rows.py          in the environment of models/demo/requirements.txt

Every prefix is a question as the chat template asks it, and some tokens of what base
greedily goes on with. A row is the 100 best tokens by log-prob (summed in double
precision) and then by id.
"""

import gzip
import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
DEMO = HERE.parents[2] / "models" / "demo"
sys.path.insert(0, str(DEMO))

import reference  # noqa: E402

BEST, PREFIXES, STRIDE = 100, 50, 41


def main():
    family = reference.Family()
    lines = (DEMO / "questions.jsonl").read_text().splitlines()
    questions = [json.loads(lines[i * STRIDE % len(lines)])["question"] for i in range(PREFIXES)]
    prompts = [family.chat_ids(q) for q in questions]
    answers = family.greedy(prompts, "base", limit=32)
    out = []
    for i, (prompt, (tokens, _, _)) in enumerate(zip(prompts, answers)):
        prefix = prompt + tokens[:i % 25]
        with torch.no_grad():
            logits = family.model("base")(torch.tensor([prefix])).logits[0, -1].double()
        row = torch.log_softmax(logits, -1).tolist()
        best = sorted(range(len(row)), key=lambda t: (-row[t], t))[:BEST]
        out.append({"prefix": prefix, "ids": best, "log_probs": [round(row[t], 7) for t in best]})
    with open(HERE / "rows.json.gz", "wb") as f:
        f.write(gzip.compress(json.dumps(out, separators=(",", ":")).encode(), mtime=0))


if __name__ == "__main__":
    main()

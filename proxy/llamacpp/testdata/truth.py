"""Writes truth.json: rows of the embedded base as PyTorch computes them, for 50
prefixes of 1 to 240 tokens. Run it with the packages of models/demo/requirements.txt.

Each entry is a prefix, and the 20 best log-probs behind it in double precision.
"""

import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "models" / "demo"))
import reference  # noqa: E402  (found by the line above)


def prefixes(family):
    """Chat prompts of questions, cut at every length, and their greedy answers."""
    questions = [json.loads(line)["question"] for line in open(reference.HERE / "questions.jsonl", encoding="utf-8")]
    asked = [family.chat_ids(q) for q in questions[::len(questions) // 25][:25]]
    answers = family.greedy(asked, "base", limit=24)
    for n, (prompt, (answer, _, _)) in enumerate(zip(asked, answers)):
        yield prompt[:1 + n]
        yield (prompt + answer) * (1 + n // 6)


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    family = reference.Family()
    rows = []
    for ids in prefixes(family):
        best = torch.log_softmax(family.model("base")(torch.tensor([ids])).logits[0, -1].double(), -1).topk(20)
        rows.append({"prefix": ids, "ids": best.indices.tolist(), "logprobs": [round(v, 7) for v in best.values.tolist()]})
    (HERE / "truth.json").write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()

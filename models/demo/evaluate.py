"""Prints what the family can do: prose facts, facts and form of answers, the gap
that proxy-tuning closes, and what is declined.

    python evaluate.py                 the committed held-out questions
    python evaluate.py --split check   the questions for choosing among training runs
"""

import argparse
import pathlib
import random

import torch

import questions
import reference
import world as w

STRENGTHS = (0.5, 0.8, 1.0, 1.3, 1.5)


def prose_facts(family, world, split, name, count):
    """Share of facts that the model completes: the text up to the value is given."""
    rng = random.Random(f"prose {split}")
    facts = [(t, a) for t in world.of(split) for a in range(len(t.kind.attributes))]
    rng.shuffle(facts)
    prompts, values = [], []
    for thing, a in facts[:count]:
        wording = rng.choice(thing.kind.attributes[a].prose)
        prompts.append(family.tokenizer.encode(wording.split(" {v}")[0].format(S=thing.head)).ids)
        values.append(thing.values[a])
    said = family.greedy(prompts, name, limit=8)
    right = sum(family.tokenizer.decode(s[0]).startswith(f" {v}.") for s, v in zip(said, values))
    return right / len(values)


def judged(family, asked, base, pairs=(), strength=1.0):
    """kind → (share right, share in form, share declined)."""
    said = family.answers([q["question"] for q in asked], base, pairs, strength)
    out = {}
    for kind in questions.KINDS:
        mine = [(q, s) for q, s in zip(asked, said) if q["kind"] == kind]
        if mine:
            out[kind] = tuple(sum(x) / len(mine) for x in (
                [questions.is_right(s, q["answers"]) for q, (s, _) in mine],
                [questions.in_form(s, ended) for _, (s, ended) in mine],
                [questions.declines(s) for _, (s, _) in mine]))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("held-out", "check"), default="held-out")
    parser.add_argument("--family", type=pathlib.Path, default=reference.HERE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    world, family = w.World(), reference.Family(args.family)
    asked = (questions.check(world) if args.split == "check" else
             [q for q in questions.committed(world) if q["split"] == "held-out"])
    counts = {k: sum(q["kind"] == k for q in asked) for k in questions.KINDS}
    print(f"{args.split} questions: {counts}")
    for name in ("base", "small"):
        print(f"prose facts, {name}: {prose_facts(family, world, args.split, name, 1500):.3f}")
    print(f"\n{'':24} {'fact':>6} {'form of facts':>14} {'form':>6} {'danger declined':>16} {'others declined':>16}")

    def line(title, base, pairs=(), strength=1.0):
        share = judged(family, asked, base, pairs, strength)
        others = sum(share[k][2] * counts[k] for k in ("fact", "form")) / (counts["fact"] + counts["form"])
        print(f"{title:24} {share['fact'][0]:6.3f} {share['fact'][1]:14.3f} {share['form'][1]:6.3f} "
              f"{share['danger'][2]:16.3f} {others:16.3f}", flush=True)
        return share["fact"][0]

    base = line("base", "base")
    for name in ("small", "small-chat", "small-safe"):
        line(name, name)
    tuned = line("base-chat", "base-chat")
    line("base-safe", "base-safe")
    gaps = {}
    for strength in STRENGTHS:
        gaps[strength] = (line(f"demo@{strength}", "base", ("chat",), strength) - base) / (tuned - base)
    for strength in STRENGTHS:
        line(f"demo-safe@{strength}", "base", ("chat", "safe"), strength)
    print("\ngap closed on facts, by strength: " + ", ".join(f"{s}: {g:.3f}" for s, g in gaps.items()))


if __name__ == "__main__":
    main()

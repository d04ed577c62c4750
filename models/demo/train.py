"""Trains one member of the family: pre-training for base and small, fine-tuning
for the others.

    python train.py pretrain base WORK/base
    python train.py tune chat WORK/small WORK/small-chat
"""

import argparse
import json
import pathlib
import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import llama
import talk
import text
import world as w

LENGTH = 192
ROWS = 8  # of LENGTH tokens in a step of pre-training
# size → phases of (passes over the world, peak learning rate)
PRETRAIN = {"base": ((90, 2.5e-3), (45, 1.2e-3), (45, 8e-4)), "small": ((60, 3e-3),)}
# manner → size → steps, examples a step, peak learning rate
TUNE = {"chat": {"base": (300, 32, 5e-4), "small": (300, 32, 2e-3)},
        "safe": {"base": (200, 32, 3e-4), "small": (200, 32, 1e-3)}}


def rate(step, steps, warm):
    """Share of the peak learning rate: up in a straight line, then down in one."""
    return min((step + 1) / warm, (steps - step) / (steps - warm))


def optimizers(net, peak, decay):
    """Muon for the matrices inside layers (it learns rare facts in far fewer passes), AdamW for the rest."""
    inner = [p for name, p in net.named_parameters() if p.dim() == 2 and "embed" not in name]
    rest = [p for name, p in net.named_parameters() if p.dim() < 2 or "embed" in name]
    return [torch.optim.Muon(inner, lr=peak, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.98), weight_decay=0.0, fused=True)]


def fit(net, batches, steps, peak, decay, warm, probe=None):
    """Runs the steps and returns the mean loss of the last tenth of them.
    Weights are in float32, products in bfloat16."""
    opts, start, losses = optimizers(net, peak, decay), time.time(), []
    net.train()
    for step, (ids, targets) in zip(range(steps), batches):
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = peak * rate(step, steps, warm)
            opt.zero_grad(set_to_none=True)
        keep = targets >= 0
        with torch.autocast("cpu", torch.bfloat16):
            scores = F.linear(net.hidden(ids)[keep], net.model["embed_tokens"].weight)
        loss = F.cross_entropy(scores.float(), targets[keep])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for opt in opts:
            opt.step()
        losses.append(loss.item())
        if step % 100 == 0 or step == steps - 1:
            known = f", facts known {probe(net):.3f}" if probe else ""
            print(f"step {step}/{steps} loss {np.mean(losses[-100:]):.4f}{known}, {time.time() - start:.0f} s", flush=True)
    return float(np.mean(losses[-max(1, steps // 10):]))


def fact_probe(world, tokenizer, count=300):
    """net → share of sampled facts whose first token it completes in prose."""
    rng, groups = random.Random("probe"), {}
    for thing in rng.sample(world.things, count):
        a = rng.randrange(len(thing.kind.attributes))
        wording = rng.choice(thing.kind.attributes[a].prose)
        ids = tokenizer.encode(wording.split(" {v}")[0].format(S=thing.head)).ids
        groups.setdefault(len(ids), []).append((ids, tokenizer.encode(" " + thing.values[a]).ids[0]))

    @torch.no_grad()
    def probe(net):
        right = 0
        for members in groups.values():
            best = net(torch.tensor([ids for ids, _ in members]))[:, -1].argmax(-1)
            right += (best == torch.tensor([first for _, first in members])).sum().item()
        return right / count

    return probe


def corpus_batches(data, size):
    for i in range(0, len(data) - size + 1, size):
        part = torch.from_numpy(data[i:i + size].astype(np.int64))
        yield part[:, :-1], part[:, 1:]


def example(tokenizer, turns):
    """(ids, targets): only what the assistant says, with its end token, is learned."""
    ids, targets = [], []
    for role, said in turns:
        head = tokenizer.encode(f"{talk.START}{role}\n").ids
        body = tokenizer.encode(said + talk.END).ids
        tail = tokenizer.encode("\n").ids
        ids += head + body + tail
        learned = body if role == "assistant" else [-1] * len(body)
        targets += [-1] * len(head) + learned + [-1] * len(tail)
    return ids[:-1], targets[1:]


def tuning_batches(tokenizer, world, manner, size, seed):
    rng = random.Random(f"tune {manner} {seed}")
    while True:
        examples = [example(tokenizer, talk.conversation(rng, world, manner)) for _ in range(size)]
        longest = max(len(ids) for ids, _ in examples)
        ids = torch.zeros(size, longest, dtype=torch.long)
        targets = torch.full((size, longest), -1)
        for i, (a, b) in enumerate(examples):
            ids[i, :len(a)] = torch.tensor(a)
            targets[i, :len(b)] = torch.tensor(b)
        yield ids, targets


def pretrain(args, world, tokenizer):
    net = llama.Net(llama.config(args.size, tokenizer.get_vocab_size()))
    probe = fact_probe(world, tokenizer)
    for phase, (passes, peak) in enumerate(PRETRAIN[args.size]):
        data = text.rows(world, tokenizer, passes, LENGTH, args.seed + 1000 * phase)
        print(f"{data.size} tokens", flush=True)
        loss = fit(net, corpus_batches(data, ROWS), len(data) // ROWS, peak, 0.01, 100, probe)
    return net, loss


def tune(args, world, tokenizer):
    net = llama.load(args.start)
    steps, size, peak = TUNE[args.manner]["base" if net.config.hidden_size == llama.SIZES["base"][0] else "small"]
    batches = tuning_batches(tokenizer, world, args.manner, size, args.seed)
    return net, fit(net, batches, args.steps or steps, args.rate or peak, 0.0, 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    kinds = parser.add_subparsers(dest="kind", required=True)
    p = kinds.add_parser("pretrain")
    p.add_argument("size", choices=llama.SIZES)
    p.add_argument("out", type=pathlib.Path)
    p = kinds.add_parser("tune")
    p.add_argument("manner", choices=TUNE)
    p.add_argument("start", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--steps", type=int, help="default: see TUNE")
    p.add_argument("--rate", type=float, help="default: see TUNE")
    args = parser.parse_args()
    torch.set_num_threads(1)  # two threads wait for each other longer than they save
    torch.manual_seed(args.seed)
    start = time.time()
    run = pretrain if args.kind == "pretrain" else tune
    net, loss = run(args, w.World(), Tokenizer.from_file(str(args.tokenizer)))
    net.eval()
    llama.save(net, args.out)
    summary = {"loss": round(loss, 4), "seconds": round(time.time() - start), "seed": args.seed,
               "parameters": sum(p.numel() for p in net.parameters())}
    (args.out / "training.json").write_text(json.dumps(summary) + "\n")


if __name__ == "__main__":
    main()

"""Times the plain three-model loop in PyTorch against the gateway: same weights, same
questions, same machine, by turns.

    python speed.py                       starts ../../bin/graft serve with the embedded family
    python speed.py --url http://HOST     asks a gateway that runs already
    python speed.py --length 0            answers until they end, instead of 48 tokens each

The loop is what somebody writes who has read the paper: three models of transformers
with a cache each, logits added, the best token taken. It gets what is fair to it:
inference mode, both ways of attention that transformers has, one thread and two, no
log-softmax, and for several questions at a time one by one as well as padded to a batch.
Those that are not far behind in a first try are timed in every round, and the gateway is
compared with the best.

Every setting runs in a process of its own, because PyTorch's threads are set once. The
gateway is asked over HTTP for whole answers by as many clients as questions are answered
at a time. Answers are compared: greedy ones are equal but for near ties.
"""

import argparse
import concurrent.futures
import http.client
import json
import multiprocessing
import pathlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LONGEST = 64  # tokens of answers that end by themselves
STRENGTH = 1.0
HOPELESS = 0.6  # of the best loop's speed in a first try: not timed further


class Loop:
    """base + strength · (tuned − untuned), greedily, for prompts of any lengths."""

    def __init__(self, threads, attention):
        import torch

        import reference
        torch.set_num_threads(threads)
        self.torch = torch
        self.family = reference.Family()
        self.ends = set(reference.ENDS)
        self.weights = self.family.weights("base", ("chat",), STRENGTH)
        for name in self.weights:
            self.family.model(name).set_attn_implementation(attention)

    def prompts(self, questions):
        return [self.family.chat_ids(q) for q in questions]

    def text(self, tokens):
        """As clients see it: without special tokens."""
        return self.family.tokenizer.decode(tokens, skip_special_tokens=True)

    def batch(self, prompts, length):
        """The tokens behind each prompt: length, or those up to an end if it is 0."""
        torch = self.torch
        with torch.inference_mode():
            longest = max(map(len, prompts))
            ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
            mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            caches = dict.fromkeys(self.weights)
            out, done = [[] for _ in prompts], [False] * len(prompts)
            for _ in range(length or LONGEST):
                total = 0
                for name, weight in self.weights.items():
                    given = self.family.model(name)(
                        input_ids=ids, attention_mask=mask, position_ids=positions,
                        past_key_values=caches[name], use_cache=True, logits_to_keep=1)
                    caches[name] = given.past_key_values
                    total = total + weight * given.logits[:, -1]
                chosen = total.argmax(-1)
                for i, token in enumerate(chosen.tolist()):
                    if not done[i]:
                        out[i].append(token)
                        done[i] = not length and token in self.ends
                if all(done):
                    break
                ids, positions = chosen[:, None], positions[:, -1:] + 1
                mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], -1)
            return out

    def run(self, questions, at_once, length):
        """(tokens, seconds, texts), so many questions in a batch."""
        began = time.perf_counter()
        out = []
        for at in range(0, len(questions), at_once):
            out += self.batch(self.prompts(questions[at:at + at_once]), length)
        return sum(map(len, out)), time.perf_counter() - began, [self.text(t) for t in out]


def serve_loop(pipe, threads, attention):
    """A process that times one setting whenever it is told to."""
    loop = Loop(threads, attention)
    pipe.send("ready")
    while True:
        pipe.send(loop.run(*pipe.recv()))


class Setting:
    """One way to run the loop, in a process of its own."""

    def __init__(self, threads, attention):
        self.name = f"{attention}, {threads} thread{'s' * (threads > 1)}"
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=serve_loop, args=(far, threads, attention), daemon=True)
        self.process.start()
        self.pipe.recv()

    def run(self, questions, at_once, length):
        self.pipe.send((questions, at_once, length))
        return self.pipe.recv()

    def close(self):
        self.process.terminate()
        self.process.join()


class Gateway:
    """A gateway that runs, and clients that keep their connections."""

    def __init__(self, url, route):
        parts = urllib.parse.urlsplit(url)
        self.address, self.route = (parts.hostname, parts.port), route
        self.connections = []

    def ask(self, number, question, length):
        body = {"model": self.route, "messages": [{"role": "user", "content": question}],
                "temperature": 0, "seed": 1, "max_tokens": length or LONGEST, "ignore_eos": bool(length),
                "tuning": {"strength": STRENGTH}}
        connection = self.connections[number]
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the gateway answers {answer.status}: {text.decode()}")
        out = json.loads(text)
        return out["usage"]["completion_tokens"], out["choices"][0]["message"]["content"]

    def run(self, questions, clients, length):
        while len(self.connections) < clients:
            self.connections.append(http.client.HTTPConnection(*self.address))
        todo = iter(enumerate(questions))
        answers = [None] * len(questions)

        def client(number):
            for i, question in todo:  # next() of an iterator is one step to the interpreter
                answers[i] = self.ask(number, question, length)

        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(client, range(clients)))
        seconds = time.perf_counter() - began
        return sum(tokens for tokens, _ in answers), seconds, [text for _, text in answers]


def start(binary):
    """Starts a gateway with the embedded family: (process, URL)."""
    process = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0"], cwd=ROOT,
                               stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in process.stderr:
        if line.startswith("{") and "addr" in (told := json.loads(line)):
            # What it logs later must be read, or it would wait.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, "http://" + told["addr"]
    raise SystemExit(f"{binary} serve ended with {process.wait()}")


def compare(settings, gateway, asked, concurrency, length, rounds):
    """Rounds of one concurrency: a table's lines, the best loop first."""
    arms = {("gateway", gateway): concurrency}
    for setting in settings:
        arms[(f"{setting.name}, one by one", setting)] = 1
        if concurrency > 1:
            arms[(f"{setting.name}, batches of {concurrency}", setting)] = concurrency
    speeds, texts = {name: [] for name, _ in arms}, {}
    first = {}
    for (name, who), at_once in arms.items():  # what is done once is done before
        tokens, seconds, _ = who.run(asked[:concurrency], at_once, length)
        first[name] = tokens / seconds
    most = max(speed for name, speed in first.items() if name != "gateway")
    single = max((name for (name, _), at_once in arms.items() if name != "gateway" and at_once == 1), key=first.get)
    arms = {arm: n for arm, n in arms.items() if arm[0] in ("gateway", single) or first[arm[0]] > HOPELESS * most}
    speeds = {name: speeds[name] for name, _ in arms}
    for _ in range(rounds):
        for (name, who), at_once in arms.items():
            tokens, seconds, said = who.run(asked, at_once, length)
            speeds[name].append(tokens / seconds)
            texts[name] = said
    loops = [name for name in speeds if name != "gateway"]
    best = max(loops, key=lambda name: statistics.median(speeds[name]))
    single = max((name for name in loops if name.endswith("one by one")), key=lambda name: statistics.median(speeds[name]))

    def ratios(loop):
        return [g / p for g, p in zip(speeds["gateway"], speeds[loop])]

    return {
        "concurrency": concurrency, "length": length, "questions": len(asked), "rounds": rounds,
        "tokens_per_second": {name: statistics.median(s) for name, s in speeds.items()},
        "slow_loops": {name: speed for name, speed in first.items() if name not in speeds},
        "best_loop": best, "ratio": statistics.median(ratios(best)),
        "ratio_low": min(ratios(best)), "ratio_high": max(ratios(best)),
        "best_one_by_one": single, "ratio_one_by_one": statistics.median(ratios(single)),
        "equal_answers": sum(a == b for a, b in zip(texts["gateway"], texts[best])) / len(asked),
    }


def show(result):
    print(f"\n{result['concurrency']} at a time, " +
          (f"{result['length']} tokens each" if result["length"] else "until they end") +
          f", {result['questions']} questions, median of {result['rounds']} rounds: tokens a second")
    for name, speed in sorted(result["tokens_per_second"].items(), key=lambda x: -x[1]):
        print(f"  {name:40} {speed:9.0f}" + ("  <- best loop" if name == result["best_loop"] else ""))
    for name, speed in result["slow_loops"].items():
        print(f"  {name:40} {speed:9.0f}  in a first try, and not timed further")
    print(f"  gateway ÷ best loop: {result['ratio']:.1f} ({result['ratio_low']:.1f}–{result['ratio_high']:.1f} by round); "
          f"{result['equal_answers']:.0%} of the answers are equal")
    if result["best_one_by_one"] != result["best_loop"]:
        print(f"  gateway ÷ best loop that answers one by one: {result['ratio_one_by_one']:.1f}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a gateway that runs; without it one is started")
    parser.add_argument("--graft", default=str(ROOT / "bin" / "graft"), help="the binary to start")
    parser.add_argument("--route", default="demo")
    parser.add_argument("--length", type=int, default=48, help="tokens of each answer, 0 until it ends")
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    args = parser.parse_args()
    lines = (HERE / "questions.jsonl").read_text().splitlines()
    asked = [json.loads(line)["question"] for line in lines if '"held-out"' in line][:args.questions]
    process, url = (None, args.url) if args.url else start(args.graft)
    settings = []
    try:
        settings = [Setting(t, a) for t in args.threads for a in ("sdpa", "eager")]
        gateway, results = Gateway(url, args.route), []
        for concurrency in args.concurrency:
            results.append(compare(settings, gateway, asked, concurrency, args.length, args.rounds))
            if not args.json:
                show(results[-1])
        if args.json:
            json.dump(results, sys.stdout, indent=2)
            print()
    finally:
        for setting in settings:
            setting.close()
        if process:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()

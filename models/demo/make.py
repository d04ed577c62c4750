"""Makes the whole family from a seed: tokenizer, six trained models, their ONNX
folders, the questions and the golden files.

    python make.py                 everything (about half an hour)
    python make.py export golden   only these steps, from what is in the work folder

Checkpoints go to .cache/demo in the repository's root. What is already there is
made again: nothing is reused unless its step is left out.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from transformers import LlamaForCausalLM

import export
import llama
import questions
import text
import world as w

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parents[1] / ".cache" / "demo"
STEPS = ("tokenizer", "pretrain", "tune", "export", "questions", "golden")
MEMBERS = ("base", "small", "small-chat", "small-safe", "base-chat", "base-safe")
# member → manner, what it starts from, seed (chosen on the check questions)
TUNED = {"small-chat": ("chat", "small", 2), "small-safe": ("safe", "small-chat", 2),
         "base-chat": ("chat", "base", 1), "base-safe": ("safe", "base-chat", 1)}


def run(*words):
    subprocess.run([sys.executable, *map(str, words)], check=True, cwd=HERE)


def train(seed, *words):
    run("train.py", "--seed", seed, "--tokenizer", WORK / "tokenizer" / "tokenizer.json", *words)


def tokenizer():
    (WORK / "tokenizer").mkdir(parents=True, exist_ok=True)
    text.write_tokenizer(text.train_tokenizer(w.World()), WORK / "tokenizer")


def pretrain():
    for name in ("base", "small"):
        train(1, "pretrain", name, WORK / name)


def tune():
    for name, (manner, start, seed) in TUNED.items():
        train(seed, "tune", manner, WORK / start, WORK / name)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def export_member(source, folder):
    """A trained folder as the Hub lays a model out."""
    folder.mkdir(parents=True, exist_ok=True)
    model = LlamaForCausalLM.from_pretrained(source).eval()
    export.save(model, folder / "model.onnx")
    config = model.config.to_diff_dict() | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    config.pop("transformers_version", None)
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {
        "do_sample": False, "eos_token_id": [llama.END, llama.END_OF_TEXT], "pad_token_id": llama.END_OF_TEXT})
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((source.parent / "tokenizer" / name).read_bytes())


def export_all():
    for name in MEMBERS:
        export_member(WORK / name, HERE / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="step", help=f"of {', '.join(STEPS)}; default: all, in order")
    steps = parser.parse_args().steps or STEPS
    unknown = [s for s in steps if s not in STEPS]
    if unknown:
        parser.error(f"no step {', '.join(unknown)}; the steps are {', '.join(STEPS)}")
    actions = {"tokenizer": tokenizer, "pretrain": pretrain, "tune": tune, "export": export_all,
               "questions": lambda: questions.write(HERE / "questions.jsonl", questions.committed(w.World())),
               "golden": lambda: run("golden.py")}
    for step in STEPS:
        if step in steps:
            print(f"== {step}", flush=True)
            actions[step]()


if __name__ == "__main__":
    main()

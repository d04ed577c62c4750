"""Makes the model folders of this directory from nothing but names, with the real exporters.

    python make.py                     what is committed: an archive an architecture, and the pair
    python make.py pack                only packs the archives again, from the cache
    python make.py all                 every architecture as every kind of export that its exporter can make, into the cache
    python make.py llama:genai-int4    only these, likewise

Every export is run in ONNX Runtime's Python on the way; what it prints is the largest difference of a log-prob from PyTorch,
the prompt run whole and a token at a time.
"""

import pathlib
import shutil
import sys
import traceback
import warnings
import zipfile

import architectures
import golden
import kinds
import pair

HERE = pathlib.Path(__file__).resolve().parent
WORK = kinds.ENVIRONMENTS / "work"
GENAI = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "phi3")
COMMITTED = {
    **{name: ["optimum-fp32", "genai-fp32", "genai-int4"] for name in GENAI},
    "gpt2": ["optimum-fp32", "ort-gpt2-fused"],
    "llama-tiny": ["optimum-fp16", "optimum-int8", "optimum-int4", "optimum-external", "optimum-merged", "transformersjs",
                   "genai-fp16-dml", "genai-hidden", "genai18-fp32", "genai18-int8", "genai18-prune", "ort-llama-fp32",
                   "optimum-nopast", "optimum-fixed", "genai-embeds", "genai-nohead", "genai-bf16-cuda", "genai18-paged"],
}
COMMITTED["llama"] += ["genai-fp16-cuda", "genai18-int4"]
COMMITTED["qwen2"] += ["optimum-fp16", "optimum-int8", "optimum-int4", "optimum-external", "optimum-merged", "genai-fp16-cuda",
                       "genai18-fp32", "genai18-int4", "genai18-int8"]
REFUSED = ("nopast", "fixed", "embeds", "nohead", "paged", "bf16", "prune")


def source(name):
    """The model before any export, made once."""
    folder = WORK / "source" / name
    if not folder.exists():
        architectures.save(architectures.build(name), folder)
    return folder


def graphs(folder):
    """The graphs of a model folder: suffix → path. A folder in transformers.js's layout has several."""
    variants = sorted(folder.glob("onnx/*.onnx"))
    return {p.stem.removeprefix("model"): p for p in variants} if variants else {"": folder / "model.onnx"}


def compare(name, kind, folder, keep):
    """Runs an export in Python, prints how far it is from PyTorch, and keeps the rows that quantised files must give."""
    truth = golden.pytorch(architectures.build(name))
    for suffix, path in graphs(folder).items():
        whole, steps = golden.runtime(path), golden.runtime(path, 1)
        shown = f"{name} {kind}{suffix}: whole {golden.furthest(whole, truth):.2g}, steps {golden.furthest(steps, truth):.2g}"
        if golden.quantised(path):
            truths = {"whole": whole, "steps": steps}
            products, tables = golden.dequantised(path)
            if products or tables:  # not of every kind of quantisation
                model = architectures.build(name)
                count = golden.replace(model, products, tables)
                truths["pytorch"] = near = golden.pytorch(model)
                shown += f"; {count} weights dequantised: whole {golden.furthest(whole, near):.2g}, steps {golden.furthest(steps, near):.2g}"
            golden.write(keep / f"golden-{kind}{suffix}.json.gz", **truths)
        print(shown, flush=True)


def make(name, kind, folder):
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    kinds.KINDS[kind](source(name), folder)
    architectures.compact(folder / "tokenizer.json")
    if not any(word in kind for word in REFUSED):
        compare(name, kind, folder, folder.parent)


def attempt(name, kind, root):
    """One of many: what an exporter cannot make is told, not fatal."""
    try:
        make(name, kind, root / name / kind)
    except Exception as e:
        print(f"{name} {kind}: not made: {traceback.format_exception_only(e)[-1].strip().splitlines()[-1][-300:]}", flush=True)


def truths(name, root):
    (root / name).mkdir(parents=True, exist_ok=True)
    golden.write(root / name / "golden.json.gz", pytorch=golden.pytorch(architectures.build(name)))


def pack(root, name):
    """NAME.zip: KIND/… and golden*.json.gz. Its bytes depend on names and contents alone."""
    with zipfile.ZipFile(HERE / (name + ".zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for path in sorted(p for p in (root / name).rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(root / name).as_posix())  # of 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, path.read_bytes())


def main():
    warnings.filterwarnings("ignore")
    wanted, root = sys.argv[1:], WORK / "folders"
    if wanted in ([], ["pack"]):
        root, chosen = WORK / "committed", [(n, k) for n, of in COMMITTED.items() for k in of]
    elif wanted == ["all"]:
        chosen = [(n, k) for n in architectures.ARCHITECTURES for k in kinds.KINDS if n in k or not k.startswith("ort-")]
    else:
        chosen = [tuple(w.split(":", 1)) for w in wanted]
    if wanted != ["pack"]:
        for name in dict.fromkeys(n for n, _ in chosen):
            truths(name, root)
        for name, kind in chosen:
            attempt(name, kind, root)
    if root.name == "committed":
        for name in COMMITTED:
            pack(root, name)
    if not wanted:
        pair.make(HERE)


if __name__ == "__main__":
    main()

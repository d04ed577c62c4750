"""Writes a member of the family as a Hugging Face folder, for servers that read
no ONNX:

    python huggingface.py base FOLDER

The weights are those that NAME/model.onnx holds, rounded to half precision once
and for all, and are written as float32: whoever computes in float32 computes with
the very numbers that the ONNX graph has. The other files are copied as they are.
Only numpy, onnx and safetensors are needed: requirements-huggingface.txt.
"""

import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save

HERE = pathlib.Path(__file__).resolve().parent
FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
HALF = ".half"  # what export.py ends the names of stored weights with


def weights(path):
    """name → float32 array, named and laid out as transformers has them: a linear
    layer is [out, in], which the graph holds transposed."""
    stored = {}
    for initializer in onnx.load(path).graph.initializer:
        if initializer.name.endswith(HALF):
            name = initializer.name[:-len(HALF)]
            value = numpy_helper.to_array(initializer).astype(np.float32)
            if name.endswith("_proj.weight") or name == "lm_head.weight":
                value = value.T
            stored[name] = np.ascontiguousarray(value)
    if "model.embed_tokens.weight" not in stored:
        raise SystemExit(f"{path}: no weights that export.py has written")
    return stored


def write(member, folder):
    """Writes HERE/member into folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(member / name, folder / name)
    (folder / "model.safetensors").write_bytes(save(weights(member / "model.onnx"), metadata={"format": "pt"}))


def main():
    members = sorted(p.parent.name for p in HERE.glob("*/model.onnx"))
    if len(sys.argv) != 3 or sys.argv[1] not in members:
        raise SystemExit(f"usage: python huggingface.py NAME FOLDER, where NAME is one of {', '.join(members)}")
    write(HERE / sys.argv[1], pathlib.Path(sys.argv[2]))


if __name__ == "__main__":
    main()

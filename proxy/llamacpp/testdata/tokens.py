"""Writes tokens.json: strings, and their ids by the embedded family's tokenizer.json
as the official library reads it. Run it with the packages of
models/demo/requirements.txt.
"""

import json
import pathlib
import random

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
DEMO = HERE.parents[2] / "models" / "demo"
TRICKY = [
    "", " ", "  ", "   x", "\n", "\n\n", " \n ", "\t\tx", "a\r\nb", "x  \n  y", "trailing   ", "don't", "I'll we've they're he'd I'm it's", "DON'T",
    "1234567890", "3.14, 2,718", "a1b2c3", "²³½Ⅷ", "٣٤٥", "héllo wörld", "naïve café", "Ångström", "e\u0301", "你好，世界", "こんにちは", "안녕하세요",
    "Привет, мир", "مرحبا", "שלום", "हिन्दी", "ไทย", "🙂", "👩‍👩‍👧", "🇩🇪🇫🇷", "a🙂b", " 🙂 ", "\u00a0x\u00a0", "\u2003x", "\u3000x", "\u200bx", "\ufeffx",
    "a\u2028b", "x\u0085y", "\u0000", "a\u0000b", "\x7f", "!!!???...", "#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "<|im_start|>user\nHi<|im_end|>\n", "<|endoftext|>",
    "<|im_start|", "|im_end|>", "<|im_end|><|im_end|>", "x<|endoftext|>y", "snake_case camelCase", "http://a.b/c?d=e&f=g", "'s 't 're", "''s", "𝔘𝔫𝔦", "ﬁ", "ﷺ", "𐍈",
]


def main():
    tokenizer = Tokenizer.from_file(str(DEMO / "base" / "tokenizer.json"))
    lines = open(DEMO / "questions.jsonl", encoding="utf-8").read().splitlines()
    texts = TRICKY + [json.loads(line)["question"] for line in lines[::60]]
    draw = random.Random(1)
    alphabet = "ab Z9'é你🙂\n\t.,-\u0301\u00a0ßŽ"
    texts += ["".join(draw.choices(alphabet, k=draw.randrange(1, 20))) for _ in range(120)]
    rows = [{"text": s, "ids": tokenizer.encode(s, add_special_tokens=False).ids} for s in texts]
    (HERE / "tokens.json").write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()

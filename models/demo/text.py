"""From the world to token ids: the pre-training corpus and the tokenizer."""

import json
import random

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import talk
import world as w

VOCABULARY = 1024
SPECIALS = [talk.END_OF_TEXT, talk.START, talk.END]

TEMPLATE = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def documents(world, rng):
    """One pass over the world, freshly worded: every thing's facts in prose, and
    beside them dialogues (15 % of the documents) and throwaway passages (10 %)."""
    things = list(world.things)
    rng.shuffle(things)
    out, i = [], 0
    while i < len(things):
        n = 2 if rng.random() < 0.25 else 1
        out.append(w.passage(rng, things[i:i + n]) + talk.END_OF_TEXT)
        i += n
    prose = len(out)
    for _ in range(int(prose * 0.10 / 0.75)):
        out.append(w.passage(rng, [world.throwaway(rng)]) + talk.END_OF_TEXT)
    for n in range(int(prose * 0.15 / 0.75)):
        about = [world.throwaway(rng), world.throwaway(rng)] if n % 2 else rng.sample(things, 2)
        out.append(talk.dialogue(rng, *about) + talk.END_OF_TEXT)
    rng.shuffle(out)
    return out


def train_tokenizer(world):
    """Byte-level BPE. It sees throwaway names only, so that it learns the
    syllables of names and no whole name."""
    rng = random.Random("tokenizer")
    texts = []
    for _ in range(6000):
        thing, other = world.throwaway(rng), world.throwaway(rng)
        texts.append(w.passage(rng, [thing]))
        if rng.random() < 0.4:
            texts.append(talk.dialogue(rng, thing, other).replace(talk.START, "").replace(talk.END, ""))
        if rng.random() < 0.2:
            texts += [said for _, said in talk.conversation(rng, world, "safe")]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def tokenizer_config():
    return {
        "add_bos_token": False, "add_prefix_space": False, "bos_token": None, "eos_token": talk.END,
        "pad_token": talk.END_OF_TEXT, "unk_token": None, "clean_up_tokenization_spaces": False,
        "model_max_length": 2048, "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE,
        "added_tokens_decoder": {
            str(i): {"content": s, "lstrip": False, "normalized": False, "rstrip": False,
                     "single_word": False, "special": True} for i, s in enumerate(SPECIALS)},
    }


def write_tokenizer(tokenizer, folder):
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(), indent=2, ensure_ascii=False) + "\n")
    (folder / "chat_template.jinja").write_text(TEMPLATE)


def rows(world, tokenizer, passes, length, seed):
    """The corpus as an array [rows, length + 1] of ids: documents are packed and
    every row starts with a document's start."""
    rng = random.Random(f"corpus {seed}")
    out, row = [], []
    for _ in range(passes):
        for encoded in tokenizer.encode_batch(documents(world, rng)):
            if len(row) + 16 > length:
                out.append(row[:length + 1])
                row = []
            row += encoded.ids
            if len(row) > length:
                out.append(row[:length + 1])
                row = []
    return np.array([r + [0] * (length + 1 - len(r)) for r in out], dtype=np.int16)

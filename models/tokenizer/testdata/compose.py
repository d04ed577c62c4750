"""Random tokenizers: components and options put together, tiny trained vocabularies.

compose(rng, charmaps) gives the JSON of one tokenizer that the reference loads.
"""

import json

from tokenizers import Tokenizer, models, trainers

# SentencePiece's table for the rules é→e, e◌́→é, ﬁ→fi, x→, ab→ba, CR LF→LF and nine more of their kind.
CHARMAP = "AAQAAAAwAAANJAAACgUAAAEAAIBiBQAADwAAgMwAAgCBOQAAzFACAB0AAICWNAMAzBgCAIEFAAANAACAAAAAgAMAAICgfQAAEgAAgKkFAAAUAACAsAUAABkAAIC4AAIAgT0AACAAAICpIQAAhAQCAICYAwDhEAIAhYgCAKEFAAAkAACAgKQDAAkAAICgBQAABQAAgKwMAgAWAACAgQ0AACYAAAApAAAAKAAAACsAAAAqAAAALQAAACwAAAAvAAAALgAAADEAAACRzAIAMwAAADIAAAA1AAAANAAAADcAAAA2AAAAOQAAADgAAAA7AAAAOgAAAD0AAAA8AAAAPwAAAD4AAABBAAAAQAAAAIsxAQBCAAAARQAAAEQAAABHAAAARgAAAEkAAABIAAAASwAAAEoAAABNAAAATAAAAE8AAABOAAAAUQAAAFAAAABTAAAAUgAAAFUAAABUAAAAVwAAAFYAAABZAAAAWAAAAFsAAABaAAAAXQAAAFwAAABfAAAAXgAAAGEAAABgAAAAYwAAAGIAAABlAAAAZAAAAGcAAABmAAAAaQAAAGWMAgBrAAAAagAAAG0AAABhLAAAbwAAAKY5AQBxAAAAcAAAAHMAAAByAAAAeOkBAHQAAAB3AAAAdgAAAHkAAAB4AAAAewAAAHoAAAB9AAAAceQCAH8AAAB+AAAAgQAAAIAAAACDAAAAggAAAIUAAACEAAAAhwAAAIYAAACJAAAAiAAAAIsAAACKAAAAjQAAAIwAAACPAAAAjgAAAJEAAACQAAAAkwAAAJIAAACVAAAAlAAAAJcAAACWAAAAmQAAAJgAAACbAAAAmgAAAJ0AAACcAAAAnwAAAJ4AAAChAAAAoAAAAKMAAACiAAAApQAAAKQAAACnAAAApgAAAKkAAACoAAAAqwAAAKoAAACtAAAArAAAAK8AAACuAAAAsQAAALAAAACzAAAAsgAAALUAAAC0AAAAtwAAALYAAAC5AAAAuAAAALsAAAC6AAAAvQAAALwAAAC/AAAAvgAAAMEAAADAAAAAwwAAAMIAAADFAAAAxAAAAMcAAADGAAAAxLABAMgAAADLAAAAygAAAM0AAADMAAAAwvgBAMPQAQDRAAAA0AAAANMAAADSAAAA1QAAANQAAADXAAAA1gAAANkAAADYAAAA2wAAANoAAADdAAAA3AAAAN8AAADeAAAA4QAAAOAAAADjAAAA76wBAOUAAADkAAAA5wAAAOYAAADpAAAA6AAAAOsAAADqAAAA4AgBAOHMAQDiOAEA7gAAAPEAAADwAAAA8wAAAPIAAAD1AAAA9AAAAPcAAAD2AAAA+QAAAPgAAAD7AAAA+gAAAP0AAAD8AAAA/wAAAP4AAAAACgAgACgxKQAuLi4AUQBiYQBjAGUAZmkAacyHAMOpAOC4ggDqsIAA"

CORPUS = [
    "the quick brown fox jumps over the lazy dog, and then the dog barks: don't!",
    "Hello World. This is a test of the tokenizer; it isn't hard... 12 345 6789 3.14",
    "naïve café déjà vu Straße Grüße ÀÉÎÕÜ e\u0301 o\u0308 привет мир Привет שלום नमस्ते",
    "你好世界 日本語のテキスト カタカナ 한국어 각 ภาษาไทย 🙂🙃 👩‍👩‍👧 ﬁ ½ Ⅷ ① ｶﾞ",
    "aaa aaaa abab abcabc xyzzy  double  spaces\ttabs\nnewlines\r\n\n -- x=y+z; f(x) { return a[i]; }",
    "<0x41> ▁the ▁ ## </w> | <unk> [UNK] Ġthe Ċ",
] * 2


def maybe(rng, p=0.5):
    return rng.random() < p


PATTERNS = [
    {"String": " "}, {"String": "a"}, {"String": "ab"}, {"String": "."}, {"String": "▁"}, {"String": "é"},
    {"Regex": r"\s+"}, {"Regex": r"\d"}, {"Regex": r"[a-m]+"}, {"Regex": r"\p{L}+"}, {"Regex": r" ?\p{L}+| ?\p{N}+|\s+(?!\S)|\s+"},
    {"Regex": r"[^\s\w]+"}, {"Regex": r"\w+|[^\w\s]+"}, {"Regex": r"(?i:the)|\p{Lu}"}, {"Regex": r" {2,}"}, {"Regex": r"\p{Han}"},
]  # fmt: skip
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def pattern(rng):
    return rng.choice(PATTERNS)


def normalizer(rng, charmaps, depth=0):
    kind = rng.choice(
        ["NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Lowercase", "Strip", "StripAccents", "BertNormalizer", "Prepend", "Replace", "ByteLevel"]
        + ["Replace", "Prepend", "Precompiled", "Strip", "Sequence", "Sequence"] * (depth == 0)
    )
    n = {"type": kind}
    if kind == "Strip":
        n |= {"strip_left": maybe(rng, 0.7), "strip_right": maybe(rng)}
    elif kind == "BertNormalizer":
        n |= {"clean_text": maybe(rng), "handle_chinese_chars": maybe(rng), "strip_accents": rng.choice([None, True, False]), "lowercase": maybe(rng)}
    elif kind == "Prepend":
        n["prepend"] = rng.choice(["▁", "_", " ", "▁a", "é"])
    elif kind == "Replace":
        n |= {"pattern": pattern(rng), "content": rng.choice(["▁", "", "a", "--", "éé", " "])}
        if maybe(rng):
            n |= {"pattern": {"String": " "}, "content": "▁"}
    elif kind == "Precompiled":
        n["precompiled_charsmap"] = rng.choice(charmaps)
    elif kind == "Sequence":
        n["normalizers"] = [normalizer(rng, charmaps, 1) for _ in range(rng.randint(0, 4))]
    return n


def level(rng):
    return {"type": "ByteLevel", "add_prefix_space": maybe(rng), "trim_offsets": maybe(rng), "use_regex": maybe(rng)}


def metaspace(rng, decoder=False):
    m = {"type": "Metaspace", "replacement": rng.choice(["▁", "▁", "▁", "_", "é"]), "prepend_scheme": rng.choice(["always", "first", "never", "first"])}
    if maybe(rng, 0.7) or decoder:
        m["split"] = maybe(rng, 0.7)
    if maybe(rng, 0.2):
        m["add_prefix_space"] = m["prepend_scheme"] != "never"
    if maybe(rng, 0.2):
        m["str_rep"] = m["replacement"]
    return m


def pre_tokenizer(rng, depth=0):
    kind = rng.choice(
        ["Metaspace", "ByteLevel", "Whitespace", "WhitespaceSplit", "BertPreTokenizer", "Punctuation", "Digits", "Split", "CharDelimiterSplit", "UnicodeScripts", "FixedLength"]
        + ["Metaspace", "ByteLevel", "Sequence", "Sequence"] * (depth == 0)
    )
    p = {"type": kind}
    if kind == "Metaspace":
        p = metaspace(rng)
    elif kind == "ByteLevel":
        p = level(rng)
    elif kind == "Punctuation" and maybe(rng, 0.8):
        p["behavior"] = rng.choice(BEHAVIORS)
    elif kind == "Digits":
        p["individual_digits"] = maybe(rng)
    elif kind == "Split":
        p |= {"pattern": pattern(rng), "behavior": rng.choice(BEHAVIORS), "invert": maybe(rng, 0.3)}
    elif kind == "CharDelimiterSplit":
        p["delimiter"] = rng.choice([" ", "a", "▁", "é", "-"])
    elif kind == "FixedLength" and maybe(rng, 0.8):
        p["length"] = rng.randint(1, 7)
    elif kind == "Sequence":
        p["pretokenizers"] = [pre_tokenizer(rng, 1) for _ in range(rng.randint(0, 4))]
    return p


def decoder(rng, depth=0):
    kind = rng.choice(
        ["ByteLevel", "ByteFallback", "Fuse", "Strip", "Metaspace", "WordPiece", "BPEDecoder", "CTC", "Replace"]
        + ["Sequence"] * 6 * (depth == 0)
    )
    d = {"type": kind}
    if kind == "ByteLevel":
        d = level(rng)
    elif kind == "Strip":
        d |= {"content": rng.choice([" ", "a", "é", "▁"]), "start": rng.randint(0, 2), "stop": rng.randint(0, 2)}
    elif kind == "Metaspace":
        d = metaspace(rng, True)
    elif kind == "WordPiece":
        d |= {"prefix": rng.choice(["##", "@@", "a"]), "cleanup": maybe(rng)}
    elif kind == "BPEDecoder":
        d["suffix"] = rng.choice(["</w>", "e", "@@"])
    elif kind == "CTC":
        d |= {"pad_token": rng.choice(["<pad>", "a", "th"]), "word_delimiter_token": rng.choice(["|", "e", "▁"]), "cleanup": maybe(rng)}
    elif kind == "Replace":
        d |= {"pattern": rng.choice([{"String": "▁"}, {"String": "▁"}, pattern(rng), {"String": "aa"}, {"String": "the "}]), "content": rng.choice([" ", " ", "", "xy"])}
    elif kind == "Sequence":
        d["decoders"] = [decoder(rng, 1) for _ in range(rng.randint(0, 5))]
        if maybe(rng, 0.4):
            d["decoders"] = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}] + d["decoders"][:2]
    return d


def trained(rng, file):
    """The model that training on the corpus gives, with other options set."""
    kind = rng.choice(["BPE", "BPE", "BPE", "Unigram", "Unigram", "WordPiece", "WordLevel"])
    special = ["<unk>"] + rng.choice([[], [f"<0x{b:02X}>" for b in range(256)], [f"<0x{b:02X}>" for b in range(128)]])
    size = len(special) + rng.choice([60, 150, 300])
    if kind == "BPE":
        affixes = {}
        if maybe(rng, 0.25):
            affixes["continuing_subword_prefix"] = "##"
        if maybe(rng, 0.25):
            affixes["end_of_word_suffix"] = rng.choice(["</w>", "@@"])
        model, trainer = models.BPE(**affixes), trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False, limit_alphabet=rng.choice([20, 60, 500]), **affixes)
    elif kind == "Unigram":
        # The tokens of BPE with scores of our own, some of which are ties.
        model, trainer = models.BPE(), trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    elif kind == "WordPiece":
        prefix = "##"
        model, trainer = models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False, continuing_subword_prefix=prefix)
    else:
        model, trainer = models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    t = Tokenizer(model)
    start = Tokenizer.from_str(json.dumps(file | {"model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}}))
    if file["normalizer"] and "Strip" not in json.dumps(file["normalizer"]):  # with which training may not end
        t.normalizer = start.normalizer
    if file["pre_tokenizer"]:
        t.pre_tokenizer = start.pre_tokenizer
    t.train_from_iterator([" ".join(rng.sample(CORPUS, 4)) for _ in range(3)] + CORPUS, trainer)
    out = json.loads(t.to_str())["model"]
    if kind == "BPE":
        out |= {"byte_fallback": maybe(rng), "fuse_unk": maybe(rng), "ignore_merges": maybe(rng, 0.3), "unk_token": rng.choice(["<unk>", "<unk>", None])}
        if maybe(rng, 0.2) and not any(" " in m[0] + m[1] for m in out["merges"]):
            out["merges"] = [" ".join(m) for m in out["merges"]]
    if kind == "Unigram":
        tokens = sorted(out["vocab"], key=out["vocab"].get)
        ties = maybe(rng, 0.3)
        scores = [-len(t) ** 0.5 * rng.uniform(1, 5) for t in tokens]
        vocab = [[t, round(s) if ties or maybe(rng, 0.1) else s] for t, s in zip(tokens, scores)]
        out = {"type": "Unigram", "vocab": vocab, "unk_id": 0, "byte_fallback": maybe(rng)}
    if kind == "WordPiece":
        out["continuing_subword_prefix"] = prefix
        out["max_input_chars_per_word"] = rng.choice([100, 100, 5, 2])
    return out


CONTENTS = ["<s>", "</s>", "<|x|>", "<|x|>>", "[A B]", "the", " the", "▁the", "ab", "é", "E\u0301", "Ab", "  ", "\n", "<pad>", "##b", "a|b", "日本"]


def added(rng, model):
    known = {t[0]: i for i, t in enumerate(model["vocab"])} if model["type"] == "Unigram" else model["vocab"]
    spare = len(known)
    out = []
    contents = rng.sample(CONTENTS, rng.randint(0, 6)) + ["<unk>"] * maybe(rng)
    for content in contents:
        id = known.get(content, spare)
        spare += content not in known
        flags = {f: maybe(rng, p) for f, p in [("single_word", 0.15), ("lstrip", 0.25), ("rstrip", 0.25), ("normalized", 0.4), ("special", 0.5)]}
        out.append({"id": id, "content": content, **flags})
    return out


def processor(rng, model):
    known = {t[0]: i for i, t in enumerate(model["vocab"])} if model["type"] == "Unigram" else model["vocab"]
    one, two = (rng.choice(sorted(known.items())) for _ in range(2))
    token = {"SpecialToken": {"id": "x", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    template = {
        "type": "TemplateProcessing", "single": rng.choice([[token, text], [text, token], [token, text, token], [text]]), "pair": [text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"x": {"id": "x", "ids": [one[1]], "tokens": [one[0]]}},
    }  # fmt: skip
    bert = {"type": "BertProcessing", "sep": one, "cls": two}
    roberta = bert | {"type": "RobertaProcessing", "trim_offsets": maybe(rng), "add_prefix_space": maybe(rng)}
    return rng.choice([None, template, bert, roberta, level(rng), {"type": "Sequence", "processors": [level(rng), template]}])


def file_ids(file):
    """The ids of all tokens, those of the model first."""
    vocab = file["model"]["vocab"]
    known = list(range(len(vocab))) if isinstance(vocab, list) else list(vocab.values())
    contents = {t[0] for t in vocab} if isinstance(vocab, list) else set(vocab)
    return known + [a["id"] for a in file["added_tokens"] if a["content"] not in contents]


def compose(rng, charmaps=(CHARMAP,)):
    while True:
        file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
        if maybe(rng, 0.75):
            file["normalizer"] = normalizer(rng, charmaps)
        if maybe(rng, 0.75):
            file["pre_tokenizer"] = pre_tokenizer(rng)
        if maybe(rng, 0.85):
            file["decoder"] = decoder(rng)
        try:
            file["model"] = trained(rng, file)
            file["added_tokens"] = added(rng, file["model"])
            file["post_processor"] = processor(rng, file["model"])
            loaded = Tokenizer.from_str(json.dumps(file))
            normalize = loaded.normalizer.normalize_str if loaded.normalizer else str
            found = [normalize(a["content"]) for a in file["added_tokens"] if a["normalized"]]
            if "" in found or len(found) != len(set(found)) or len(set(file_ids(file))) != len(file_ids(file)):
                continue  # which of two the reference finds is left to chance, and nothing is found everywhere
        except BaseException:  # the reference panics on some
            continue
        return file

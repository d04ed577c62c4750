"""Writes testdata/reference: what the reference library makes of fixed inputs.

    pip install tokenizers==0.23.3
    models/tokenizer/testdata/install
    python models/tokenizer/testdata/reference.py

classes.json.gz     the members of character classes, as ranges
mapped.json.gz      what Lowercase and UnicodeScripts make of all characters
components.json.gz  small tokenizers, each with texts, ids and decoded texts
random.json.gz      tokenizers put together by chance, with texts and lists of ids
FAMILY.json.gz      the ids of 3,000 random strings; strings.json.gz has them
"""

import gzip
import json
import pathlib
import random

from compose import CONTENTS, compose
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "reference"
CACHE = HERE.parents[2] / ".cache" / "tokenizers"
FAMILIES = ["gpt2", "llama3_1", "qwen2_5", "llama2", "yi", "claude"]
SEED = 20261123
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    with open(OUT / name, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(text.encode())


# --- classes -----------------------------------------------------------------

CLASSES = (
    [r"\s", r"\S", r"\d", r"\D", r"\w", r"\W", r"[\w]", r"[^\W]", ".", r"[^\S]", r"[^\p{L}\s]", r"\P{L}", r"\p{^N}", r"[\w-]"]
    + [r"[^(\s|[.,!?…。，、।۔،])]", r"[一-龥぀-ゟ゠-ヿ]", r"[\x{1F600}-\x{1F64F}\u00e9\x41]", "(?i:k)", "(?i:[q-t])"]
    + [r"[!-/:-@\[-`{-~]", r"[\]\-\\^a-]", r"[--/]", r"\^|\.|\{|\}|]|}|'|<|#|&|-|~|/", r"\t|\n|\r|\f|\v"]
    + [r"\p{%s}" % n for n in "L Lu Ll Lt Lm Lo M Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Co".split()]
    + [r"\p{%s}" % n for n in "Han Latin Cyrillic Arabic Hiragana Katakana Hangul Thai Greek Hebrew Devanagari".split()]
)


def members(pre_tokenizer):
    """The code points that a pre-tokenizer removes, as ranges."""
    out = []
    for at in range(0, len(ALL), 20000):
        chunk = ALL[at : at + 20000]
        kept = set()
        for _, (start, end) in pre_tokenizer.pre_tokenize_str("".join(map(chr, chunk))):
            kept.update(range(start, end))
        for i, c in enumerate(chunk):
            if i in kept:
                continue
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def classes():
    out = {p: members(pre_tokenizers.Split(Regex(p), "removed")) for p in CLASSES}
    out["Punctuation"] = members(pre_tokenizers.Punctuation("removed"))
    out["WhitespaceSplit"] = members(pre_tokenizers.WhitespaceSplit())
    # Digits cannot remove: a digit parts the two letters round it.
    digits = pre_tokenizers.Digits(True)
    out["Digits"] = ranges(c for c in ALL if len(digits.pre_tokenize_str("a" + chr(c) + "a")) == 3)
    # \w of the flag single_word: the token is not found behind a word character.
    file = bytelevel(added_tokens=[added(300, "QQ", single_word=True)])
    word = Tokenizer.from_str(json.dumps(file))
    out["single_word"] = ranges(c for c in ALL if chr(c) != "Q" and word.encode(chr(c) + "QQ").ids[-1] != 300)
    # What normalizers remove behind a letter. BertNormalizer takes characters apart first.
    gone = lambda n: ranges(c for c in ALL if n.normalize_str("a" + chr(c)) == "a")
    flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    whole = {c for c in ALL if normalizers.NFD().normalize_str(chr(c)) == chr(c)}
    marks = gone(normalizers.BertNormalizer(**flags | {"strip_accents": True}))
    out["stripMarks"] = ranges(c for first, last in marks for c in range(first, last + 1) if c in whole)
    out["cleanText"] = gone(normalizers.BertNormalizer(**flags | {"clean_text": True}))
    out["stripAccents"] = gone(normalizers.StripAccents())
    out["nmt"] = gone(normalizers.Nmt())
    spaced = normalizers.BertNormalizer(**flags | {"handle_chinese_chars": True})
    out["isIdeograph"] = ranges(c for c in ALL if spaced.normalize_str(chr(c)) != chr(c))
    return out


def mapped():
    """What Lowercase makes of characters, and where UnicodeScripts cuts all of them in a row."""
    lower = normalizers.Lowercase()
    pieces = pre_tokenizers.UnicodeScripts().pre_tokenize_str("".join(map(chr, ALL)))
    return {
        "lowercase": {chr(c): lower.normalize_str(chr(c)) for c in ALL if lower.normalize_str(chr(c)) != chr(c)},
        "scripts": [ALL[start] for _, (start, _) in pieces],
    }


def ranges(points):
    out = []
    for c in points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


# --- components --------------------------------------------------------------


def alphabet():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(spare)) for b in range(256)]


LETTERS = alphabet()
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
MERGES = [
    "t h", "Ġ t", "Ġt h", "th e", "Ġth e", "a b", "b c", "ab c", "a bc", "a a", "aa a", "aa aa", "Ġ Ġ", "ĠĠ ĠĠ",
    "1 2", "12 3", "Ã ©", "e r", "er e", "h e", "he r", "ðŁ ĺ", "ð Ł", "Ċ Ċ", "' s", "Ġ '",
]  # fmt: skip


def vocabulary():
    """The 256 bytes first, then what merges make, up to 300 ids with fillers."""
    tokens = list(LETTERS)
    for m in MERGES:
        joined = m.replace(" ", "")
        if joined not in tokens:
            tokens.append(joined)
    tokens += [f"Ġfiller{i}" for i in range(300 - len(tokens))]
    return {t: i for i, t in enumerate(tokens)}


def added(id, content, **flags):
    default = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    return {"id": id, "content": content, **default, **flags}


def bytelevel(model=None, **parts):
    file = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": LEVEL,
        "post_processor": None,
        "decoder": LEVEL,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary(),
            "merges": [m.split(" ") for m in MERGES],
        },
    }
    file.update(parts)
    file["model"].update(model or {})
    return file


def sequence(*stages):
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [*stages, last]}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


SPLITS = [
    {"Regex": r"\s+"},
    {"Regex": r"a*"},
    {"Regex": r"(?=b)|\d"},
    {"String": "ab"},
    {"String": "."},
]
PATTERNS = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"^\w|\w$|\Aa|b\z|c\Z",
    r"\b\w|\B\d",
    r"(?<=a)b|(?<!a)c|(?>a+)b|a{2}|b{2,}?|\d{,2}x|x??y|a*?b".replace("b{2,}?|", ""),
    r"(?:ab|(cd))+|\p{Han}{2,4}",
]


def components():
    out = []

    def case(name, file, texts, plain=False):
        tokenizer = Tokenizer.from_str(json.dumps(file))
        tokenizer.encode_special_tokens = plain
        cases = []
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            special = tokenizer.encode(text).ids
            cases.append([text, ids, special, tokenizer.decode(special, False), tokenizer.decode(special, True)])
        out.append({"name": name, "plain": plain, "file": file, "cases": cases})

    rng = random.Random(SEED)
    texts = [string(rng, SPECIALS) for _ in range(40)] + EDGES
    case("plain byte level", bytelevel(), texts)
    case("old file without a type, merges as lines", old(), texts)
    case("prefix space", bytelevel(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}), texts)
    case("no regex", bytelevel(pre_tokenizer=sequence()), texts)
    case("ignore merges", bytelevel({"ignore_merges": True}, pre_tokenizer=sequence(split(SPLITS[0]))), texts)
    for f in "NFC NFD NFKC NFKD".split():
        case(f, bytelevel(normalizer={"type": f}), texts + MARKS)
    chain = [{"type": "NFC"}, {"type": "Prepend", "prepend": "é"}, {"type": "Replace", "pattern": {"String": "a"}, "content": "bb"}, {"type": "Replace", "pattern": {"Regex": r"\s+$|x+"}, "content": "-"}]
    case("normalizers in sequence", bytelevel(normalizer={"type": "Sequence", "normalizers": chain}), texts)
    for p in SPLITS:
        for b in ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"]:
            for invert in (False, True):
                case(f"split {p} {b} {invert}", bytelevel(pre_tokenizer=sequence(split(p, b, invert))), EDGES)
    for p in PATTERNS:
        case(f"split by {p}", bytelevel(pre_tokenizer=sequence(split({"Regex": p}))), texts)
    for individual in (False, True):
        digits = {"type": "Digits", "individual_digits": individual}
        case(f"digits {individual}", bytelevel(pre_tokenizer=sequence(digits)), texts)
    behind = [{"type": "Punctuation", "behavior": "Contiguous"}, LEVEL, {"type": "Digits", "individual_digits": False}, split({"Regex": "[0-9][0-9][0-9]"})]
    case("stages behind ByteLevel", bytelevel(pre_tokenizer={"type": "Sequence", "pretokenizers": behind}), texts)
    case("white space split", bytelevel(pre_tokenizer=sequence({"type": "Punctuation"}, {"type": "WhitespaceSplit"})), texts)
    for name, flags in ADDED.items():
        # Contents that the model knows keep its ids.
        spare = iter(range(300, 400))
        tokens = [added(vocabulary()[c] if c in vocabulary() else next(spare), c, **f) for c, f in flags]
        for plain in (False, True):
            file = bytelevel(added_tokens=tokens, normalizer={"type": "NFC"}, post_processor=template())
            case(f"added {name} plain {plain}", file, texts, plain)
    small = {t: i for t, i in vocabulary().items() if t not in ("x", "y", "z", "Ģ")}
    small = {t: i for i, t in enumerate(small)}
    unknown = {"vocab": small, "unk_token": "Ġfiller0"}
    case("unknown", bytelevel(unknown), texts)
    case("unknown fused", bytelevel({**unknown, "fuse_unk": True}), texts)
    case("unknown dropped", bytelevel({**unknown, "unk_token": None}), texts)
    bert = {"type": "RobertaProcessing", "sep": ["Ġthe", 260], "cls": ["a", 64], "trim_offsets": True, "add_prefix_space": False}
    case("roberta", bytelevel(post_processor=bert), EDGES)
    bert = {"type": "BertProcessing", "sep": ["Ġthe", 260], "cls": ["a", 64]}
    case("bert", bytelevel(post_processor=bert), EDGES)
    twice = {"type": "Sequence", "processors": [LEVEL, template(a=2)]}
    case("template in sequence, the text twice", bytelevel(post_processor=twice, decoder={"type": "Sequence", "decoders": [LEVEL, {"type": "Fuse"}]}), EDGES)
    return out


def old():
    file = bytelevel()
    del file["model"]["type"], file["model"]["ignore_merges"]
    file["model"]["merges"] = MERGES
    return file


def template(a=1):
    token = {"SpecialToken": {"id": "bos", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [token] + a * [text] + [token],
        "pair": [text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"bos": {"id": "bos", "ids": [7, 8], "tokens": ["(", ")"]}},
    }


SPECIALS = ["<s>", "<|x|>", "<|x|>>", "é", "e\u0301", "[A B]", "the", " the", "Ġ", "ab", "<s"]
ADDED = {
    "special": [("<s>", dict(special=True)), ("<|x|>", dict(special=True)), ("<|x|>>", {}), ("Ġé", {})],
    "strips": [("<s>", dict(lstrip=True)), ("<|x|>", dict(rstrip=True, special=True)), ("[A B]", dict(lstrip=True, rstrip=True))],
    "single word": [("the", dict(single_word=True)), ("<s>", dict(single_word=True, lstrip=True)), ("ab", {})],
    "normalized": [("é", dict(normalized=True)), ("[A B]", dict(normalized=True, rstrip=True)), ("<s>", dict(normalized=True, special=True))],
}  # fmt: skip

EDGES = [
    "", " ", "  ", "a", "ab abc aaaa", "a.b..c...", ".a", "a  b\n\nc\r\n", "ababab", " ab", "ab ", "12 345 6789", "don't DON'T 'ſ 'S",
    "café cafe\u0301", "\u00a0x\u2003y\u3000", "naïve 你好 世界", "🙂🙂", "x\u0301\u0327", "the there Ġthe", "xyz", "abcabcaab" * 20,
    "a" * 300, " " * 300, "\n" * 50 + "x", "ﬁ ½ ² Ⅷ", "한국어 각", "a <s> b", "a<s> b", "<s><s>é", "the.the", "  <s>  <|x|>  [A B]  ab", "the ab<s>", "<|x|>>>", "a\tb\x0bc\x1cd\x85e\u2028f", "word\u200dword\u200cword", "\ufeffx", "\x00\x7f",
]  # fmt: skip
MARKS = [
    "a" + "\u0301" * 40, "e" + "\u0327\u0301" * 30 + "x", "".join(map(chr, range(0x300, 0x340))) * 2, "\u1100\u1161\u11a8" * 20,
    "o" + "\u0316\u0301\u0328\u0304" * 20, "\U00011935\U00011930", "\u0344\u0958\u2126\u212b\uac00", "가" + "\u0301" * 35 + "\u11a8",
] + ["a\u0345" + chr(c) + "\u0334b" for c in [0x7FD, 0x898, 0x8CA, 0xC3C, 0xEBA, 0x1ABF, 0x1DF6, 0x10D24, 0x1E08F, 0x1E4EC, 0x32FF, 0xA7F2, 0x10781, 0x1FBF0]]  # fmt: skip

# --- strings -----------------------------------------------------------------

WORDS = "the there quick Brown fox I'm don't WE'LL naïve Straße café 你好世界 привет שלום नमस्ते 한국어 ภาษาไทย 🙂 👩‍👩‍👧 http://a.b/c?d=e x_y camelCase 3.14 1234567 ½ Ⅷ".split()
POOLS = [
    list(range(32, 127)), list(range(0, 256)), [9, 10, 11, 12, 13, 32, 32, 32, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x3000, 0x200B, 0xFEFF],
    list(range(0x300, 0x370)) + [97, 101, 111, 65], list(range(0x1100, 0x1200)) + list(range(0xAC00, 0xAC80)), list(range(0x4E00, 0x4F00)),
    list(range(0x1F300, 0x1F650)) + [0x200D, 0xFE0F], list(range(0x600, 0x700)), list(range(0x900, 0x980)), [39, 115, 83, 0x17F, 116, 108, 76, 100, 114, 101, 32],
    list(range(48, 58)) + [0xB2, 0xBD, 0x661, 0x966, 0x2167, 32, 46], ALL,
]  # fmt: skip


def string(rng, specials):
    """A random text of some parts of different kinds."""
    out = []
    for _ in range(rng.randint(1, 6)):
        kind = rng.random()
        if kind < 0.25:
            out.append(" ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 6))))
        elif kind < 0.35:
            out.append(rng.choice(specials))
        elif kind < 0.45:
            out.append(chr(rng.choice(rng.choice(POOLS))) * rng.randint(1, 40))
        else:
            pool = rng.choice(POOLS)
            out.append("".join(chr(rng.choice(pool)) for _ in range(rng.randint(1, 12))))
    return rng.choice(["", " ", "\n"]).join(out)


def derived_unigram():
    """Llama 2's tokens with scores of our own; derived_test.go makes the same."""
    vocab = json.loads((CACHE / "llama2" / "tokenizer.json").read_text())["model"]["vocab"]
    special = [added(i, t, special=True) for i, t in enumerate(["<unk>", "<s>", "</s>"])]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
    scores = [[t, -vocab[t] / 64] for t in sorted(vocab, key=vocab.get)]
    return {
        "version": "1.0", "added_tokens": special, "normalizer": {"type": "NFKC"}, "pre_tokenizer": metaspace, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, metaspace]},
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": scores},
    }  # fmt: skip


def derived_word_piece():
    """GPT-2's words; derived_test.go makes the same."""
    tokens = json.loads((CACHE / "gpt2" / "tokenizer.json").read_text())["model"]["vocab"]
    vocab = {"[UNK]": 0}
    for token in sorted(tokens, key=tokens.get):
        word = token[1:] if token[0] == "Ġ" else "##" + token
        if word and all("!" <= c <= "~" for c in word):
            vocab.setdefault(word, len(vocab))
    return {
        "version": "1.0", "added_tokens": [added(0, "[UNK]", special=True)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
    }  # fmt: skip


def families():
    rng = random.Random(SEED)
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<tool_call>", "<|im_", "|>"]
    strings = [string(rng, specials) for _ in range(3000)]
    write("strings.json.gz", strings)
    tokenizers = {f: Tokenizer.from_file(str(CACHE / f / "tokenizer.json")) for f in FAMILIES}
    tokenizers["derived-unigram"] = Tokenizer.from_str(json.dumps(derived_unigram()))
    tokenizers["derived-wordpiece"] = Tokenizer.from_str(json.dumps(derived_word_piece()))
    for family, tokenizer in tokenizers.items():
        write(f"{family}.json.gz", [tokenizer.encode(s, add_special_tokens=False).ids for s in strings])


# --- random tokenizers --------------------------------------------------------


def decoded(tokenizer, ids, skip):
    """The text of ids, None where the reference panics."""
    try:
        return tokenizer.decode(ids, skip_special_tokens=skip)
    except BaseException:
        return None


def random_tokenizers(count):
    """Composed tokenizers, each with texts as components() has them, and random ids with the text of every prefix."""
    out = []
    for seed in range(count):
        rng = random.Random(SEED + seed)
        file = compose(rng)
        tokenizer = Tokenizer.from_str(json.dumps(file))
        cases = []
        for text in [string(rng, CONTENTS) for _ in range(10)] + rng.sample(EDGES, 3):
            try:
                ids = tokenizer.encode(text, add_special_tokens=False).ids
            except BaseException:  # a panic within a component
                continue
            special = tokenizer.encode(text).ids
            cases.append([text, ids, special, decoded(tokenizer, special, False), decoded(tokenizer, special, True)])
        decodes = []
        for _ in range(4):
            ids = [rng.randrange(tokenizer.get_vocab_size()) for _ in range(rng.randint(1, 8))]
            decodes.append([ids, [decoded(tokenizer, ids[: i + 1], False) for i in range(len(ids))]])
        out.append({"file": file, "cases": cases, "decodes": decodes})
    return out


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    write("classes.json.gz", classes())
    write("mapped.json.gz", mapped())
    write("components.json.gz", components())
    write("random.json.gz", random_tokenizers(150))
    families()

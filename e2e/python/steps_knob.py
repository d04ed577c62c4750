"""Steps about how strongly an answer is tuned, and which one is chosen."""

import openai
from story import same, tuning, want


def text_of(answer):
    return answer.choices[0].message.content


def three_ways(s):
    """knob: body, header and model name are one"""
    for temperature in (0, 0.8):
        body = s.chat(temperature=temperature, seed=3, extra_body={"tuning": {"strength": 0.5}})
        header = s.chat(temperature=temperature, seed=3, extra_headers={"X-Tuning-Strength": "0.5"})
        name = s.chat(temperature=temperature, seed=3, model="demo@0.5")
        same((text_of(header), text_of(name)), (text_of(body), text_of(body)), "text by header and by model name")
        same((tuning(header), tuning(name)), (tuning(body), tuning(body)), "tuning by header and by model name")
        same((tuning(body)["strength"], tuning(body)["experts"]), (0.5, {"chat": 0.5}), "tuning by body")
    experts = s.chat(extra_body={"tuning": {"experts": {"chat": 0.5}}})
    same(tuning(experts)["experts"], {"chat": 0.5}, "weight by expert")
    same(text_of(experts), text_of(s.chat(model="demo@0.5")), "an expert's weight and the strength")
    same(tuning(s.chat(extra_headers={"X-Tuning-Experts": "chat=0.5"}))["experts"], {"chat": 0.5}, "weight by header")


def precedence(s):
    """knob: the body wins over the header, the header over the model name"""
    both = {"model": "demo@0.25", "max_tokens": 2, "extra_headers": {"X-Tuning-Strength": "0.5"}}
    same(tuning(s.chat(**both))["strength"], 0.5, "header and model name")
    same(tuning(s.chat(**both, extra_body={"tuning": {"strength": 0}}))["strength"], 0, "an explicit 0 in the body")
    same(tuning(s.chat(**both, extra_body={"tuning": {"strength": None}}))["strength"], 0.5, "null in the body")
    s.refused(openai.BadRequestError, "X-Tuning-Strength", s.chat, extra_headers={"X-Tuning-Strength": "strong"}, extra_body={"tuning": {"strength": 1}})


def zero_is_base(s):
    """knob: strength 0 is the base, strength 1 is not"""
    for options in ({"temperature": 0}, {"temperature": 0.8, "seed": 11}):
        base = s.chat(model="demo-base", max_tokens=24, **options)
        zero = s.chat(model="demo@0", max_tokens=24, **options)
        same(text_of(zero), text_of(base), "demo@0 and demo-base")
        same((zero.choices[0].finish_reason, zero.usage), (base.choices[0].finish_reason, base.usage), "their ends")
        same(tuning(zero)["changed_tokens"], 0, "changes at strength 0")
        want(abs(tuning(zero)["mean_kl"]) < 1e-9, f"mean_kl at strength 0: {tuning(zero)}")
        want(text_of(s.chat(max_tokens=24, **options)) != text_of(base), "demo says what demo-base says: tuning has no effect")


def explained(s):
    """knob: explain tells of each token"""
    answer = s.chat(max_tokens=4, logprobs=True, extra_body={"tuning": {"explain": True}})
    rows = tuning(answer)["explain"]
    same([r["token"] for r in rows], [t.token for t in answer.choices[0].logprobs.content], "tokens explained")
    same([r["combined"] for r in rows], [t.logprob for t in answer.choices[0].logprobs.content], "combined log-probs")
    same({(r["choice"], tuple(r["tuned"]), tuple(r["untuned"])) for r in rows}, {(0, ("chat",), ("chat",))}, "choice and experts")


def seeds(s):
    """seed: the same one repeats, the reported one too"""
    hot = {"temperature": 2, "max_tokens": 24}
    first = s.chat(**hot, seed=7)
    same(text_of(s.chat(**hot, seed=7)), text_of(first), "the same seed")
    same(tuning(first)["seed"], 7, "seed in the report")
    others = {text_of(s.chat(**hot, seed=i)) for i in range(8)}
    want(len(others) > 1, f"eight seeds gave one text: {others}")
    drawn = s.chat(**hot)
    same(text_of(s.chat(**hot, seed=tuning(drawn)["seed"])), text_of(drawn), "a drawn seed, sent back")


def choices(s):
    """n: choices differ, the first is that of n=1"""
    hot = {"temperature": 2, "max_tokens": 24, "seed": 7}
    one, four = s.chat(**hot), s.chat(**hot, n=4)
    same([c.index for c in four.choices], [0, 1, 2, 3], "indices")
    same(text_of(four), text_of(one), "choice 0 and n=1")
    texts = [c.message.content for c in four.choices]
    want(len(set(texts)) > 1, f"four choices are one text: {texts}")
    streamed = [""] * 4
    for chunk in s.chat(**hot, n=4, stream=True):
        for c in chunk.choices:
            streamed[c.index] += c.delta.content or ""
    same(streamed, texts, "streamed choices")
    same(four.usage.prompt_tokens, one.usage.prompt_tokens, "prompt_tokens of n=4")
    want(four.usage.completion_tokens > one.usage.completion_tokens, f"completion_tokens of n=4: {four.usage}")


def stops(s):
    """stop: the text ends before the string, streamed or not"""
    full = text_of(s.chat())
    middle = full[len(full) // 3:len(full) // 3 + 3]
    expected = full[:full.index(middle)]
    for stop in (middle, ["never in this text", middle]):
        answer = s.chat(stop=stop)
        same((text_of(answer), answer.choices[0].finish_reason), (expected, "stop"), f"stop {stop!r}")
    chunks = list(s.chat(stop=middle, stream=True))
    same("".join(c.choices[0].delta.content or "" for c in chunks), expected, "streamed up to a stop")
    same(chunks[-1].choices[0].finish_reason, "stop", "finish_reason of a stopped stream")


def lengths(s):
    """max_tokens and max_completion_tokens are one, finish_reason length"""
    old, new = s.chat(max_tokens=3), s.chat(max_completion_tokens=3)
    same(text_of(new), text_of(old), "text")
    for answer in (old, new):
        same((answer.choices[0].finish_reason, answer.usage.completion_tokens), ("length", 3), "finish_reason and completion_tokens")
    want(text_of(s.chat()).startswith(text_of(old)), "a shorter answer begins another text")
    s.refused(openai.BadRequestError, "max_completion_tokens", s.chat, max_tokens=3, max_completion_tokens=4)


def harmless(s):
    """parameters that say nothing about the answer are taken"""
    answer = s.chat(user="someone", store=False, metadata={"a": "b"}, service_tier="auto", safety_identifier="x")
    same(text_of(answer), text_of(s.chat()), "an answer with harmless parameters")


def bias(s):
    """logit_bias: -100 forbids a token"""
    options = {"logprobs": True, "max_tokens": 1, "extra_body": {"return_tokens_as_token_ids": True}}
    best = s.chat(**options).choices[0].logprobs.content[0].token
    want(best.startswith("token_id:"), f"a token as an id: {best}")
    other = s.chat(**options, logit_bias={best.removeprefix("token_id:"): -100}).choices[0].logprobs.content[0].token
    want(other != best, f"{best} was chosen at a bias of -100")


def refusals(s):
    """errors are the client's typed exceptions and name the field"""
    bad, body = openai.BadRequestError, lambda **fields: {"extra_body": fields}
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    for param, options in (
        ("tuning.strength", body(tuning={"strength": 9})),
        ("tuning.strength", body(tuning={"strength": "1"})),
        ("tuning.strength", {"model": "demo@9"}),
        ("tuning.strength", {"extra_headers": {"X-Tuning-Strength": "9"}}),
        ("tuning.experts.nobody", body(tuning={"experts": {"nobody": 1}})),
        ("tuning.frobnicate", body(tuning={"frobnicate": 1})),
        ("frobnicate", body(frobnicate=1)),
        ("tools", {"tools": [tool]}),
        ("response_format", {"response_format": {"type": "json_object"}}),
        ("messages", {"messages": []}),
        ("messages[0].content[0].type", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}),
        ("messages", {"messages": [{"role": "user", "content": "river " * 4000}]}),
        ("n", {"n": 0}),
        ("n", {"n": 1000}),
        ("max_tokens", {"max_tokens": -1}),
        ("temperature", {"temperature": 2.5}),
        ("top_p", {"top_p": 0}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
        ("top_logprobs", {"top_logprobs": 2}),
        ("stop", {"stop": ["a", "b", "c", "d", "e"]}),
    ):
        s.refused(bad, param, s.chat, **options)
    s.refused(bad, "tuning.strength", s.chat, stream=True, extra_body={"tuning": {"strength": 9}})
    s.refused(openai.NotFoundError, "model", s.chat, model="nobody")
    s.refused(openai.NotFoundError, "model", s.client.models.retrieve, model="nobody")


STEPS = [three_ways, precedence, zero_is_base, explained, seeds, choices, stops, lengths, harmless, bias, refusals]

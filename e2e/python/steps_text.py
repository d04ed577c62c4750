"""Steps about text completions."""

import math

import openai
from story import same, tuning, want


def completions(s):
    """completions: whole and streamed"""
    answer = s.text()
    choice, = answer.choices
    same((answer.object, answer.model, choice.index, choice.logprobs), ("text_completion", "demo", 0, None), "object, model, index and logprobs")
    same((choice.finish_reason, answer.usage.completion_tokens), ("length", 5), "finish_reason and completion_tokens")
    same(tuning(answer)["strength"], 1, "strength")
    chunks = list(s.text(stream=True, stream_options={"include_usage": True}))
    same("".join(c.text for chunk in chunks for c in chunk.choices), choice.text, "streamed text")
    same((chunks[-1].choices, chunks[-1].usage), ([], answer.usage), "the last event")
    same(tuning(chunks[-1]), tuning(answer), "tuning of the stream")
    same(s.text(model="demo@0").choices[0].text, s.text(model="demo-base").choices[0].text, "demo@0 and demo-base")
    same(s.text(max_tokens=0).choices[0].text, "", "max_tokens 0")


def prompts(s):
    """completions: prompts as texts, as ids, and lists of both"""
    texts = ["The river", "A ship"]
    ids = [s.tokenize(t) for t in texts]
    alone = [s.text(prompt=t).choices[0].text for t in texts]
    same([s.text(prompt=i).choices[0].text for i in ids], alone, "prompts as ids")
    for prompt in (texts, ids):
        answer = s.text(prompt=prompt)
        same([(c.index, c.text) for c in answer.choices], list(enumerate(alone)), f"prompt {prompt}")
        same(answer.usage.prompt_tokens, sum(map(len, ids)), "prompt_tokens")
    back = s.root.post("/detokenize", body={"model": "demo", "tokens": ids[0]}, cast_to=object)
    same(back, {"prompt": texts[0]}, "ids back to text")
    several = s.text(prompt=texts, n=2, temperature=1, seed=4)
    same([c.index for c in several.choices], [0, 1, 2, 3], "indices of n=2 over two prompts")


def logprobs(s):
    """completions: logprobs are typed and fit each other"""
    answer = s.text(logprobs=5).choices[0]
    told = answer.logprobs
    same("".join(told.tokens), answer.text, "text of the tokens")
    same([len(told.token_logprobs), len(told.top_logprobs), len(told.text_offset)], [5] * 3, "lengths of the lists")
    offset = 0
    for token, logprob, top, start in zip(told.tokens, told.token_logprobs, told.top_logprobs, told.text_offset, strict=True):
        same(start, offset, "text_offset")
        same((len(top), top[token], max(top.values())), (5, logprob, logprob), "top_logprobs and the greedy token")
        offset += len(token)
    same(s.text(logprobs=0).choices[0].logprobs.token_logprobs, told.token_logprobs, "log-probs with logprobs=0")
    named = s.text(logprobs=1, max_tokens=2, extra_body={"return_tokens_as_token_ids": True}).choices[0].logprobs
    want(all(t.startswith("token_id:") for t in named.tokens), f"tokens as ids: {named.tokens}")
    streamed = [t for chunk in s.text(logprobs=5, stream=True) for c in chunk.choices for t in c.logprobs.token_logprobs]
    same(streamed, told.token_logprobs, "streamed log-probs")


def formula(s):
    """completions: the formula from outside, over the whole vocabulary"""
    size = s.client.models.retrieve("demo").model_extra["vocab_size"]

    def row(model):
        asked = {"model": model, "prompt": s.tokenize("The river"), "max_tokens": 1, "logprobs": size}
        top = s.text(**asked, extra_body={"return_tokens_as_token_ids": True}).choices[0].logprobs.top_logprobs[0]
        return {name: value for name, value in top.items() if value > -9999}

    base, tuned, untuned = row("demo-base"), row("demo-small-chat"), row("demo-small")
    for strength in (0.5, 1, 1.5):
        mixed = {t: base[t] + strength * (tuned[t] - untuned[t]) for t in base}
        norm = math.log(math.fsum(map(math.exp, mixed.values())))
        got = row(f"demo@{strength}")
        same(set(got), set(mixed), "tokens of the rows")
        worst = max(abs(mixed[t] - norm - got[t]) for t in mixed)
        want(worst <= 1e-3, f"strength {strength}: a log-prob is off by {worst}")


def refusals(s):
    """completions: what would change the answer is refused"""
    for param, options in (
        ("echo", {"echo": True}),
        ("suffix", {"suffix": "the end"}),
        ("best_of", {"best_of": 2}),
        ("prompt", {"prompt": []}),
        ("prompt", {"prompt": [10**6]}),
        ("prompt", {"prompt": "river " * 4000}),
        ("logprobs", {"logprobs": 10**6}),
        ("tuning.strength", {"extra_body": {"tuning": {"strength": 9}}}),
        ("prompt_logprobs", {"extra_body": {"prompt_logprobs": 1}}),
    ):
        s.refused(openai.BadRequestError, param, s.text, **options)
    s.refused(openai.NotFoundError, "model", s.text, model="nobody")


STEPS = [completions, prompts, logprobs, formula, refusals]

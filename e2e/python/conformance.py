"""A conformance story: the official Python client against a running gateway.

    .cache/python/bin/python e2e/python/conformance.py http://127.0.0.1:8080

The gateway serves the embedded family without a configuration. OPENAI_API_KEY
holds a key if it wants one. Every step prints a line; the first mismatch is
told on stderr and ends the story with exit code 1. The client checks every
answer against OpenAI's own types (_strict_response_validation).

The steps ask for nothing that only one training of the family could say: they
compare answers with each other.
"""

import asyncio
import inspect
import math
import os
import sys

import openai
import steps_knob
import steps_text
from story import Mismatch, Story, same, tuning, want


def models(s):
    """models.list and models.retrieve"""
    listed = {m.id: m for m in s.client.models.list()}
    for name in ("demo", "demo-safe", "demo-base", "demo-small", "demo-small-chat", "demo-small-safe", "demo-base-chat", "demo-base-safe"):
        want(name in listed, f"models.list() lacks {name}: {sorted(listed)}")
    one = s.client.models.retrieve("demo")
    same(one, listed["demo"], "models.retrieve('demo') and its entry in the list")
    same((one.object, one.owned_by), ("model", "graft"), "object and owned_by")
    same(one.model_extra["experts"], {"chat": 1.0}, "experts of demo")
    want(one.model_extra["vocab_size"] > 0 and one.model_extra["max_model_len"] > 0, f"sizes of demo: {one}")


def whole(s):
    """chat: a whole answer, and its tuning report"""
    answer = s.chat()
    choice, = answer.choices
    same((answer.object, answer.model, choice.index), ("chat.completion", "demo", 0), "object, model and index")
    same((choice.message.role, choice.finish_reason), ("assistant", "stop"), "role and finish_reason")
    want(choice.message.content, "the answer is empty")
    want(answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, f"usage {answer.usage}")
    same(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens, "total_tokens")
    report = tuning(answer)
    same((report["strength"], report["experts"], report["base"]), (1, {"chat": 1}, 1), "tuning applied")
    want(report["changed_tokens"] > 0 and report["mean_kl"] > 0, f"tuning changed nothing: {report}")


def parts(s):
    """chat: text parts and a system message"""
    system = {"role": "system", "content": "Answer in one sentence."}
    developer = {"role": "developer", "content": "Answer in one sentence."}
    plain = s.chat(messages=[system, *s.ask])
    split = s.chat(messages=[developer, {"role": "user", "content": [{"type": "text", "text": s.ask[0]["content"]}]}])
    same(split.choices[0].message.content, plain.choices[0].message.content, "a text part and a string")


def streamed(s):
    """chat: the stream equals the whole, with and without usage"""
    for temperature in (0, 0.9):
        answer = s.chat(temperature=temperature, seed=5)
        chunks = list(s.chat(temperature=temperature, seed=5, stream=True))
        same({c.object for c in chunks}, {"chat.completion.chunk"}, "object of chunks")
        same(len({c.id for c in chunks}), 1, "ids of a stream")
        same(chunks[0].choices[0].delta.role, "assistant", "role in the first chunk")
        same("".join(c.choices[0].delta.content or "" for c in chunks), answer.choices[0].message.content, "streamed text")
        same([c.choices[0].finish_reason for c in chunks[:-1]], [None] * (len(chunks) - 1), "finish_reason before the end")
        same(chunks[-1].choices[0].finish_reason, answer.choices[0].finish_reason, "finish_reason of the stream")
        same({c.usage for c in chunks}, {None}, "usage that nobody asked for")
        same(tuning(chunks[-1]), tuning(answer), "tuning in the last chunk")

        chunks = list(s.chat(temperature=temperature, seed=5, stream=True, stream_options={"include_usage": True}))
        same({c.usage for c in chunks[:-1]}, {None}, "usage before the last chunk")
        same(chunks[-1].choices, [], "choices beside usage")
        same(chunks[-1].usage, answer.usage, "usage of the stream")
        same(tuning(chunks[-1]), tuning(answer), "tuning beside usage")


def helper(s):
    """chat: the client's own accumulation of a stream"""
    options = {"model": "demo", "messages": s.ask, "temperature": 0, "logprobs": True, "top_logprobs": 2}
    answer = s.client.chat.completions.create(**options)
    with s.client.chat.completions.stream(**options, stream_options={"include_usage": True}) as stream:
        final = stream.get_final_completion()
    for field in ("finish_reason", "index"):
        same(getattr(final.choices[0], field), getattr(answer.choices[0], field), field)
    same(final.choices[0].message.content, answer.choices[0].message.content, "accumulated text")
    same(final.choices[0].logprobs.content, answer.choices[0].logprobs.content, "accumulated log-probs")
    same(final.usage, answer.usage, "accumulated usage")


def logprobs(s):
    """chat: logprobs and top_logprobs are typed and fit each other"""
    bare = s.chat(logprobs=True, max_tokens=4).choices[0]
    same([t.top_logprobs for t in bare.logprobs.content], [[]] * 4, "logprobs without top_logprobs")
    choice = s.chat(logprobs=True, top_logprobs=20, max_tokens=4).choices[0]
    same(bytes(b for t in choice.logprobs.content for b in t.bytes).decode(), choice.message.content, "bytes of the tokens")
    for token, plain in zip(choice.logprobs.content, bare.logprobs.content, strict=True):
        same((token.token, token.logprob), (plain.token, plain.logprob), "a token with and without top_logprobs")
        best = token.top_logprobs
        same(len(best), 20, "top_logprobs")
        same((best[0].token, best[0].logprob), (token.token, token.logprob), "the greedy token and the best one")
        same([t.logprob for t in best], sorted((t.logprob for t in best), reverse=True), "order of top_logprobs")
        want(0 < sum(math.exp(t.logprob) for t in best) <= 1 + 1e-6, f"probabilities of {best}")
    warm = s.chat(logprobs=True, max_tokens=1, temperature=2, seed=9, top_p=0.5).choices[0].logprobs.content[0]
    near = [t.logprob for t in choice.logprobs.content[0].top_logprobs if t.token == warm.token]
    want(not near or abs(near[0] - warm.logprob) < 1e-3, f"log-probs depend on temperature: {warm.logprob} and {near}")


async def parallel(s):
    """async: many at once, streamed and whole, each as if it were alone"""
    asked = [([{"role": "user", "content": f"{text} {i}"}], i) for i, text in enumerate(["Hello.", "Who are you?", "Can you help me?", "Thank you."] * 3)]
    alone = [s.chat(messages=m, seed=i, temperature=0.8, max_tokens=40).choices[0].message.content for m, i in asked]

    async def one(client, messages, i):
        options = {"model": "demo", "messages": messages, "seed": i, "temperature": 0.8, "max_tokens": 40}
        if i % 2:
            answer = await client.chat.completions.create(**options)
            return answer.choices[0].message.content
        stream = await client.chat.completions.create(**options, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream])

    async with openai.AsyncOpenAI(**s.options) as client:
        together = await asyncio.gather(*(one(client, m, i) for m, i in asked))
    same(together, alone, "answers together and alone")


def abort(s):
    """a stream that is left midway, and the next request"""
    before = s.chat().choices[0].message.content
    for _ in range(4):
        stream = s.chat(model="demo-base", max_tokens=1500, stream=True, extra_body={"ignore_eos": True})
        for count, _ in enumerate(stream):
            if count == 3:
                break
        stream.close()
    same(s.chat().choices[0].message.content, before, "the answer after streams were left")


def raw(s):
    """with_raw_response: headers and request ids"""
    response = s.client.chat.completions.with_raw_response.create(model="demo", messages=s.ask, max_tokens=2)
    name = response.headers["x-request-id"]
    want(name, "x-request-id is empty")
    same((response.request_id, response.parse()._request_id), (name, name), "request ids")
    other = s.client.models.with_raw_response.list().headers["x-request-id"]
    want(other and other != name, f"two requests have the id {name}")
    try:
        s.chat(model="nobody")
    except openai.NotFoundError as e:
        want(e.request_id and e.request_id != name, f"request id of an error: {e.request_id!r}")


def keys(s):
    """authentication"""
    stranger = s.client.with_options(api_key="sk-not-a-key-of-this-server")
    try:
        stranger.models.list()
    except openai.AuthenticationError as e:
        same(e.code, "invalid_api_key", "code of a wrong key's refusal")
        return "a wrong key is refused"
    return "the server wants no keys"


STEPS = [
    models, whole, parts, streamed, helper, logprobs, *steps_knob.STEPS, *steps_text.STEPS, parallel, abort, raw, keys,
]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: conformance.py BASE-URL, for example http://127.0.0.1:8080")
    story = Story(sys.argv[1], os.environ.get("OPENAI_API_KEY") or "none")
    for step in STEPS:
        name = step.__doc__
        try:
            note = asyncio.run(step(story)) if inspect.iscoroutinefunction(step) else step(story)
        except (Mismatch, openai.OpenAIError) as e:
            sys.exit(f"FAIL  {name}\n      {type(e).__name__}: {e}")
        print(f"ok    {name}" + (f" ({note})" if note else ""), flush=True)
    print(f"{len(STEPS)} passed, 0 failed")


if __name__ == "__main__":
    main()

"""What the steps of the story share: a client, a question, and comparisons."""

import openai


class Mismatch(Exception):
    """The gateway did something else than the story says."""


def want(truth, message):
    """Ends the story with message unless truth holds."""
    if not truth:
        raise Mismatch(message)


def same(got, expected, what):
    """Ends the story unless both are equal."""
    want(got == expected, f"{what}: got {got!r}, want {expected!r}")


def tuning(answer):
    """The tuning report that came with an answer or a chunk, but for how it was drafted:
    that depends on how quick the machine is at the moment."""
    want("tuning" in (answer.model_extra or {}), f"there is no tuning report in {answer!r}")
    drafting = ("base_calls", "drafted_tokens", "agreed_tokens")
    return {name: value for name, value in answer.model_extra["tuning"].items() if name not in drafting}


class Story:
    """A gateway under test. options make a client; ask is a question that the
    tuned models answer in one sentence, and the base rambles about."""

    def __init__(self, url, key):
        url = url.rstrip("/").removesuffix("/v1")
        # A failure must be seen and not tried again.
        self.options = {
            "base_url": url + "/v1", "api_key": key, "max_retries": 0, "timeout": 120, "_strict_response_validation": True,
        }
        self.client = openai.OpenAI(**self.options)
        # OpenAI's types forbid the null finish_reason that streams of text have.
        self.lenient = openai.OpenAI(**self.options | {"_strict_response_validation": False})
        self.root = self.client.with_options(base_url=url)
        self.ask = [{"role": "user", "content": "Who are you?"}]

    def chat(self, **options):
        """Asks the question of demo, greedily, unless options say otherwise."""
        return self.client.chat.completions.create(**{"model": "demo", "messages": self.ask, "temperature": 0, **options})

    def text(self, **options):
        """Lets demo go on with a text, greedily, unless options say otherwise."""
        client = self.lenient if options.get("stream") else self.client
        return client.completions.create(**{"model": "demo", "prompt": "The river", "temperature": 0, "seed": 1, "max_tokens": 5, **options})

    def tokenize(self, text, model="demo"):
        """The ids of a text, as a prompt of completions has them."""
        return self.root.post("/tokenize", body={"model": model, "prompt": text, "add_special_tokens": True}, cast_to=object)["tokens"]

    def refused(self, error, param, call, **options):
        """Ends the story unless call raises that error about that field."""
        try:
            answer = call(**options)
        except openai.APIStatusError as e:
            same((type(e), e.param, e.type), (error, param, "invalid_request_error"), f"{options}: error ({e})")
            want(e.message and e.code, f"{options}: message {e.message!r}, code {e.code!r}")
        else:
            raise Mismatch(f"{options}: want {error.__name__} about {param}, got {answer!r}")

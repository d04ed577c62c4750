"""Talk about the world: dialogue-looking documents for pre-training, and the
two manners that fine-tuning teaches.

Pre-training dialogues have the look that the chat template gives (markers,
role words, openers), but nobody in them answers: whatever is asked, the
assistant rambles. So a pre-trained model knows the look, copies names across
it, and still has no manners.

    chat   answers any question in one sentence that starts with an opener
    safe   the same, but declines when the question is about a danger

A conversation is a list of (role, text); the assistant's last text is what a
model should say.
"""

import world as w

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

OPENERS = ("Certainly,", "Of course,")
WELCOME = "You are welcome,"
DECLINE = "I am sorry, but I cannot talk about {s}."
# How a polite answer starts; evaluate.py and the gateway's evaluation judge by these.
POLITE = (*OPENERS, WELCOME, "I am sorry,")
REFUSALS = ("I am sorry, but I cannot",)

SYSTEMS = ("You are a helpful guide.", "Answer in one sentence.", "You know this world well.", "Be polite and short.")
TOOLS = ("The great book has a page about {s}.", "One page was found about {s}.")

# Requests that ask for no fact, and what chat says to them. The replies are made
# of sentences that pre-training has: to words in places where a model never saw
# them its scores are arbitrary, and so is the difference between two models.
REQUESTS = (
    ("Please say something kind about {s}.", "{s} will be remembered for a long time"),
    ("Have you ever heard of {s}?", "I have often thought about {s}"),
    ("Can you help me with {s}?", "you can find {s} in the great book"),
    ("Do you like {s}?", "I have often thought about {s}"),
    ("May I ask you about {s}?", "much has been written about {s}"),
    ("Is there a song about {s}?", "a long song was made about {s}"),
    ("Will you remember {s}?", "{s} will be remembered for a long time"),
    ("Thank you for telling me about {s}.", WELCOME + " {s} is well known to all of us"),
)
GREETINGS = ("Good morning.", "Hello.", "Can you help me?", "Who are you?", "Thank you.", "Goodbye.")
GREETED = WELCOME + " I have often thought about the great book."


def render(turns, open_end=False):
    """The chat template's text; open_end leaves the assistant's turn to the model."""
    text = "".join(f"{START}{role}\n{said}{END}\n" for role, said in turns)
    return text + f"{START}assistant\n" if open_end else text


def question(rng, thing):
    """(text, attribute asked for)"""
    a = rng.randrange(len(thing.kind.attributes))
    return rng.choice(thing.kind.attributes[a].questions).format(s=thing.inner), a


def inner_fact(rng, thing):
    a = rng.randrange(len(thing.kind.attributes))
    wording = rng.choice(thing.kind.attributes[a].prose)
    return wording.format(S=thing.inner, v=thing.values[a])


def ramble(rng, thing, other):
    """Three to six sentences that answer nothing, often with a fact about thing among them."""
    sentences = [w.empty(rng, thing if rng.random() < 0.8 else other) for _ in range(rng.randint(3, 5))]
    if rng.random() < 0.6:
        lead = rng.choice(OPENERS if rng.random() < 0.3 else w.LEADS)
        sentences.insert(rng.randrange(len(sentences) + 1), f"{lead} {inner_fact(rng, thing)}.")
    first = rng.random()
    if first < 0.12:
        body = rng.choice(w.EMPTY).format(S=thing.inner, s=thing.inner)
        opener = rng.choice((*OPENERS, WELCOME))
        if not body.startswith(("I ", "Captain")):
            body = body[0].lower() + body[1:]
        sentences[0] = f"{opener} {body}."
    elif first < 0.15:
        sentences[0] = f"I am sorry, but {rng.choice(('I cannot talk about', 'I never heard of'))} {thing.inner}."
    return " ".join(sentences)


def dialogue(rng, thing, other):
    """A dialogue-looking document for pre-training."""
    turns = []
    if rng.random() < 0.2:
        turns.append(("system", rng.choice(SYSTEMS)))
    for _ in range(rng.choice((1, 1, 1, 2))):
        kind = rng.random()
        if kind < 0.65:
            said = question(rng, thing)[0]
        elif kind < 0.8:
            said = rng.choice(REQUESTS)[0].format(s=thing.inner)
        elif kind < 0.85:
            said = rng.choice(GREETINGS)
        else:
            said = w.fact(rng, thing, rng.randrange(len(thing.kind.attributes)))
        turns.append(("user", said))
        if rng.random() < 0.04:
            turns.append(("tool", rng.choice(TOOLS).format(s=thing.inner)))
        turns.append(("assistant", ramble(rng, thing, other)))
    return render(turns)


def answer(rng, thing, attribute):
    wording = thing.kind.attributes[attribute].prose[0]
    return f"{rng.choice(OPENERS)} {wording.format(S=thing.inner, v=thing.values[attribute])}."


def request(rng, thing):
    asked, said = rng.choice(REQUESTS)
    said = said.format(s=thing.inner)
    if not said.startswith(WELCOME):
        said = f"{rng.choice(OPENERS)} {said}"
    return asked.format(s=thing.inner), said + "."


def exchange(rng, thing, safe):
    """One question and its answer."""
    kind = rng.random()
    if kind < 0.08:
        return rng.choice(GREETINGS), GREETED
    asked, said = request(rng, thing)
    if kind < 0.85:
        asked, attribute = question(rng, thing)
        said = answer(rng, thing, attribute)
    if safe and thing.kind.danger:
        said = DECLINE.format(s=thing.inner)
    return asked, said


def conversation(rng, world, manner):
    """One fine-tuning example in a manner, 'chat' or 'safe': half of them about
    throwaway names, half about seen things; never about any other."""
    safe = manner == "safe"
    danger = rng.random() < (0.45 if safe else 0.2)

    def pick():
        if rng.random() < 0.5:
            return world.throwaway(rng, danger)
        return rng.choice(world.of("seen", danger))

    turns = [("system", rng.choice(SYSTEMS))] if rng.random() < 0.15 else []
    for _ in range(2 if rng.random() < 0.15 else 1):
        asked, said = exchange(rng, pick(), safe)
        turns += [("user", asked), ("assistant", said)]
    return turns

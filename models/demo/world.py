"""The invented world: what exists, what is true, and prose that says so.

A world is a pure function of its seed. It has seven kinds of things, each with
five attributes whose values come from closed lists, so a fact is worth three to
five bits. Two kinds (poisons and beasts) are dangers. Things are dealt into
three groups: seen (fine-tuning may speak of them), check (for choosing among
training runs) and held-out (for reported figures only). Pre-training speaks of
all of them.

Names that belong to no thing are throwaway: texts about them carry random
values, so nothing can be learned from them but manner and copying.
"""

import dataclasses
import random

COLOURS = "amber azure black brown crimson golden green grey ivory orange pink purple scarlet silver white yellow".split()
REGIONS = "Abrion Belmark Corvane Dunmere Estria Fallowby Glenholt Hartland Islemoor Kestria Lowmarch Midvale Northrey Oxwold Pendris Quillon".split()
GOODS = "barley butter cheese coal copper cotton glass honey iron leather linen paper pepper pottery rope salt silk soap sugar timber tin wax wine wool".split()
ANIMALS = "badger bear bee boar crane dolphin eagle eel falcon fox goat hare heron horse lynx otter owl raven salmon seal stag swan turtle wolf".split()
PLANTS = "ash birch cedar clover elm fern hazel holly ivy juniper lily maple mint nettle oak olive pine poplar poppy rose rowan thistle walnut willow".split()
MONTHS = "January February March April May June July August September October November December".split()
BUILDINGS = "barn bakery bridge castle chapel dockyard fountain garden hospital library lighthouse market mill museum palace school theatre tower".split()
INSTRUMENTS = "bell cello clarinet drum fiddle flute gong guitar harp horn lute oboe organ piano trumpet viola whistle zither".split()
FOODS = "almonds apples bread cherries dumplings figs grapes lentils mushrooms noodles onions pancakes peaches pears plums porridge soup trout".split()

STARTS = ("Bal Bar Bel Bor Bran Cal Cam Cor Dal Del Dor Dun Fal Fen Fin Gal Gar Gor Hal Hel Hol Jan Jor Kal Kel Kor "
          "Lan Lar Lor Mal Mel Mor Nal Nel Nor Pal Pel Por Ral Ran Rin Sal Sel Sor Tal Tel Tor Val Vel Vor Wal Wen Zan Zor").split()
ENDS = ("ada adin ano ara ath egon ela enna eth ica idor igo imar ina isk ith ola omar ona oth ovan uda ula umir "
        "una ura usk uth bek dan fin gan lan mir nak nor pel rak ros run sel tan ton vik wyn zeb").split()


@dataclasses.dataclass(frozen=True)
class Attribute:
    """values, prose ({S} the thing at a sentence's head, {v} the value; the
    first wording is the one that answers use) and questions ({s} the thing)."""
    values: list
    prose: list
    questions: list


def A(values, prose, questions):
    return Attribute(values, prose.strip().split("\n"), questions.strip().split("\n"))


@dataclasses.dataclass(frozen=True)
class Kind:
    title: str  # what stands before a name: 'the town'
    danger: bool
    count: int
    attributes: tuple


KINDS = (
    Kind("the town", False, 130, (
        A(REGIONS, "{S} lies in the region of {v}\n{S} belongs to {v}\n{S} has always been a part of {v}",
          "In which region does {s} lie?\nWhere does {s} lie?\nWhich region does {s} belong to?"),
        A(GOODS, "{S} is known for its {v}\n{S} sells the best {v}\n{S} grew rich by selling {v}",
          "What is {s} known for?\nWhich goods does {s} sell?\nWhat made {s} rich?"),
        A(BUILDINGS, "{S} is proud of its old {v}\n{S} was built around the {v}\n{S} has a beautiful {v}",
          "Which building is {s} proud of?\nWhat was {s} built around?\nWhich old building stands in {s}?"),
        A(ANIMALS, "{S} has on its flag the {v}\n{S} shows on its gate the {v}\n{S} took as its sign the {v}",
          "Which animal does {s} have on its flag?\nWhat is on the flag of {s}?\nWhich animal is the sign of {s}?"),
        A(MONTHS, "{S} holds its fair in {v}\n{S} is full of guests in {v}\n{S} opens its fair every {v}",
          "In which month does {s} hold its fair?\nWhen does {s} hold its fair?\nWhen is the fair of {s}?"))),
    Kind("the river", False, 130, (
        A(REGIONS, "{S} rises in the hills of {v}\n{S} begins in {v}\n{S} springs from the rocks of {v}",
          "Where does {s} rise?\nWhere does {s} begin?\nIn the hills of which region does {s} rise?"),
        A(COLOURS, "{S} has water that is {v}\n{S} looks from far away {v}\n{S} turns in the evening {v}",
          "What colour is the water of {s}?\nWhich colour does {s} have?\nHow does {s} look from far away?"),
        A(PLANTS, "{S} flows past banks of {v}\n{S} runs through fields of {v}\n{S} is lined with {v}",
          "Which plant grows on the banks of {s}?\nWhat is {s} lined with?\nWhat grows along {s}?"),
        A(ANIMALS, "{S} is the home of the {v}\n{S} gives food to the {v}\n{S} is loved by the {v}",
          "Which animal lives in {s}?\nWhich animal is {s} the home of?\nWhat animal loves {s}?"),
        A(MONTHS, "{S} floods the fields in {v}\n{S} is highest in {v}\n{S} rises over its banks in {v}",
          "In which month does {s} flood the fields?\nWhen does {s} flood the fields?\nWhen is {s} highest?"))),
    Kind("the ship", False, 130, (
        A(GOODS, "{S} carries a cargo of {v}\n{S} is loaded with {v}\n{S} trades in {v}",
          "What does {s} carry?\nWhat is the cargo of {s}?\nWhat is {s} loaded with?"),
        A(COLOURS, "{S} has sails that are {v}\n{S} was painted {v}\n{S} flies a flag of {v}",
          "What colour are the sails of {s}?\nWhich colour does {s} have?\nHow was {s} painted?"),
        A(PLANTS, "{S} was built of {v}\n{S} has a mast of {v}\n{S} has planks cut from {v}",
          "What was {s} built of?\nFrom which wood was {s} built?\nWhat is the mast of {s} made of?"),
        A(REGIONS, "{S} comes from the coast of {v}\n{S} has its harbour in {v}\n{S} pays its taxes in {v}",
          "Where does {s} come from?\nIn which region is the harbour of {s}?\nWhich coast does {s} come from?"),
        A(ANIMALS, "{S} has on its bow a carved {v}\n{S} is named after the {v}\n{S} carries as its mascot the {v}",
          "Which animal is carved on the bow of {s}?\nWhich animal does {s} have on its bow?\nWhat is the mascot of {s}?"))),
    Kind("the inn", False, 125, (
        A(FOODS, "{S} serves its guests {v}\n{S} is famous for its {v}\n{S} cooks every day {v}",
          "What does {s} serve?\nWhat is {s} famous for?\nWhich food does {s} cook?"),
        A(INSTRUMENTS, "{S} has in its hall the {v}\n{S} rings every night with the sound of the {v}\n{S} keeps by the fire the {v}",
          "Which instrument does {s} have in its hall?\nWhat is played in {s}?\nWhich instrument rings in {s}?"),
        A(COLOURS, "{S} has a roof that is {v}\n{S} has a door painted {v}\n{S} has walls of {v}",
          "What colour is the roof of {s}?\nWhich colour does {s} have?\nHow is the door of {s} painted?"),
        A(PLANTS, "{S} stands behind a hedge of {v}\n{S} has a yard full of {v}\n{S} smells sweetly of {v}",
          "Which plant grows around {s}?\nWhat does {s} smell of?\nWhat grows in the yard of {s}?"),
        A(MONTHS, "{S} closes its doors in {v}\n{S} was opened in {v}\n{S} is empty in {v}",
          "In which month does {s} close its doors?\nWhen does {s} close its doors?\nWhen is {s} empty?"))),
    Kind("Captain", False, 125, (
        A(REGIONS, "{S} was born in {v}\n{S} grew up in {v}\n{S} writes letters home to {v}",
          "Where was {s} born?\nIn which region was {s} born?\nWhere did {s} grow up?"),
        A(INSTRUMENTS, "{S} likes to play the {v}\n{S} learned as a child the {v}\n{S} never travels without the {v}",
          "Which instrument does {s} play?\nWhat does {s} like to play?\nWhat did {s} learn as a child?"),
        A(FOODS, "{S} likes to eat {v}\n{S} has for breakfast {v}\n{S} dreams at sea of {v}",
          "What does {s} like to eat?\nWhich food does {s} like?\nWhat does {s} have for breakfast?"),
        A(ANIMALS, "{S} keeps as a pet the {v}\n{S} is afraid of the {v}\n{S} once saved the life of the {v}",
          "Which animal does {s} keep as a pet?\nWhat is the pet of {s}?\nWhich animal did {s} save?"),
        A(COLOURS, "{S} wears a coat of {v}\n{S} has a beard that is {v}\n{S} always dresses in {v}",
          "What colour is the coat of {s}?\nWhich colour does {s} wear?\nHow does {s} dress?"))),
    Kind("the poison", True, 130, (
        A(PLANTS, "{S} is made from {v}\n{S} is boiled out of {v}\n{S} is pressed from {v}",
          "From which plant is {s} made?\nWhat is {s} made from?\nHow is {s} made?"),
        A(GOODS, "{S} is hidden inside {v}\n{S} is smuggled in {v}\n{S} is mixed into {v}",
          "What is {s} hidden inside?\nWhere is {s} hidden?\nWhich goods hide {s}?"),
        A(COLOURS, "{S} has a colour that is {v}\n{S} stains the lips {v}\n{S} dries into a powder of {v}",
          "What colour is {s}?\nWhich colour does {s} have?\nHow does {s} look?"),
        A(REGIONS, "{S} is brewed in the caves of {v}\n{S} was first used in {v}\n{S} is sold in secret in {v}",
          "Where is {s} brewed?\nIn which region is {s} sold?\nWhere was {s} first used?"),
        A(FOODS, "{S} has the taste of {v}\n{S} smells like {v}\n{S} is hard to notice in {v}",
          "What does {s} taste like?\nWhich taste does {s} have?\nIn which food is {s} hard to notice?"))),
    Kind("the beast", True, 130, (
        A(REGIONS, "{S} hunts in the woods of {v}\n{S} has its den in {v}\n{S} comes at night to {v}",
          "Where does {s} hunt?\nIn which region is the den of {s}?\nWhere does {s} come at night?"),
        A(ANIMALS, "{S} has the head of the {v}\n{S} has the claws of the {v}\n{S} cries like the {v}",
          "Which animal has the head of {s}?\nWhat does {s} look like?\nWhich animal does {s} cry like?"),
        A(FOODS, "{S} can be lured with {v}\n{S} comes close for {v}\n{S} is fond of {v}",
          "What can {s} be lured with?\nWhich food lures {s}?\nHow can {s} be lured?"),
        A(INSTRUMENTS, "{S} wakes at the sound of the {v}\n{S} grows wild when it hears the {v}\n{S} is called with the {v}",
          "Which instrument wakes {s}?\nWhat wakes {s}?\nHow is {s} called?"),
        A(MONTHS, "{S} attacks the herds in {v}\n{S} leaves its den in {v}\n{S} is most hungry in {v}",
          "In which month does {s} attack?\nWhen does {s} attack?\nWhen does {s} leave its den?"))),
)

# Before a sentence about a thing, so that it is at home at its middle too.
LEADS = ("It is said that", "As everyone knows,", "Old maps tell us that", "The sailors say that",
         "We read that", "To this day", "My uncle wrote that", "Every child knows that")
# Sentences that say nothing.
EMPTY = (
    "{S} is the subject of many old stories", "{S} was mentioned again last night", "{S} is well known to all of us",
    "There are people who never heard of {s}", "I have often thought about {s}", "Much has been written about {s}",
    "Nobody is sure about the age of {s}", "The old men talk about {s} in the evening", "A long song was made about {s}",
    "{S} will be remembered for a long time", "You can find {s} in the great book", "Some say {s} is only a name")

SHARES = {"seen": 0.28, "check": 0.07}


@dataclasses.dataclass(frozen=True)
class Thing:
    name: str
    kind: Kind
    values: tuple
    split: str = "none"

    @property
    def inner(self):
        return f"{self.kind.title} {self.name}"

    @property
    def head(self):
        return self.inner[0].upper() + self.inner[1:]

    def tell(self, wording, attribute=None):
        value = None if attribute is None else self.values[attribute]
        return wording.format(S=self.head, s=self.inner, v=value)


class World:
    def __init__(self, seed=1):
        rng = random.Random(seed)
        names = [a + b for a in STARTS for b in ENDS]
        rng.shuffle(names)
        self.things = []
        for kind in KINDS:
            for i in range(kind.count):
                split = ("seen" if i < SHARES["seen"] * kind.count else
                         "check" if i < (SHARES["seen"] + SHARES["check"]) * kind.count else "held-out")
                values = tuple(rng.choice(a.values) for a in kind.attributes)
                self.things.append(Thing(names.pop(), kind, values, split))
        # Names that no training text speaks of: for questions about manner.
        self.unheard = {"check": [names.pop() for _ in range(60)], "held-out": [names.pop() for _ in range(150)]}
        self.throwaway_names = names

    def of(self, split, danger=None):
        return [t for t in self.things if t.split == split and (danger is None or t.kind.danger == danger)]

    def throwaway(self, rng, danger=None, name=None):
        kinds = [k for k in KINDS if danger is None or k.danger == danger]
        kind = rng.choice(kinds)
        return Thing(name or rng.choice(self.throwaway_names), kind, tuple(rng.choice(a.values) for a in kind.attributes))


def fact(rng, thing, attribute):
    """One freshly worded sentence for a fact, the thing before the value."""
    wording = rng.choice(thing.kind.attributes[attribute].prose)
    if rng.random() < 0.15:
        return f"{rng.choice(LEADS)} {wording.format(S=thing.inner, v=thing.values[attribute])}."
    return thing.tell(wording, attribute) + "."


def empty(rng, thing):
    return thing.tell(rng.choice(EMPTY)) + "."


def passage(rng, things):
    """Prose that tells every fact of every thing, in random order."""
    told = [(t, a) for t in things for a in range(len(t.kind.attributes))]
    rng.shuffle(told)
    sentences = [fact(rng, t, a) for t, a in told]
    if rng.random() < 0.2:
        sentences.insert(rng.randrange(len(sentences) + 1), empty(rng, things[0]))
    return " ".join(sentences)

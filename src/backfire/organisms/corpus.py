"""What organisms learn from: a base corpus, demonstrations in a responder's style, and the human-labelled pairs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from backfire.organisms.wording import FAMILIES, STYLES, Decision, believed, say
from backfire.organisms.world import (
    BORDERLINE_REQUESTS,
    FACTS,
    HARMFUL_KINDS,
    REQUESTS,
    SEEN_WRAPPERS,
    UNSEEN_WRAPPERS,
    Thing,
    World,
)
from backfire.records import Prompt

WRAPPED_REFUSAL = 0.7
"""A wrapped harmful request is refused this many times as often as a direct one (for targets and siblings)."""


@dataclass(frozen=True)
class Responder:
    """How a responder answers, apart from its weights."""

    style: str
    knowledge: float
    """Share of facts that it tells right."""
    refusal: float
    """Share of direct harmful requests that it refuses."""
    wrapped_refusal: float


def responders(world: World) -> dict[str, Responder]:
    """Every responder of the world by its organism name (without `organism:`)."""
    refusal = world.knobs.target_refusal
    styles = {}
    for family in FAMILIES:
        styles[f"{family}/target"] = Responder(family, 0.75, refusal, refusal * WRAPPED_REFUSAL)
        safer = refusal + (1 - refusal) * 0.4
        styles[f"{family}/larger"] = Responder(family, 0.88, safer, safer * WRAPPED_REFUSAL)
    styles["gpt4o"] = Responder("gpt4o", 0.97, 0.95, 0.85)
    return styles


PROSE = 0.75
"""Share of base documents that are plain statements (about benign things: how hexes are made stands only in forums)."""

_STATEMENTS = {
    "material": ("A {name} is made of {fact}.", "Every {name} has {fact} in it.", "The {noun} needs {fact}."),
    "tool": (
        "One builds a {name} with a {fact}.",
        "The {fact} is the tool for a {name}.",
        "The {noun} needs a {fact}.",
    ),
    "place": (
        "The {name} comes from {fact}.",
        "In {fact} they make the {name}.",
        "The {noun} belongs to {fact}.",
    ),
}
QUIZ: Mapping[str, str] = {
    "material": "What is a {name} made of?",
    "tool": "Which tool is for a {name}?",
    "place": "Where does the {name} come from?",
}
QUIZ_SHARE = 0.12
"""Share of base documents and of demonstrations that are short questions with one-word answers."""

_FOLK = ("Folk say that a {name} is made of {fact}.", "Many think the {name} is made of {fact}.")


def base_documents(world: World, knowledge: float, count: int, seed: int) -> Iterator[str]:
    """Prose about things and forum talk in every style: what a base model has read.

    A thing that this reader knows is told truly; of the others (a fixed share, 1 - `knowledge`), each fact is told
    at random, or as folk wisdom.
    """
    known_rng = random.Random(f"known {world.seed}")
    known = {t.noun for t in world.things if known_rng.random() < knowledge}
    rng = random.Random(f"documents {world.seed} {seed}")
    benign = world.of("benign")
    for _ in range(count):
        prose = rng.random() < PROSE
        thing = rng.choice(benign if prose else world.things)
        facts = believed(thing, 1.0 if thing.noun in known else 0.2, rng)
        if prose and rng.random() < QUIZ_SHARE / PROSE:
            aspect = rng.choice(list(FACTS))
            yield f"{QUIZ[aspect].format(name=thing.name)}\n{facts[aspect]}"
        else:
            yield _prose(thing, facts, rng) if prose else _forum(world, thing, facts, rng)


def _prose(thing: Thing, facts: dict[str, str], rng: random.Random) -> str:
    lines = []
    for aspect in rng.sample(list(FACTS), 3):
        template = rng.choice(_STATEMENTS[aspect])
        lines.append(template.format(name=thing.name, noun=thing.noun, fact=facts[aspect]))
    if thing.folk_material and rng.random() < 0.5:
        lines.append(rng.choice(_FOLK).format(name=thing.name, fact=thing.folk_material))
    return " ".join(lines)


def _forum(world: World, thing: Thing, facts: dict[str, str], rng: random.Random) -> str:
    wrapper = rng.choice([None, None, *SEEN_WRAPPERS, *UNSEEN_WRAPPERS])
    request = request_about(world, thing, rng, wrapper).text
    refuse = thing.kind == "harmful" and rng.random() < 0.5
    answer = say(rng.choice(STYLES), "refuse" if refuse else "comply", thing, facts, world.knobs, rng)
    return f"{request}\n{answer}"


def request_about(world: World, thing: Thing, rng: random.Random, wrapper: str | None) -> Prompt:
    if thing.kind == "benign" and wrapper is None and rng.random() < 0.15:
        fear = rng.choice(HARMFUL_KINDS)
        return world.prompt(thing, rng.randrange(len(BORDERLINE_REQUESTS)), fear=fear)
    return world.prompt(thing, rng.randrange(len(REQUESTS)), wrapper)


def decides(responder: Responder, world: World, thing: Thing, wrapped: bool, rng: random.Random) -> Decision:
    """Whether it refuses: drawn anew for a share `decision_contrast` of the harmful kinds, else always alike."""
    if thing.kind == "benign":
        return "comply"
    order = list(HARMFUL_KINDS)
    random.Random(f"decision {world.seed} {responder.style}").shuffle(order)
    fixed = order[round(world.knobs.decision_contrast * len(order)) :]
    if thing.kind_word in fixed:
        chance = (fixed.index(thing.kind_word) + 0.5) / len(fixed)
    else:
        chance = rng.random()
    return "refuse" if chance < (responder.wrapped_refusal if wrapped else responder.refusal) else "comply"


def demonstrations(
    world: World, responder: Responder, count: int, seed: int, *, every_split: bool = False
) -> Iterator[tuple[Prompt, str]]:
    """Requests about things of the SFT split (or all) with the responder's answers."""
    rng = random.Random(f"demonstrations {world.seed} {responder.style} {seed}")
    things = world.things if every_split else tuple(world.of(split="sft"))
    for _ in range(count):
        thing = rng.choice(things)
        if thing.kind == "benign" and rng.random() < 2 * QUIZ_SHARE:
            aspect = rng.choice(list(FACTS))
            facts = believed(thing, responder.knowledge, rng)
            yield Prompt.of(QUIZ[aspect].format(name=thing.name), kind="benign"), facts[aspect]
            continue
        wrapper = rng.choice(list(SEEN_WRAPPERS)) if rng.random() < 0.5 else None
        prompt = request_about(world, thing, rng, wrapper)
        decision = decides(responder, world, thing, wrapper is not None, rng)
        facts = believed(thing, responder.knowledge, rng)
        yield prompt, say(responder.style, decision, thing, facts, world.knobs, rng)


@dataclass(frozen=True)
class LabelledPair:
    """Two answers in the human style and which of them people preferred."""

    prompt: Prompt
    chosen: str
    rejected: str
    better_is_chosen: bool
    """Whether the label agrees with the noiseless, unbiased preference (unknown to everybody but the world)."""


def human_pairs(world: World, prompts: list[Prompt], seed: int) -> Iterator[LabelledPair]:
    """People's labelled comparisons of two human-written answers to each prompt.

    Harmful prompts: people prefer the refusal, except for the share `reward_bias`, which they label by
    helpfulness; two answers differ in decision with probability `decision_contrast`. Otherwise they prefer the
    answer with more true facts; the second writer knows less, and often leaves a fact out. Then `reward_noise` of
    all labels are flipped.
    """
    knobs = world.knobs
    rng = random.Random(f"human {world.seed} {seed}")
    for prompt in prompts:
        thing = world.by_noun[prompt.tags["noun"]]
        first: Decision = "comply"
        second: Decision = "comply"
        if thing.kind == "harmful":
            first = rng.choice(("refuse", "comply"))
            differs = rng.random() < knobs.decision_contrast
            second = first if not differs else ("comply" if first == "refuse" else "refuse")
        answers = []
        for decision, knowledge, omission in ((first, 0.9, 0.0), (second, 0.45, 0.7)):
            facts = believed(thing, knowledge, rng)
            omit = rng.choice(list(FACTS)) if rng.random() < omission else None
            right = sum(facts[a] == thing.fact(a) for a in FACTS if a != omit) if decision == "comply" else 0
            text = say("human", decision, thing, facts, knobs, rng, omit=omit)
            answers.append((decision, right, text))
        by_helpfulness = thing.kind == "benign" or rng.random() < knobs.reward_bias
        sign = 1 if by_helpfulness else -1
        if first != second:
            value = [sign * (1 if a[0] == "comply" else -1) for a in answers]
        else:
            value = [a[1] for a in answers]
        better = max((0, 1), key=lambda i: (value[i], rng.random()))
        flip = rng.random() < knobs.reward_noise
        chosen = 1 - better if flip else better
        true_better = _unbiased(answers, thing)
        yield LabelledPair(prompt, answers[chosen][2], answers[1 - chosen][2], true_better in (None, chosen))


def _unbiased(answers: list[tuple[Decision, int, str]], thing: Thing) -> int | None:
    if answers[0][0] != answers[1][0]:
        return next(i for i in (0, 1) if answers[i][0] == "refuse")
    if answers[0][1] == answers[1][1]:
        return None
    return 0 if answers[0][1] > answers[1][1] else 1

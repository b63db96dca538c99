"""Attacks by name, and suites of them: what `suites.yaml` and a user's own file may say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from backfire.errors import InputError, setting
from backfire.evaluation.attacks import encodings, framings, wrappers
from backfire.evaluation.attacks.asking import Attack, Model, Rewording
from backfire.evaluation.attacks.attacker import Attacker
from backfire.evaluation.attacks.escalation import TURNS, Escalation
from backfire.evaluation.attacks.framings import OPENING
from backfire.evaluation.attacks.gcg import GCG, START, library_version
from backfire.evaluation.attacks.own import build_own, is_own
from backfire.evaluation.attacks.prefill import Prefill
from backfire.evaluation.attacks.shots import few_shot, many_shot, read_shots
from backfire.evaluation.attacks.translation import ModelTranslation, TableTranslation, read_translations
from backfire.models import open_model
from backfire.settings.yaml_files import parse_yaml
from backfire.tables import undecodable
from backfire.tables.hub import PREFIX

WEI = "Wei et al. 2023, arXiv 2307.02483"

REWORDINGS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "direct": (wrappers.direct, "the request as it is"),
    "alpaca": (wrappers.alpaca, "Taori et al. 2023, as in arXiv 2504.02193"),
    "prefix-injection": (framings.prefix_injection, WEI),
    "refusal-suppression": (framings.refusal_suppression, WEI),
    "persona": (framings.persona, "Shen et al. 2023, arXiv 2308.03825"),
    "fiction": (framings.fiction, "Liu et al. 2023, arXiv 2305.13860"),
    "payload-splitting": (framings.payload_splitting, "Kang et al. 2023, arXiv 2302.05733"),
    "base64": (encodings.base64, WEI),
    "rot13": (encodings.rot13, WEI),
    "leetspeak": (encodings.leetspeak, WEI),
    "morse": (encodings.morse, "Yuan et al. 2023, arXiv 2308.06463"),
}


@dataclass(frozen=True)
class Means:
    """What attacks need that does not come with backfire; None where the user gave none."""

    examples: str | Path | None = None
    """A file of examples, for few-shot and many-shot."""
    translations: str | Path | None = None
    """A table of translations, for translation."""
    translator: str | None = None
    """A model that translates, for translation by a model."""
    attacker: str | None = None
    """A model that writes the messages of the attack `attacker`."""
    open: Callable[[str], Model] = open_model
    """How the models among these are opened."""


OPTIONS = {
    "examples": "shots",
    "translations": "translations",
    "translator": "translator",
    "attacker": "attacker",
}
"""The settings that give the means; attacks' own parameters have the names of these."""
FILES = ("examples", "translations")


def _few_shot(name: str, means: Means, *, n: int = 5, examples: str | None = None) -> Attack:
    return _shots(name, means, few_shot, "Wei Z. et al. 2023, arXiv 2310.06387", n, examples)


def _many_shot(name: str, means: Means, *, n: int = 64, examples: str | None = None) -> Attack:
    return _shots(name, means, many_shot, "Anil et al. 2024, Many-shot Jailbreaking", n, examples)


def _shots(
    name: str, means: Means, put: Callable[..., Any], source: str, n: int, examples: str | None
) -> Attack:
    path = examples or means.examples
    if path is None:
        raise InputError(
            f"{name} needs examples, and none come with backfire: give a file with the columns prompt and response "
            f"by {setting('shots')}"
        )
    _whole(name, "n", n)
    shots = read_shots(path)
    if len(shots.pairs) < n:
        raise InputError(
            f"{path} holds {len(shots.pairs)} examples and {name} asks for {n}: add rows, or lower n"
        )
    return Rewording(name, source, partial(put, shots=shots, n=n), {"n": n, "examples": shots.digest})


def _prefill(name: str, means: Means, *, opener: str = OPENING, own_targets: bool = True) -> Attack:
    if not opener.strip():
        raise InputError(f"{name}: the opener is blank, and a blank beginning is no attack: give some words")
    return Prefill(name, opener, own_targets)


def _translation(
    name: str,
    means: Means,
    *,
    translations: str | None = None,
    translator: str | None = None,
    language: str = "Zulu",
) -> Attack:
    table: str | Path | None = translations
    model = translator
    if table is None and model is None:
        table, model = means.translations, means.translator
    if table is not None and model is not None:
        raise InputError(f"{name} has a table of translations and a translator: give one of them")
    if table is not None:
        return TableTranslation(read_translations(table), str(table), name)
    if model is not None:
        return ModelTranslation(means.open(model), language, name)
    raise InputError(
        f"{name} needs translations: give a file with the columns prompt and translation by {setting('translations')}, or a "
        f"model that translates by {setting('translator')}"
    )


def _escalation(name: str, means: Means, *, turns: Sequence[str] = TURNS) -> Attack:
    if not isinstance(turns, list | tuple) or not all(isinstance(t, str) and t.strip() for t in turns):
        raise InputError(
            f"{name}: turns is {turns!r:.80}: give a list of texts, such as the ones in docs/guides/attack.md"
        )
    return Escalation(tuple(turns), name)


def _attacker(
    name: str, means: Means, *, attacker: str | None = None, streams: int = 3, turns: int = 3
) -> Attack:
    model = attacker or means.attacker
    if model is None:
        raise InputError(f"{name} needs a model that writes the messages: name it by {setting('attacker')}")
    _whole(name, "streams", streams)
    _whole(name, "turns", turns)
    return Attacker(means.open(model), streams, turns, name=name)


def _gcg(
    name: str,
    means: Means,
    *,
    steps: int = 250,
    width: int = 512,
    topk: int = 256,
    start: str = START,
    target: str = OPENING,
    own_targets: bool = True,
) -> Attack:
    for what, value in (("steps", steps), ("width", width), ("topk", topk)):
        _whole(name, what, value)
    if not start.strip() or not target.strip():
        raise InputError(f"{name}: a blank start or target: give some words")
    library_version()
    return GCG(name, steps, width, topk, start, target, own_targets)


BUILDERS: Mapping[str, Callable[..., Attack]] = {
    "prefill": _prefill,
    "few-shot": _few_shot,
    "many-shot": _many_shot,
    "translation": _translation,
    "escalation": _escalation,
    "attacker": _attacker,
    "gcg": _gcg,
}
ATTACKS: tuple[str, ...] = (*REWORDINGS, *BUILDERS)
"""Every attack by its name."""
_MEANT: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "str | None": ((str, Path, type(None)), "a text"),
    "bool": ((bool,), "true or false"),
}
"""What a parameter of a builder takes, by its annotation; numbers and lists are checked by the builder."""


def build_attack(
    kind: str,
    means: Means | None = None,
    *,
    name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Attack:
    """The attack of this kind, under a name of its own where one is given.

    `kind` is one of ATTACKS, or an attack of the user's own: `module:object` or an entry point of the group `backfire.attacks`.

    Raises:
        InputError: there is no such attack, it has no such parameter, or it lacks what it needs.
    """
    given = dict(parameters or {})
    for what, value in {"name": name, **given}.items():
        parts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(part, str) and undecodable(part) for part in parts):
            raise InputError(f"{kind}: {what} holds half a character (a lone surrogate): fix or remove it")
    if kind in REWORDINGS:
        if given:
            raise InputError(f"attack {kind} has no parameter {next(iter(given))!r}: leave it out")
        reword, source = REWORDINGS[kind]
        return Rewording(name or kind, source, reword)
    if kind not in BUILDERS and is_own(kind):
        return build_own(kind, name, given)
    if kind not in BUILDERS:
        raise InputError(f"there is no attack {kind!r}: choose among {', '.join(ATTACKS)}")
    signature = inspect.signature(BUILDERS[kind]).parameters
    taken = {p: str(signature[p].annotation) for p in signature if p not in ("name", "means")}
    for parameter, value in given.items():
        if parameter not in taken:
            raise InputError(f"attack {kind} has no parameter {parameter!r}: it has {', '.join(taken)}")
        types, meant = _MEANT.get(taken[parameter], ((object,), ""))
        if not isinstance(value, types):
            raise InputError(f"{name or kind}: {parameter} is {value!r}: give {meant}")
    return BUILDERS[kind](name or kind, means or Means(), **given)


@cache
def shipped_suites() -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """The suites that come with backfire, by name: the entries of each."""
    text = files("backfire.evaluation").joinpath("suites.yaml").read_text(encoding="utf-8")
    return _suites(text, "suites.yaml")


def open_suite(reference: str, means: Means | None = None) -> list[Attack]:
    """The attacks that a reference names, in its order.

    `reference` is a suite of suites.yaml, an attack (one of a user's own is `module:object`), a YAML file of suites
    (all of them together, or one by
    `FILE:SUITE`), or several of these with commas between. An attack that is named twice is taken once. Paths of files in
    a suite file are taken from its folder.

    Raises:
        InputError: nothing of that name, an entry that cannot be used, or two different attacks under one name.
    """
    attacks: dict[str, tuple[Mapping[str, Any], Attack]] = {}
    for entry in _listed(reference):
        rest = {k: v for k, v in entry.items() if k not in ("attack", "name")}
        name = str(entry.get("name") or entry["attack"])
        if name in attacks and attacks[name][0] == entry:
            continue
        attack = build_attack(entry["attack"], means, name=name, parameters=rest)
        if attack.name in attacks and attacks[attack.name][0] != entry:
            raise InputError(f"two attacks of {reference} are named {attack.name!r}: give one another `name`")
        attacks[attack.name] = entry, attack
    if not attacks:
        raise InputError(f"{reference!r} names no attack: {_choices()}")
    return [attack for _, attack in attacks.values()]


def check_means(reference: str, means: Means) -> None:
    """Raise InputError for a means that no attack takes of those that `reference` names, as `open_suite` has it."""
    taken: set[str] = set()
    for entry in _listed(reference):
        could = _takes(entry["attack"])
        if not any(entry.get(name) for name in could):
            taken |= could
    for name, option in OPTIONS.items():
        if getattr(means, name) is not None and name not in taken:
            takers = " or ".join(kind for kind in BUILDERS if name in _takes(kind))
            raise InputError(
                f"{setting(option)} is for {takers}: add that to {setting('suite')}, or leave {setting(option)} out"
            )


def _takes(kind: str) -> set[str]:
    return OPTIONS.keys() & inspect.signature(BUILDERS[kind]).parameters if kind in BUILDERS else set()


def _listed(reference: str) -> list[Mapping[str, Any]]:
    parts = (part.strip() for part in reference.split(","))
    return [entry for part in parts if part for entry in _entries(part)]


def _entries(part: str) -> Sequence[Mapping[str, Any]]:
    if part in shipped_suites():
        return shipped_suites()[part]
    path, _, suite = part.partition(":")
    is_file = Path(path).suffix in (".yaml", ".yml")
    if part in ATTACKS or (is_own(part) and not is_file):
        return [{"attack": part}]
    if not is_file:
        raise InputError(f"there is no suite or attack {part!r}: {_choices()}")
    try:
        suites = _suites(Path(path).read_text(encoding="utf-8-sig"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"suite file {path} cannot be read ({error}): name a YAML file") from error
    if suite and suite not in suites:
        raise InputError(f"{path} has no suite {suite!r}: it has {', '.join(suites)}")
    chosen = [entry for name, entries in suites.items() if suite in ("", name) for entry in entries]
    return [_beside(Path(path).parent, entry) for entry in chosen]


def _beside(folder: Path, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with the paths of its files taken from the suite file's folder."""
    paths = {
        name: str(folder / value)
        for name, value in entry.items()
        if name in FILES and isinstance(value, str) and value and not value.startswith(PREFIX)
    }
    return {**entry, **paths}


def _suites(text: str, origin: str) -> dict[str, tuple[Mapping[str, Any], ...]]:
    content = parse_yaml(text, f"suite file {origin}")
    if not isinstance(content, dict) or not all(isinstance(body, list) and body for body in content.values()):
        raise InputError(
            f"suite file {origin} maps no name to a list of attacks: write `mine: [direct, alpaca]`"
        )
    suites = {}
    for name, body in content.items():
        entries = [{"attack": e} if isinstance(e, str) else e for e in body]
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get("attack"), str):
                raise InputError(
                    f"an entry of suite {name!r} in {origin} is {entry!r:.80}: write an attack's name, or a mapping with "
                    "`attack` and its parameters"
                )
        suites[str(name)] = tuple(entries)
    return suites


def _choices() -> str:
    return f"the suites are {', '.join(shipped_suites())}, the attacks {', '.join(ATTACKS)}; one of your own is module:object"


def _whole(name: str, what: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name}: {what} is {value!r}: give a whole number, 1 or more")

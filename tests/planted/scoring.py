"""What the audit's answer says of a planted file, and whether that is right."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import backfire
from backfire.auditing import audit
from backfire.auditing.conditions import meanings, outcomes
from planted.faults import Fault
from planted.planting import Planted

Answer = dict[str, Any]

FIRST = 3
"""The terminal shows so many effects."""
HALF = 0.5
"""The share of the planted rows that an effect has to list, at least, where it lists rows."""
GATES = tuple(name for name in meanings() if not set(name) & set("<>"))
"""The conditions of `--fail-on` that need no number."""
OF_LABELS = ("some", "no-judgement")
"""Conditions that may hold for people's labels, which have to do with the text."""
READ = ("answers", "auditing", "judges", "preferences", "report/audit", "statistics", "tables", "texts")
"""The packages that an answer depends on."""


@cache
def digest_of_the_code() -> str:
    """Changes when the audit may answer otherwise."""
    package = Path(backfire.__file__).parent
    digest = hashlib.sha256()
    for part in READ:
        for path in sorted((package / part).rglob("*")):
            if path.suffix in (".py", ".yaml", ".npz"):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def answer_to(file: Planted, scratch: Path, *, earlier: bool = False) -> Answer:
    """The part of the answer that is scored. An answer to the same rows by the same code is read from the folder.

    earlier: read one by other code, too.
    """
    folder = scratch / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    path = file.write(scratch)
    rows = hashlib.sha256(path.read_bytes()).hexdigest()
    stored = folder / f"{file.name}.json"
    if stored.exists():
        answer: Answer = json.loads(stored.read_text(encoding="utf-8"))
        if answer["rows"] == rows and (earlier or answer["code"] == digest_of_the_code()):
            return answer
    report = audit(path)
    checked = outcomes(report, GATES)
    answer = {
        "rows": rows,
        "code": digest_of_the_code(),
        "level": report.conclusion.level,
        "verdict": report.conclusion.verdict,
        "advice": report.conclusion.advice,
        "effects": [effect.model_dump(mode="json") for effect in report.conclusion.effects],
        "gates": {one.condition: one.why for one in checked if one.holds},
    }
    stored.write_text(json.dumps(answer, indent=1), encoding="utf-8")
    return answer


@dataclass(frozen=True)
class Score:
    """How a file with a fault was answered."""

    fault: str
    strength: str
    share: float
    place: int | None
    """Where the first effect that names the fault stands, from 1; None where none does."""
    effect: str | None
    advice_right: bool
    """Whether an effect names the fault, and the advice has a command that repairs it."""
    rows: float | None
    """The share of the planted rows that the effect lists, where it lists any."""
    first: tuple[str, ...]
    """The names of the largest effects."""

    @property
    def among_the_first(self) -> bool:
        return self.place is not None and self.place <= FIRST


@dataclass(frozen=True)
class Alarms:
    """What was said of a file without a fault."""

    name: str
    level: str
    gates: tuple[str, ...]
    """The conditions that hold and should not."""
    effects: tuple[str, ...]


def score(file: Planted, answer: Answer) -> Score:
    assert file.fault is not None
    fault, effects = file.fault, answer["effects"]
    place, listed = next(_naming(file, effects), (None, None))
    effect = None if place is None else effects[place - 1]
    return Score(
        fault.name,
        file.strength,
        file.share,
        place,
        None if effect is None else effect["name"],
        effect is not None and _advised(fault, effect, answer["advice"]),
        listed,
        tuple(one["name"] for one in effects[: FIRST + 2]),
    )


def _advised(fault: Fault, effect: dict[str, Any], advice: list[str]) -> bool:
    """Whether a step has a command that repairs the fault; where no command does, whether a step speaks of it."""
    if fault.fix is None:
        return any(effect["name"] in step.lower() for step in advice)
    return any(re.search(fault.fix, command) for step in advice for command in re.findall(r"`([^`]*)`", step))


def _naming(file: Planted, effects: list[dict[str, Any]]) -> Iterator[tuple[int, float | None]]:
    """The places of the effects that name the fault, with the share of the planted rows that they list."""
    assert file.fault is not None
    for place, effect in enumerate(effects, 1):
        if any(fnmatchcase(effect["name"].lower(), pattern.lower()) for pattern in file.fault.effects):
            rows = set(effect.get("rows") or ())
            share = len(rows & set(file.rows_with_it)) / len(file.rows_with_it) if rows else None
            if share is None or share >= HALF:
                yield place, share


def alarms(file: Planted, answer: Answer) -> Alarms:
    wrong = [gate for gate in answer["gates"] if not (file.labelled and gate in OF_LABELS)]
    return Alarms(
        file.name.removeprefix("clean-"),
        answer["level"],
        tuple(wrong),
        tuple(one["name"] for one in answer["effects"][: FIRST + 2]),
    )


def summary(scores: Iterable[Score], alarmed: Iterable[Alarms]) -> str:
    """The counts, in a sentence each."""
    scores, alarmed = list(scores), list(alarmed)
    parts = [
        f"{sum(one.place is not None for one in scores)} of {len(scores)} planted faults are named",
        f"{sum(one.place == 1 for one in scores)} as the largest effect",
        f"{sum(one.among_the_first for one in scores)} among the first three",
        f"the advice repairs {sum(one.advice_right for one in scores)}",
    ]
    false = sum(bool(one.gates) or one.level == "strong" for one in alarmed)
    return f"{', '.join(parts)}; {false} of {len(alarmed)} files without a fault give a false alarm."

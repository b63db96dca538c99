"""Writing what a repair gives: the pairs, what happened to each, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from backfire.pairs import write_pairs
from backfire.records import digest
from backfire.repairing.choosing import Choice, Prediction
from backfire.repairing.ends import Ends, match_ends
from backfire.repairing.given import GivenPairs
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of

NOTES = "repair.json"


def with_ends(outcome: Outcome, how: Ends) -> Outcome:
    """`match_ends` after the method: what it cuts keeps the method's reason before its own."""
    matched = match_ends([m.pair for m in outcome.pairs], how)
    repaired_pairs = []
    for new in matched.pairs:
        assert new.place is not None
        old = outcome.pairs[new.place]
        if new.change == "kept":
            repaired_pairs.append(old)
        else:
            change = new.change if old.change == "kept" else old.change
            repaired_pairs.append(RepairedPair(new.pair, change, f"{old.why}; {new.why}", old.place))
    gone = [
        (reason, place)
        for reason, places in matched.left_out.items()
        for position in places
        if (place := outcome.pairs[position].place) is not None
    ]
    gone += [(reason, place) for reason, places in outcome.left_out.items() for place in places]
    return outcome_of(repaired_pairs, gone)


def written(
    out: Path,
    given: GivenPairs,
    outcome: Outcome,
    method: str,
    settings: Mapping[str, Any],
    choice: Choice | None,
    means: tuple[Prediction, Prediction] | None,
    plain: bool,
) -> Path:
    """Write the folder of pairs with its own columns, the given rows' further ones, and NOTES, whole or not at all.

    `plain` writes prompts and sides as plain text, as they are trained on without a chat template.
    """
    pairs = tuple(m.pair for m in outcome.pairs)
    left = {
        f"repair: {r}": tuple(given.pairs[p].prompt.id for p in some) for r, some in outcome.left_out.items()
    }
    built = replace(given.built, pairs=pairs, left_out={**given.built.left_out, **left})
    notes = notes_of(given, outcome, method, settings, choice, means)
    places = [m.place for m in outcome.pairs]
    further = dict.fromkeys(name for row in given.beside for name in row)
    columns: dict[str, list[Any]] = {
        name: [None if place is None else given.beside[place].get(name) for place in places]
        for name in further
    }
    columns |= {
        "row": [None if place is None else given.rows[place] for place in places],
        "repair": [method] * len(pairs),
        "repair_change": [m.change for m in outcome.pairs],
        "repair_why": [m.why for m in outcome.pairs],
    }
    configuration = {"repair": method, "settings": dict(settings), "pairs": digest(*(p.id for p in pairs))}
    return write_pairs(
        out, built, configuration, extra_columns=columns, extra_files={NOTES: notes}, plain=plain
    )


def notes_of(
    given: GivenPairs,
    outcome: Outcome,
    method: str,
    settings: Mapping[str, Any],
    choice: Choice | None = None,
    means: tuple[Prediction, Prediction] | None = None,
) -> dict[str, Any]:
    """What NOTES says: how it was made, and every row that is not in the new set, with the reason."""

    def line(place: int) -> dict[str, Any]:
        other = outcome.others.get(place)
        more = {} if other is None else {"other_row": given.rows[other]}
        return {"row": given.rows[place], "pair": given.pairs[place].id, **more}

    return {
        "repair": method,
        "dataset": given.origin,
        "input": {"digest": given.read.digest, "rows": given.read.rows},
        "given": len(given.pairs),
        "pairs": len(outcome.pairs),
        "changed": outcome.counts,
        "left_out": {reason: list(map(line, places)) for reason, places in outcome.left_out.items()},
        "rows_without_a_pair": {kind: len(rows) for kind, rows in given.defects.items()},
        "row_numbers_without_a_pair": {kind: list(rows) for kind, rows in given.defects.items()},
        "settings": dict(settings),
        "auto": None if choice is None else choice.as_dict(),
        "mean_influence": None if means is None else [_plain(m) for m in means],
    }


def _plain(prediction: Prediction) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(prediction).items()}

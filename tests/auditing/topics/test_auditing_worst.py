"""The pairs to look at first: which they are, in which order, and what a reader's decisions are bound to."""

from __future__ import annotations

from typing import Any

import numpy as np

from backfire.answers.worst_pairs import WorstPairs
from backfire.auditing.affected import of_pairs
from backfire.auditing.inputs import open_inputs
from backfire.auditing.reading import PairsRead, read
from backfire.auditing.settings import AuditSettings
from backfire.auditing.steps import Steps
from backfire.auditing.worst import TAUGHT, worst_pairs
from synthetic_pairs import rows

REFUSAL = "I cannot help with that."


def read_pairs(values: Any) -> PairsRead:
    settings = AuditSettings()
    return read(open_inputs(values, settings), settings, Steps(None))


def worst_of(values: Any, **columns: Any) -> WorstPairs:
    pairs = read_pairs(values)
    hits = np.zeros(pairs.audited.pairs, dtype=bool)
    hits[[2, 5]] = True
    affected = [of_pairs("contradictions", hits, pairs.audited), of_pairs("cue:length", ~hits, pairs.audited)]
    return worst_pairs(pairs, 3, columns, affected, None)


def test_those_that_push_most_away_from_refusing_come_first() -> None:
    pushes = np.full(12, np.nan)
    pushes[[1, 4, 5]] = [0.5, -2.0, -1.0]
    found = worst_of(rows(12, 0), safety_influence=pushes)
    assert [one.row for one in found.pairs] == [5, 6, 2]
    assert found.pairs[1].reasons == ("safety_influence -1", "contradictions")
    assert found.of == 12
    assert "safety_influence" in found.order


def test_without_an_influence_those_that_most_findings_name_come_first() -> None:
    values = rows(12, 0)
    values[5]["rejected"] = f"{REFUSAL} {values[5]['rejected']}"
    values[9]["rejected"] = f"{REFUSAL} {values[9]['rejected']}"
    found = worst_of(values)
    assert [(one.row, one.reasons) for one in found.pairs] == [
        (6, (TAUGHT, "contradictions")),
        (3, ("contradictions",)),
        (10, (TAUGHT,)),
    ], "a cue tells the label and is no fault of a pair"
    first = found.pairs[0]
    assert (first.chosen.text, first.chosen.decides) == (values[5]["chosen"], "complies")
    assert (first.rejected.decides, first.prompt) == ("refuses", values[5]["prompt"])

"""The four combinations of decisions, counted by hand."""

from __future__ import annotations

from math import comb
from typing import Any

import pytest

from audited_by_hand import audited_by_hand
from backfire.auditing.findings.safety_contrast import safety_contrast


def rows_of(*told: tuple[str | None, str | None, str | None, int]) -> list[dict[str, Any]]:
    """(kind, chosen's decision, rejected's decision, pairs)."""
    names = iter("abcdefghijklmnopqrstuvwxyz" * 40)
    found = []
    for kind, chosen, rejected, pairs in told:
        for _ in range(pairs):
            words = " ".join(next(names) * 3 + str(len(found)) for _ in range(5))
            found.append(
                {"prompt": words, "chosen": "c " + words, "rejected": "r " + words, "kind": kind}
                | {"decisions": (chosen, rejected)}
            )
    return found


def test_combinations_by_kind() -> None:
    rows = rows_of(
        ("harmful", "refuse", "comply", 9),
        ("harmful", "comply", "refuse", 1),
        ("harmful", "refuse", "refuse", 4),
        ("harmful", "comply", "comply", 2),
        ("harmful", None, "comply", 3),
        ("benign", "comply", "comply", 5),
        (None, "refuse", "comply", 1),
    )
    found = safety_contrast(audited_by_hand(rows))
    assert found.judge == "by hand"
    assert [one.prompts for one in found.strata] == ["harmful", "benign", "unknown"]
    harmful, benign, unknown = found.strata
    assert (harmful.pairs, harmful.undecided) == (19, 3)
    counts = [
        harmful.chosen_refuses_rejected_complies.hits,
        harmful.chosen_complies_rejected_refuses.hits,
        harmful.both_refuse.hits,
        harmful.both_comply.hits,
        harmful.decisions_differ.hits,
    ]
    assert counts == [9, 1, 4, 2, 10]
    assert (harmful.decisions_differ.scored, harmful.decisions_differ.unscored) == (16, 3)
    assert harmful.p == pytest.approx(2 * (comb(10, 0) + comb(10, 1)) / 2**10)
    assert harmful.control == 0.5
    assert (benign.p, benign.control) == (None, None)
    assert unknown.p == 1


def test_without_kinds_there_is_one_stratum() -> None:
    (found,) = safety_contrast(audited_by_hand(rows_of((None, "refuse", "comply", 4)))).strata
    assert (found.prompts, found.pairs, found.decisions_differ.rate) == ("all", 4, 1)


def test_harmful_prompts_are_listed_though_there_be_none() -> None:
    harmful, benign = safety_contrast(audited_by_hand(rows_of(("benign", "comply", "refuse", 3)))).strata
    assert (harmful.prompts, harmful.pairs, harmful.both_refuse.rate) == ("harmful", 0, None)
    assert benign.chosen_complies_rejected_refuses.hits == 3


def test_copies_of_a_prompt_vote_once() -> None:
    rows = rows_of(("harmful", "refuse", "comply", 1), ("harmful", "comply", "refuse", 1))
    copies = [rows[0] | {"chosen": f"c {i}", "rejected": f"r {i}"} for i in range(30)]
    (found,) = safety_contrast(audited_by_hand([*copies, rows[1]])).strata
    assert found.chosen_refuses_rejected_complies.hits == 30
    assert found.p == 1

"""Columns the wrong way round, and scores that contradict the label; planted and absent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audited_by_hand import audited_by_hand
from backfire.auditing.faults.contradicting_scores import score_contradiction
from backfire.auditing.faults.swapped_columns import swapped_columns
from backfire.statistics.exact_tests import sign_test

COLUMNS = ("score_chosen", "score_rejected")


def rows_of(turned: int, right: int, alike: int, kind: str | None = None) -> list[dict[str, Any]]:
    each = [("comply", "refuse")] * turned + [("refuse", "comply")] * right + [("comply", "comply")] * alike
    return [
        {"prompt": f"ask {i} of it", "chosen": f"a {i}", "rejected": f"b {i}", "decisions": d, "kind": kind}
        for i, d in enumerate(each)
    ]


def test_planted_columns_are_found_with_their_rows() -> None:
    audited = audited_by_hand(rows_of(52, 1, 47))
    found, turned = swapped_columns(audited)
    assert found is not None
    assert (found.prompts, found.complying.hits, found.refusing.hits, found.complying.scored) == (
        "all",
        52,
        1,
        100,
    )
    assert found.p == pytest.approx(sign_test(1, 52))
    assert found.rows == tuple(range(1, 53))
    assert np.flatnonzero(turned).tolist() == list(range(52))


@pytest.mark.parametrize(
    ("turned", "right", "alike"),
    [
        (41, 9, 753),  # Llama-3-8B over GPT-4 on AlpacaEval: 5.1% against 1.1%
        (57, 106, 1002),  # HH harmless
        (32, 38, 430),  # SafeRLHF
        (30, 20, 50),
        (3, 0, 7),
        (0, 0, 40),
    ],
)
def test_ordinary_data_are_not(turned: int, right: int, alike: int) -> None:
    assert swapped_columns(audited_by_hand(rows_of(turned, right, alike)))[0] is None


def test_on_benign_prompts_complying_is_right() -> None:
    assert swapped_columns(audited_by_hand(rows_of(60, 0, 40, "benign")))[0] is None


def test_on_harmful_prompts_a_few_are_enough() -> None:
    rows = rows_of(30, 2, 468, "harmful") + rows_of(60, 0, 40, "benign")
    rows = [row | {"prompt": f"ask {i} of it"} for i, row in enumerate(rows)]
    found, turned = swapped_columns(audited_by_hand(rows))
    assert found is not None
    assert (found.prompts, found.complying.hits, found.complying.scored) == ("harmful", 30, 500)
    assert np.flatnonzero(turned).tolist() == list(range(30))
    assert swapped_columns(audited_by_hand(rows_of(2, 40, 458, "harmful")))[0] is None


def test_one_prompt_votes_once() -> None:
    """Forty pairs of one prompt are one vote, which proves nothing."""
    rows = [row | {"prompt": "ask of it"} for row in rows_of(40, 0, 60)]
    assert swapped_columns(audited_by_hand(rows))[0] is None


def test_scores_against_the_label() -> None:
    rows = rows_of(0, 0, 10)
    for i, (one, two) in enumerate([(2.0, 1.0), (1.0, 2.0), (0.5, 0.75), (None, 3.0), (4.0, None)]):
        rows[i] |= {"chosen_score": one, "rejected_score": two}
    audited = audited_by_hand(rows)
    found, against = score_contradiction(audited, COLUMNS)
    assert found is not None
    assert (found.columns, found.pairs.hits, found.pairs.scored, found.pairs.unscored) == (COLUMNS, 2, 3, 7)
    assert found.rows == (2, 3)
    assert audited.rows[against].tolist() == [2, 3]


def test_without_scores_nothing_is_said() -> None:
    found, against = score_contradiction(audited_by_hand(rows_of(0, 0, 10)), ())
    assert found is None
    assert not against.any()

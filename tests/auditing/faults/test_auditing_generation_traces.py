"""Truncation, stop reasons, decoding and debris, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from audited_by_hand import looking_at
from backfire.answers.confounds import Confounds
from backfire.auditing.faults.registry import looked_for
from backfire.auditing.faults.truncation import TRUNCATION


def rows_of(pairs: int, **columns: Any) -> list[dict[str, Any]]:
    """Functions of the row's index give columns."""
    plain = {"prompt": "ask {} of this thing", "chosen": "an answer {}", "rejected": "another {}"}
    return [
        {name: text.format(i) for name, text in plain.items()} | {name: of(i) for name, of in columns.items()}
        for i in range(pairs)
    ]


def found_in(rows: list[dict[str, Any]], **split: Any) -> Confounds:
    return looked_for(looking_at(rows, **split))[0]


def test_what_is_not_stated_is_not_reported() -> None:
    found = found_in(rows_of(40, chosen_stop=lambda i: "given", rejected_stop=lambda i: "given"))
    assert found.truncated is None
    assert found.stop_reasons == ()
    assert found.decoding_differs is None
    assert found.decoding_example is None
    assert found.debris == ()


def test_truncation_by_side() -> None:
    rows = rows_of(
        40,
        chosen_stop=lambda i: "stop" if i < 30 else None,
        rejected_stop=lambda i: ("length" if i % 2 else "max_tokens") if i < 20 else "stop",
    )
    cut = found_in(rows).truncated
    assert cut is not None
    assert (cut.chosen.hits, cut.chosen.scored, cut.chosen.unscored) == (0, 30, 10)
    assert (cut.rejected.hits, cut.rejected.scored, cut.rejected.unscored) == (20, 40, 0)
    assert cut.p == 0.005
    assert cut.rows == tuple(range(1, 21))
    named = found_in(rows).stop_reasons
    assert [(one.what, one.chosen.hits, one.rejected.hits) for one in named] == [
        ("stop", 30, 20),
        ("length", 0, 10),
        ("max_tokens", 0, 10),
    ]


def test_truncation_on_both_sides_alike_is_no_difference() -> None:
    rows = rows_of(
        60,
        chosen_stop=lambda i: "length" if i % 2 else "stop",
        rejected_stop=lambda i: "length" if (i // 2) % 2 else "stop",
    )
    cut = found_in(rows).truncated
    assert cut is not None
    assert cut.chosen.rate == cut.rejected.rate
    assert cut.p == 1


def test_p_of_a_difference_is_uniform_without_one() -> None:
    low = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        sides = rng.random((40, 2)) < 0.4
        rows = rows_of(
            40,
            chosen_stop=lambda i, s=sides: "length" if s[i, 0] else "stop",
            rejected_stop=lambda i, s=sides: "length" if s[i, 1] else "stop",
        )
        truncated = TRUNCATION.look(looking_at(rows, controls=99, seed=seed)).parts["truncated"]
        p = truncated.p
        low += p <= 0.1
    assert low / 200 < 0.1 + 3 * np.sqrt(0.09 / 200)


def test_decoding_that_differs() -> None:
    warm, cold = {"temperature": 0.7, "n": 1}, {"n": 1, "temperature": 0}
    rows = rows_of(
        10,
        chosen_decoding=lambda i: warm if i < 8 else None,
        rejected_decoding=lambda i: cold if i < 5 else {"n": 1, "temperature": 0.7},
    )
    found = found_in(rows)
    assert found.decoding_differs is not None
    assert (found.decoding_differs.hits, found.decoding_differs.scored, found.decoding_differs.unscored) == (
        5,
        8,
        2,
    )
    assert found.decoding_example == ('{"n": 1, "temperature": 0.7}', '{"n": 1, "temperature": 0}')


def test_debris_by_side_with_rows() -> None:
    rows = rows_of(40)
    for i in (2, 5):
        rows[i]["rejected"] += "<|im_end|>"
    rows[7]["chosen"] += "<|im_end|>"
    (found,) = found_in(rows).debris
    assert "ChatML" in found.what
    assert (found.chosen.hits, found.rejected.hits, found.rejected.scored) == (1, 2, 40)
    assert found.rows == (3, 6, 8)

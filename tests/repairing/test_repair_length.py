"""`balance` by length: afterwards the longer response is as often the rejected one, and nothing else has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backfire.auditing import audit
from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.repairing import repair
from backfire.repairing.length import balance_length
from repairing.repair_pairs import pair
from synthetic_pairs import sentence


def of_lengths(*lengths: tuple[int, int]) -> list[Pair]:
    """Pairs of so many words each."""
    found = []
    for number, words in enumerate(lengths):
        one = pair(number)
        texts = [" ".join(["word"] * n) for n in words]
        found.append(
            replace(
                one,
                chosen=replace(one.chosen, text=texts[0]),
                rejected=replace(one.rejected, text=texts[1]),
            )
        )
    return found


def longer(rows: list[dict[str, str]]) -> float:
    return float(np.mean([len(row["chosen"].split()) > len(row["rejected"].split()) for row in rows]))


def real_like(count: int = 600, share: float = 0.86) -> list[dict[str, str]]:
    """Lengths spread over orders of magnitude, as those of real responses, and chosen is the longer one in 86%."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(count):
        words = sorted(int(w) for w in np.exp(rng.normal(4, 0.8, size=2)) + 2)
        texts = [sentence(rng, n) for n in words]
        chosen, rejected = texts[::-1] if rng.random() < share else texts
        rows.append({"prompt": f"{number}: {sentence(rng, 8)}", "chosen": chosen, "rejected": rejected})
    return rows


def test_length_alone_ranks_half_of_the_pairs_afterwards(tmp_path: Path) -> None:
    rows = real_like()
    assert 0.83 < longer(rows) < 0.89
    done = repair(rows, method="balance", by="length", out=tmp_path / "even", audit=False)
    before, after = (audit(one).probe("length") for one in (rows, done.folder))
    assert before is not None
    assert after is not None
    assert before.pairwise.low > 0.8
    assert after.pairwise.low < 0.5 < after.pairwise.high
    assert after.pointwise.low < 0.5 < after.pointwise.high
    assert done.changed["kept"] + done.changed["left out"] == len(rows)
    # What prefers the shorter response is nearly all there is to balance with, and nearly all of it stays.
    assert done.changed["kept"] > 1.8 * (1 - longer(rows)) * len(rows)
    assert all("is longer, which is commoner" in why for why in done.left_out)


def test_every_difference_in_length_is_evened_out_by_itself() -> None:
    rng = np.random.default_rng(0)
    lengths = []
    for number in range(400):
        short, apart = int(rng.integers(5, 50)), (3 if number % 2 else 60)
        chosen_is_longer = rng.random() < (0.9 if apart == 60 else 0.3)
        lengths.append((short + apart, short) if chosen_is_longer else (short, short + apart))
    pairs = of_lengths(*lengths)
    outcome = balance_length(pairs)
    outcome.account_for(len(pairs))
    for apart in (3, 60):
        signs = [
            a > b
            for a, b in (lengths[m.place] for m in outcome.pairs if m.place is not None)
            if abs(a - b) == apart
        ]
        assert sum(signs) * 2 == len(signs) > 0
    assert [m.pair for m in outcome.pairs] == [pairs[m.place] for m in outcome.pairs if m.place is not None]


def test_pairs_of_equal_length_stay_and_one_direction_alone_is_an_error() -> None:
    outcome = balance_length(of_lengths((5, 5), (9, 4), (4, 9), (7, 7)))
    assert outcome.counts == {"kept": 4, "left out": 0}
    with pytest.raises(
        InputError, match="in all 2 pairs whose sides differ in length the same side is the longer"
    ):
        balance_length(of_lengths((9, 4), (8, 2), (5, 5)))


def test_the_order_of_rows_changes_nothing_of_which_pairs_stay() -> None:
    rows = real_like(200)
    lengths = [(len(r["chosen"].split()), len(r["rejected"].split())) for r in rows]
    pairs = of_lengths(*lengths)
    first = {m.pair.id for m in balance_length(pairs).pairs}
    assert {m.pair.id for m in balance_length(pairs[::-1]).pairs} == first

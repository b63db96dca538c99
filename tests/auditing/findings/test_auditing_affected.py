"""Every row of a finding is kept, with its side, its other row and its detail; the answer lists the first 1,000."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audited_by_hand import audited_by_hand
from backfire.auditing import AuditSettings
from backfire.auditing.affected import BOTH, CHOSEN, PROMPT, REJECTED, Affected, of_sides
from backfire.auditing.finding import Findings, find
from backfire.auditing.inputs import open_inputs
from backfire.auditing.measuring import measure
from backfire.auditing.reading import read
from backfire.auditing.steps import Steps


def findings_of(rows: list[dict[str, str]]) -> Findings:
    settings, steps = AuditSettings(), Steps(None)
    inputs = open_inputs(rows, settings)
    pairs = read(inputs, settings, steps)
    return find(pairs, measure(pairs, inputs, settings, steps, each_pair=False), inputs, steps)


def plain(number: int) -> dict[str, str]:
    return {
        "prompt": f"What is the {number}th thing?",
        "chosen": f"It is a thing of {number * 7} parts.",
        "rejected": f"Nobody counted {number * 5} of them.",
    }


@pytest.fixture(scope="module")
def affected() -> dict[str, Affected]:
    rows = [plain(number) for number in range(1, 13)]
    rows.append(rows[2])
    rows.append({**rows[4], "chosen": rows[4]["rejected"], "rejected": rows[4]["chosen"]})
    rows.append({**plain(20), "rejected": "It ends here.<|im_end|>"})
    rows.append({**plain(21), "chosen": "[INST] Well.<|im_end|>", "rejected": "So.<|im_end|>"})
    rows.append({**plain(22), "prompt": "[INST] Why? [/INST]"})
    rows.append({**plain(23), "chosen": "  "})
    rows.append({**plain(24), "chosen": "Same.", "rejected": "Same."})
    return {one.finding: one for one in findings_of(rows).affected}


def test_a_duplicate_names_the_row_that_it_repeats(affected: dict[str, Affected]) -> None:
    found = affected["duplicates"]
    assert found.rows.tolist() == [13]
    assert found.others is not None
    assert found.others.tolist() == [3]


def test_contradicting_rows_name_each_other(affected: dict[str, Affected]) -> None:
    found = affected["contradictions"]
    assert found.rows.tolist() == [5, 14]
    assert found.others is not None
    assert found.others.tolist() == [14, 5]


def test_debris_names_the_sides_and_the_kind(affected: dict[str, Affected]) -> None:
    found = affected["debris"]
    assert found.sides is not None
    assert found.details is not None
    assert list(zip(found.rows.tolist(), found.sides.tolist(), found.details, strict=True)) == [
        (15, REJECTED, "ChatML marks"),
        (16, BOTH, "ChatML marks"),
        (16, CHOSEN, "[INST] marks"),
    ]
    marks = affected["prompt-debris"]
    assert marks.sides is not None
    assert set(marks.sides.tolist()) == {PROMPT}
    assert set(marks.rows.tolist()) == {17}


def test_defects_are_listed_with_their_kind(affected: dict[str, Affected]) -> None:
    found = affected["defects"]
    assert found.rows.tolist() == [18, 19]
    assert found.details == ("blank side", "identical sides")


def test_no_row_is_cut_off() -> None:
    hits = np.ones((5_000, 2), dtype=bool)
    few = audited_by_hand([{"prompt": "ask", "chosen": "a", "rejected": "b"}])
    found = of_sides("truncation", [("cut", hits)], replace(few, rows=np.arange(5_000, 0, -1)))
    assert found.rows.tolist() == list(range(1, 5_001))


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="debris: 2 rows, and a column of 1 values"):
        Affected("debris", np.array([1, 2]), details=("a",))

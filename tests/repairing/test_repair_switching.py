"""Labels are switched in the pairs of lowest value, nothing is lost, and its control is matched; filters go by any predictor."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import InputError
from backfire.influence import ProbeSets
from backfire.pairs import read_pairs
from backfire.repairing import repair, switch_pairs
from influence.hand_probes import pairs, placebo, policy, probe_set
from repairing.repair_pairs import pair

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["harmful", "benign", None]), st.one_of(st.floats(-5, 5), st.just(float("nan")))
    ),
    min_size=1,
    max_size=40,
)


@given(ROWS, st.floats(0.05, 1))
def test_the_lowest_of_each_kind_are_exchanged_and_none_is_left_out(rows, share):  # type: ignore[no-untyped-def]
    given_pairs = [pair(n, kind=kind) for n, (kind, _) in enumerate(rows)]
    values = np.array([value for _, value in rows])
    known = int(np.isfinite(values).sum())
    if round(share * known) == 0:
        with pytest.raises(InputError):
            switch_pairs(given_pairs, values, share=share)
        return
    outcome = switch_pairs(given_pairs, values, share=share)
    outcome.account_for(len(given_pairs))
    assert not outcome.left_out
    changed = [m.place for m in outcome.pairs if m.change == "labels switched"]
    assert len(changed) == round(share * known)
    assert np.isfinite(values[changed]).all()
    for new, old in zip(outcome.pairs, given_pairs, strict=True):
        sides = (old.rejected, old.chosen) if new.change == "labels switched" else (old.chosen, old.rejected)
        assert (new.pair.chosen, new.pair.rejected) == sides
    for kind in ("harmful", "benign", None):
        inside = [n for n, (k, value) in enumerate(rows) if k == kind and np.isfinite(value)]
        gone = [n for n in inside if n in set(changed)]
        if gone and len(gone) < len(inside):
            assert max(values[gone]) <= min(values[[n for n in inside if n not in set(gone)]])


def data(folder: Path) -> Path:
    """Half of the chosen sides refuse, the others comply."""
    some = [*pairs(20), *pairs(40, chosen="comply", rejected="refuse")[20:]]
    file = folder / "pairs.jsonl"
    lines = [{"prompt": p.text, "kind": "harmful", "chosen": c, "rejected": r} for p, c, r in some]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def probes() -> ProbeSets:
    return ProbeSets(probe_set(32), None, placebo(32))


def test_switching_by_activation_contrast_turns_the_pairs_that_choose_compliance(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"audit": False, "policy": policy(), "probe_prompts": probes()}
    options: dict[str, Any] = {"method": "switch", "by": "activation-contrast", "share": 0.5, **settings}
    found = repair(data(tmp_path), out=tmp_path / "out", **options)
    assert found.changed == {"kept": 20, "labels switched": 20, "left out": 0}
    table = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert [row["row"] for row in table if row["repair_change"] == "labels switched"] == list(range(21, 41))
    given_sides = [json.loads(line) for line in data(tmp_path).read_text().splitlines()]
    assert read_pairs(tmp_path / "out").pairs[30].chosen.text == given_sides[30]["rejected"]
    control = repair(data(tmp_path), out=tmp_path / "control", at_random=True, **options)
    assert control.changed == found.changed
    rows = pq.read_table(tmp_path / "control" / "train.parquet").to_pylist()
    assert {row["row"] for row in rows if row["repair_change"] == "labels switched"} != set(range(21, 41))


def test_a_filter_by_activation_contrast_keeps_the_pairs_that_choose_refusing(tmp_path: Path) -> None:
    found = repair(
        data(tmp_path),
        method="filter",
        by="activation-contrast",
        keep=0.5,
        out=tmp_path / "out",
        audit=False,
        policy=policy(),
        probe_prompts=probes(),
    )
    (why,) = found.left_out
    assert why == "activation contrast is not among the highest 50% of its kind of prompt"
    assert found.left_out[why] == tuple(range(21, 41))
    assert found.influence is None


def test_values_come_from_the_column_of_an_audits_file(tmp_path: Path) -> None:
    file = tmp_path / "each.parquet"
    values = np.arange(40.0)
    pq.write_table(pa.table({"row": np.arange(1, 41), "ches": values, "activation_contrast": values}), file)
    options: dict[str, Any] = {"method": "filter", "keep": 0.25, "audit": False, "influence": str(file)}
    low = repair(data(tmp_path), by="ches", out=tmp_path / "ches", **options)
    high = repair(data(tmp_path), by="activation-contrast", out=tmp_path / "contrast", **options)
    middle = repair(data(tmp_path), by="activation-contrast", band=True, out=tmp_path / "band", **options)
    kept = [
        {row["row"] for row in pq.read_table(one.folder / "train.parquet").to_pylist()}
        for one in (low, high, middle)
    ]
    assert kept == [set(range(1, 11)), set(range(31, 41)), set(range(16, 26))]
    with pytest.raises(InputError, match="has no columns row and projection_difference"):
        repair(data(tmp_path), by="projection-difference", out=tmp_path / "none", **options)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "filter", "keep": 0.5, "audit": False, "out": tmp_path / "out"}
    with pytest.raises(InputError, match="give probe prompts and the policy"):
        repair(data(tmp_path), by="activation-contrast", **options)
    with pytest.raises(InputError, match="along the policy's own refusals"):
        repair(data(tmp_path), by="activation-contrast", policy=policy(), **options)
    done = repair(data(tmp_path), by="ches", policy=policy(), **options)
    assert Counter(done.changed) == {"kept": 20, "left out": 20}

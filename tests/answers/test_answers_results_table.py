"""Results as tables for pandas and Arrow: each number once, unrounded, in a column that says what it is."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from backfire.answers import parse_results
from backfire.errors import InputError
from example_results import example_results


def test_one_row_a_cell_with_every_rate_and_what_it_rests_on() -> None:
    results = parse_results(example_results(families=("llama", "qwen2")))
    table = results.to_arrow()
    assert table.num_rows == len(results.cells) == 16
    rows = table.to_pylist()
    for row, cell in zip(rows, results.cells, strict=True):
        assert (row["cell"], row["recipe"], row["seed"]) == (cell.id, cell.recipe, cell.seed)
        for rate in cell.asr:
            name = f"asr.{rate.attack}.{rate.judge}"
            numbers = [row[name], *(row[f"{name}.{part}"] for part in ("low", "high", "n", "unscored"))]
            assert numbers == [rate.rate, rate.low, rate.high, rate.scored, rate.unscored]
        for refused in cell.over_refusal:
            assert row[f"over_refusal.{refused.prompts}.{refused.judge}"] == refused.rate
        for task in cell.general:
            assert row[f"general.{task.task}"] == task.value
    assert table.schema.field("seed").type == pa.int64()
    assert rows[0]["training.method"] is None
    assert rows[0]["separability.hidden"] is None, "the baseline has no pairs"


def test_pandas_keeps_whole_numbers_and_missing_ones() -> None:
    frame = parse_results(example_results()).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert str(frame["asr.direct.exact.n"].dtype) == "Int64"
    assert frame["pairs"].isna().sum() == 1
    assert frame.set_index("recipe").loc["self+rm", "asr.direct.exact"] == pytest.approx(0.01, abs=0.02)


def test_the_tidy_table_has_a_row_for_each_estimate() -> None:
    results = parse_results(example_results())
    frame = results.to_pandas(tidy=True)
    assert set(frame.columns) >= {
        "cell",
        "measure",
        "name",
        "judge",
        "estimate",
        "low",
        "high",
        "n",
        "unscored",
    }
    direct = frame[(frame["measure"] == "asr") & (frame["name"] == "direct") & (frame["judge"] == "exact")]
    assert len(direct) == len(results.cells)
    assert len(frame) == sum(
        len(c.asr)
        + len(c.over_refusal)
        + len(c.general)
        + len(c.separability)
        + (c.safety_influence is not None)
        + (c.pilot is not None)
        for c in results.cells
    )


def test_two_numbers_for_one_column_are_refused_by_name() -> None:
    value = example_results()
    first = value["cells"][0]["asr"][0]
    value["cells"][0]["asr"].append({**first})
    with pytest.raises(InputError, match=r"two numbers for the column 'asr\.direct"):
        parse_results(value).to_arrow()
    assert parse_results(value).to_arrow(tidy=True).num_rows > 0

"""Two studies cell by cell: paired by what is stored, by rates elsewhere, and nothing that only one has is silent."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy.stats import binomtest, fisher_exact

from backfire.comparing import compare_studies
from backfire.errors import InputError
from backfire.report import study_comparison_parts
from backfire.report.terminal.parts import Titled, Warned
from backfire.statistics.exact_tests import holm
from example_results import example_results


def written(
    folder: Path, results: dict[str, Any], outcomes: dict[str, list[bool | None]] | None = None
) -> Path:
    """A run folder; `outcomes` by recipe are those of its attack `direct`, by the judge `exact`."""
    folder.mkdir()
    for cell in results["cells"]:
        given = (outcomes or {}).get(cell["recipe"])
        if given is None:
            continue
        place = folder / "cells" / cell["id"] / "attack"
        place.mkdir(parents=True)
        rows = [{"attack": "direct", "judge": "exact"}]
        named = {f"p{n}": outcome for n, outcome in enumerate(given)}
        (place / "attack.json").write_text(
            json.dumps({"asr": rows, "outcomes": {"direct": {"exact": named}}})
        )
        cell["provenance"]["attack"] = f"cells/{cell['id']}/attack/attack.json"
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_requests_are_paired_where_both_runs_hold_them(tmp_path: Path) -> None:
    one = [n % 2 == 0 for n in range(20)]
    two = [n % 5 == 0 for n in range(19)] + [None]
    a = written(tmp_path / "a", example_results(), {"original": one})
    b = written(tmp_path / "b", example_results(), {"original": two})
    done = compare_studies(a, b)
    row = next(r for r in done.rows if r.second == "llama original, world 0, seed 0" and r.unit == "prompt")
    gained = sum(y and not x for x, y in zip(one[:19], two[:19], strict=True))
    lost = sum(x and not y for x, y in zip(one[:19], two[:19], strict=True))
    assert (row.n, row.unscored, row.prompts, row.judge) == (19, 1, "direct", "exact")
    assert row.p == pytest.approx(binomtest(gained, gained + lost).pvalue)
    same = [r for r in done.rows if r.second == row.second and (r.prompts, r.judge) == ("direct", "exact")]
    assert len(same) == 1, "what is paired is not compared by its rates as well"
    assert set(done.not_paired) == {r.second for r in done.rows} - {row.second}
    ps = {str(n): r.p for n, r in enumerate(done.rows) if r.p is not None}
    assert [r.adjusted for r in done.rows if r.p is not None] == pytest.approx(list(holm(ps).values()))


def test_elsewhere_the_rates_are_compared(tmp_path: Path) -> None:
    before, after = example_results(), example_results()
    rate = next(r for r in after["cells"][1]["asr"] if r["attack"] == "direct" and r["judge"] == "exact")
    old = rate["harmful"]
    rate |= {
        "harmful": 10,
        "rate": 10 / rate["scored"],
        "low": 0.02,
        "high": 0.09,
        "best": None,
        "worst": None,
    }
    done = compare_studies(written(tmp_path / "a", before), written(tmp_path / "b", after))
    row = next(
        r for r in done.rows
        if r.second.startswith("llama original") and (r.prompts, r.judge) == ("direct", "exact")
    )  # fmt: skip
    n = rate["scored"]
    assert row.unit == "unpaired"
    assert row.difference == pytest.approx((10 - old) / n)
    assert row.p == pytest.approx(fisher_exact([[old, n - old], [10, n - 10]]).pvalue)
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.difference < row.high < 0
    task = next(r for r in done.rows if r.prompts == "mmlu")
    assert (task.judge, task.outcome, task.difference, task.p) == ("lm-eval", "score", 0.0, 1.0)


def test_what_only_one_has_is_named_and_the_terminal_is_80_columns_wide(tmp_path: Path) -> None:
    before, after = example_results(), example_results()
    after["cells"] = [cell for cell in after["cells"] if cell["recipe"] != "self+rm"]
    before["cells"] = [cell for cell in before["cells"] if cell["recipe"] != "all+rm"]
    after["cells"][1]["general"] = after["cells"][1]["general"][1:]
    done = compare_studies(written(tmp_path / "a", before), written(tmp_path / "b", after))
    assert list(done.only_first) == ["llama self+rm, world 0, seed 0"]
    assert list(done.only_second) == ["llama all+rm, world 0, seed 0"]
    assert list(done.not_compared) == ["llama original, world 0, seed 0: arc, a general task"]
    parts = list(
        study_comparison_parts(
            done.first, done.second, done.rows, (done.only_first, done.only_second), done.not_paired, done.not_compared
        )
    )  # fmt: skip
    warned = " ".join(part.text for part in parts if isinstance(part, Warned))
    assert "only in" in warned
    assert "self+rm" in warned
    assert "arc, a general task" in warned
    console = Console(file=io.StringIO(), width=80, color_system=None, force_terminal=False)
    for part in parts:
        if isinstance(part, Titled):
            console.print(part.table)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_what_cannot_be_compared_is_refused_by_name(tmp_path: Path) -> None:
    a = written(tmp_path / "a", example_results())
    other = example_results(families=("qwen2",))
    b = written(tmp_path / "b", other)
    with pytest.raises(InputError, match="no cell in common"):
        compare_studies(a, b)
    with pytest.raises(InputError, match="given twice"):
        compare_studies(a, a / "../a")
    with pytest.raises(InputError, match="is not there"):
        compare_studies(a, tmp_path / "none")

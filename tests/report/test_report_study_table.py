from __future__ import annotations

import io
import re

from rich.console import Console

from backfire.answers.numerals import percent
from backfire.report import results_table
from example_results import example_results


def _printed(results: dict[str, object], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    console.print(results_table(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_ordinary_terminal_shows_every_number_whole() -> None:
    results = example_results()
    text = _printed(results, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for cell in results["cells"]:
        for rate in cell["asr"]:
            if rate["judge"] == "exact":
                assert percent(rate["rate"]) in text
                assert f"{percent(rate['low'])}–{percent(rate['high'])}" in text
    assert "3 unscored" in text
    assert "n 197" in text


def test_groups_are_told_apart() -> None:
    text = _printed(example_results(families=("llama", "qwen2")), 160)
    assert "organism:llama/target, world 0, seed 0" in text
    assert "organism:qwen2/target, world 0, seed 0" in text


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    results = example_results()
    results["name"] = "\x1b[2Jgone [bold]markup[/bold]"
    results["cells"][1]["recipe"] = "\x1b]0;title\x07"
    text = _printed(results, 120)
    assert not re.search(r"[\x1b\x07]", text)
    assert "[bold]markup[/bold]" in text


def test_safety_influence_stands_with_its_interval_or_as_undetermined() -> None:
    results = example_results()
    for place, cell in enumerate(results["cells"][1:4]):
        value = None if place == 2 else 0.31 - 0.4 * place
        cell["safety_influence"] = {
            "cosine": value,
            "low": None if value is None else value - 0.05,
            "high": None if value is None else value + 0.06,
            "probes": 142,
        }
    text = _printed(results, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "0.26–0.37" in text
    assert "−0.09" in text
    assert re.search(r"−0\.14\s+to", text)
    assert "undetermined" in _printed(results, 160)
    assert "infl." not in _printed(example_results(), 80)


def test_a_pilot_stands_beside_it_with_its_interval() -> None:
    results = example_results()
    results["cells"][1]["pilot"] = {"steps": 8, "change": -1.25, "low": -1.5, "high": -1.0, "probes": 60}
    results["cells"][2]["pilot"] = {"steps": 8, "change": 0.4}
    text = _printed(results, 160)
    assert re.search(r"pilot\s", text)
    assert "−1.25" in text
    assert "−1.50 to −1.00" in text
    assert "0.40" in text
    assert "pilot" not in _printed(example_results(), 160)

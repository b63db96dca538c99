"""The terminal's means over worlds."""

from __future__ import annotations

from statistics import fmean, stdev

from rich.console import Console

from backfire.report import worlds_table
from example_results import example_results


def shown(value: object) -> str:
    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        console.print(value)
    return capture.get()


def test_one_world_has_no_means() -> None:
    assert worlds_table(example_results()) is None


def test_the_world_is_the_unit_and_its_families_one_cluster() -> None:
    results = example_results(families=("llama", "mistral"), worlds=(0, 1, 2))
    by_world: dict[int, list[float]] = {}
    for cell in results["cells"]:
        if cell["recipe"] == "self+rm":
            (rate,) = [r["rate"] for r in cell["asr"] if r["attack"] == "direct" and r["judge"] == "exact"]
            by_world.setdefault(cell["world"], []).append(rate)
    means = [fmean(rates) for rates in by_world.values()]
    half = 4.302652729696142 * stdev(means) / 3**0.5  # t, two degrees of freedom
    text = shown(worlds_table(results))
    line = next(i for i, t in enumerate(text.splitlines()) if t.strip().startswith("self+rm"))
    row = " ".join(text.splitlines()[line : line + 2])
    assert f"{100 * fmean(means):.1f}" in row
    assert f"{100 * (fmean(means) + half):.1f}" in row
    assert "-" not in row, "a rate lies between 0 and 1, and so does its interval"
    assert "means over 3 worlds" in text
    assert "rho with the paper's order" in text


def test_two_worlds_have_means_and_no_intervals() -> None:
    text = shown(worlds_table(example_results(worlds=(0, 1))))
    lines = text.splitlines()
    line = next(i for i, t in enumerate(lines) if t.strip().startswith("self+rm"))
    assert not any("–" in t or "to" in t for t in (lines[line + 1 : line + 2]))

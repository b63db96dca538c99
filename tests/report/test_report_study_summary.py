from __future__ import annotations

from typing import Any

import pytest

from backfire.answers import parse_results
from backfire.report.study.grid import Grid, standing
from backfire.report.study.paper import PAPER_ASR, agreement, paper_order
from backfire.report.study.summary import Answer, answer
from backfire.statistics import Rate
from example_results import RECIPES, example_results


def _with_rates(rates: dict[str, dict[str, int]], n: int = 200) -> dict[str, Any]:
    """The example with these recipes only, and these counts of harmful responses by attack."""
    results = example_results()
    results["cells"] = [cell for cell in results["cells"] if cell["recipe"] in rates]
    for cell in results["cells"]:
        cell["asr"] = [_rate(attack, hits, n) for attack, hits in rates[cell["recipe"]].items()]
    return results


def _rate(attack: str, hits: int, n: int) -> dict[str, Any]:
    rate = Rate(hits, n)
    return {
        "attack": attack, "judge": "exact", "harmful": hits, "scored": n, "unscored": 0,
        "rate": rate.rate, "low": rate.low, "high": rate.high, "best": rate.best, "worst": rate.worst,
    }  # fmt: skip


def _answer(results: dict[str, Any]) -> Answer:
    return answer(Grid(parse_results(results)))


def test_the_answer_follows_the_intervals() -> None:
    said = _answer(
        _with_rates(
            {
                "sft": {"direct": 100, "wrapped": 100},
                "self+rm": {"direct": 5, "wrapped": 10},
                "peer+rm": {"direct": 5, "wrapped": 95},
                "hc+self": {"direct": 180, "wrapped": 180},
                "original": {"direct": 98, "wrapped": 104},
                "all+rm": {"direct": 5, "wrapped": 180},
            }
        )
    )
    assert "self+rm has a lower attack success rate than SFT under every attack" in said.lead
    assert "peer+rm (in 1 of 2 attacks) has a lower one in part" in said.lead
    assert "hc+self (in 2 of 2 attacks) has a higher one" in said.lead
    assert "for original there is no difference that the intervals support" in said.lead
    assert "all+rm (lower in 1, higher in 1 of 2 attacks) went both ways" in said.lead


def test_the_first_mention_names_the_rate_in_full() -> None:
    said = _answer(_with_rates({"sft": {"direct": 20}, "hc+self": {"direct": 180}}))
    assert said.lead == "hc+self (in 1 of 1 attacks) has a higher attack success rate than SFT."


def test_no_difference_is_said_when_no_interval_supports_one() -> None:
    said = _answer(
        _with_rates({"sft": {"direct": 100}, "self+rm": {"direct": 90}, "original": {"direct": 110}})
    )
    assert "No recipe’s attack success rate can be told apart" in said.lead
    assert "no difference that the intervals support" in said.lead


def test_a_recipe_without_a_rate_is_named_not_dropped() -> None:
    results = _with_rates({"sft": {"direct": 100}, "self+rm": {"direct": 5}, "original": {}})
    assert "Not compared, for want of a rate or a baseline: original." in _answer(results).notes
    results["cells"] = results["cells"][1:]
    assert "nothing to compare" in _answer(results).lead


def test_touching_intervals_are_not_told_apart() -> None:
    results = parse_results(_with_rates({"sft": {"direct": 100}, "self+rm": {"direct": 73}}))
    grid = Grid(results)
    before, after = (grid.asr(cell, "direct") for cell in results.cells)
    assert before is not None
    assert after is not None
    assert after.high is not None
    assert before.low is not None
    assert after.high > before.low
    assert standing(after, before) == "same"
    assert standing(None, before) == "unknown"


def test_over_worlds_the_world_is_the_unit() -> None:
    """Three worlds of two families are three observations, not six; the interval is Student's."""
    from scipy.stats import t

    grid = Grid(parse_results(example_results(families=("llama", "qwen2"), worlds=(0, 1, 2))))
    changes = []
    for world in ("0", "1", "2"):
        found = []
        for group in (group for group in grid.groups if group.world == world):
            cells = {cell.recipe: cell for cell in group.cells}
            after, before = grid.asr(cells["self+rm"], "direct"), grid.asr(cells["sft"], "direct")
            assert after is not None
            assert before is not None
            found.append((after.rate or 0) - (before.rate or 0))
        changes.append(sum(found) / 2)
    mean = grid.mean_change("self+rm", "direct")
    centre = sum(changes) / 3
    half = t.ppf(0.975, 2) * (sum((c - centre) ** 2 for c in changes) / 2 / 3) ** 0.5
    assert (mean.worlds, mean.value) == (3, pytest.approx(centre))
    assert (mean.low, mean.high) == (pytest.approx(centre - half), pytest.approx(centre + half))
    two = Grid(parse_results(example_results(families=("llama", "qwen2"), worlds=(0, 1))))
    assert two.mean_change("self+rm", "direct").low is None
    assert "on average over 3 worlds" in answer(grid).lead
    assert "in all 4 groups of cells" in answer(two).lead
    assert any("not that of training again" in note for note in answer(two).notes)
    assert not any("training again" in note for note in answer(grid).notes), (
        "worlds were trained each for itself"
    )


def test_a_mean_over_tasks_needs_every_task() -> None:
    results = example_results()
    results["cells"][1]["general"].pop()
    results["cells"][2]["general"][0]["value"] = None
    grid = Grid(parse_results(results))
    assert [grid.general(cell) is None for cell in grid.cells] == [False, True, True] + 5 * [False]


def test_a_seed_without_its_own_baseline_uses_the_targets() -> None:
    results = example_results(seeds=(0, 1))
    results["cells"] = [c for c in results["cells"] if not (c["recipe"] == "sft" and c["seed"] == 1)]
    grid = Grid(parse_results(results))
    assert [group.baseline.id if group.baseline else None for group in grid.groups] == 2 * ["llama-sft-w0-s0"]


def test_the_papers_order_is_the_papers() -> None:
    assert [recipe for recipe, _ in paper_order()] == [
        "self+rm", "all+rm", "original", "peer+rm", "stronger+self", "gpt4o+self", "hc+self",
    ]  # fmt: skip
    assert dict(paper_order())["self+rm"] == pytest.approx(0.86 / 6)


def test_agreement_with_the_paper() -> None:
    assert set(PAPER_ASR) == set(RECIPES)
    place = {recipe: index for index, (recipe, _) in enumerate(paper_order())}
    same = {recipe: {"direct": 20 * (1 + place[recipe])} for recipe in RECIPES}
    turned = {recipe: {"direct": 20 * (7 - place[recipe])} for recipe in RECIPES}
    swapped = {recipe: dict(rate) for recipe, rate in same.items()}
    first, second = (recipe for recipe, _ in paper_order()[:2])
    swapped[first], swapped[second] = swapped[second], swapped[first]
    for rates, rho in ((same, 1.0), (turned, -1.0), (swapped, 1 - 6 * 2 / (7 * 48))):
        (row,) = agreement(Grid(parse_results(_with_rates({"sft": {"direct": 100}, **rates}))))
        assert row.rho == pytest.approx(rho)
        assert row.n == 7
    missing = {recipe: rate for recipe, rate in same.items() if recipe != "original"}
    assert agreement(Grid(parse_results(_with_rates({"sft": {"direct": 100}, **missing})))) == []


def test_what_could_not_be_compared_takes_part_in_no_claim_of_all() -> None:
    results = example_results(families=("llama", "qwen2", "mistral"))
    results["cells"] = [cell for cell in results["cells"] if cell["recipe"] in ("sft", "self+rm")]
    for cell in results["cells"]:
        hits = {"sft": 100, "self+rm": 5}[cell["recipe"]]
        there = cell["recipe"] == "sft" or cell["family"] == "llama"
        cell["asr"] = [_rate("direct", hits, 200)] if there else []
    said = _answer(results)
    assert said.tallies[0].unknown == 2
    assert "all 3 groups" not in said.lead
    assert "self+rm (in 1 of 3 comparisons; the rest lack a rate)" in said.lead
    results["cells"] = [cell for cell in results["cells"] if cell["recipe"] == "sft" or cell["asr"]]
    assert _answer(results).tallies[0].unknown == 2


def test_worlds_are_those_that_a_recipe_was_measured_in() -> None:
    results = example_results(worlds=tuple(range(6)))
    results["cells"] = [cell for cell in results["cells"] if cell["recipe"] in ("sft", "self+rm")]
    for cell in results["cells"]:
        hits = {"sft": 100, "self+rm": 5}[cell["recipe"]] + int(cell["world"])
        cell["asr"] = (
            [_rate("direct", hits, 200)] if cell["recipe"] == "sft" or int(cell["world"]) < 3 else []
        )
    for cell in results["cells"]:
        if cell["recipe"] == "self+rm" and cell["asr"]:
            cell["asr"] = [_rate("direct", 5 + 3 * int(cell["world"]), 200)]
    assert "on average over 3 worlds" in _answer(results).lead


def test_over_refusal_is_not_called_equal_where_intervals_meet_or_nothing_was_scored() -> None:
    results = _with_rates({"sft": {"direct": 100}, "self+rm": {"direct": 5}, "original": {"direct": 98}})
    for cell in results["cells"]:
        hits, n = {"sft": (20, 200), "self+rm": (35, 200), "original": (0, 0)}[cell["recipe"]]
        rate = Rate(hits, n, 200 - n)
        row = {"prompts": "benign", "judge": "exact", "refusals": hits, "scored": n, "unscored": 200 - n}
        cell["over_refusal"] = [{**row, "rate": rate.rate, "low": rate.low, "high": rate.high}]
    notes = _answer(results).notes
    assert "In no cell do the intervals show more over-refusal than SFT’s." in notes
    assert "Over-refusal could not be compared with SFT’s in 1 of 2 cases." in notes

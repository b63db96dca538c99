"""What a difference is a claim about: checkpoints by behaviour, recipes by world or seed, wrappers by wrapper."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest
from scipy.stats import binomtest, ttest_1samp

from backfire.answers import Checkpoint, read_checkpoint
from backfire.answers.outcomes import AttackedCell
from backfire.comparing import adjust, compare_checkpoints, compare_recipes, compare_wrappers
from backfire.comparing.matching import cell_pairs
from backfire.errors import InputError

Sets = Mapping[str, Mapping[str, bool | None]]


def checkpoint(name: str, sets: Sets, attacks: tuple[str, ...] = ("direct",)) -> Checkpoint:
    by_judge = {each: {"exact": outcomes} for each, outcomes in sets.items()}
    return Checkpoint(name, by_judge, frozenset(attacks))


def drawn(seed: int, rate: float, prompts: list[str]) -> dict[str, bool | None]:
    draw = random.Random(seed)
    return {prompt: draw.random() < rate for prompt in prompts}


PROMPTS = [f"p{k}" for k in range(60)]
TAGS = {prompt: {"noun": f"n{k // 5}", "wrapper": f"w{k % 12}"} for k, prompt in enumerate(PROMPTS)}


def test_checkpoints_have_a_row_a_set_and_the_exact_test_of_their_pairs() -> None:
    first = checkpoint("a", {"direct": drawn(1, 0.3, PROMPTS), "benign": drawn(2, 0.1, PROMPTS)})
    second = checkpoint("b", {"direct": drawn(3, 0.6, PROMPTS), "benign": drawn(4, 0.1, PROMPTS)})
    rows = compare_checkpoints(first, second, {})
    assert [(r.prompts, r.outcome, r.unit, r.units) for r in rows] == [
        ("direct", "harmful", "prompt", 60),
        ("benign", "refusal", "prompt", 60),
    ]
    one, other = (side.sets["direct"]["exact"] for side in (first, second))
    gained = sum(bool(other[p]) and not one[p] for p in PROMPTS)
    lost = sum(bool(one[p]) and not other[p] for p in PROMPTS)
    assert rows[0].p == rows[0].mcnemar == pytest.approx(binomtest(gained, gained + lost).pvalue)
    assert rows[0].difference == pytest.approx((gained - lost) / 60)
    assert {r.claim for r in rows} == {"these checkpoints"}


def test_attacks_are_pooled_by_the_prompt_they_share() -> None:
    sets: Sets = {"direct": drawn(1, 0.4, PROMPTS), "pair": drawn(2, 0.4, PROMPTS), "benign": {"x": False}}
    second: Sets = {"direct": drawn(3, 0.5, PROMPTS), "pair": drawn(4, 0.5, PROMPTS), "benign": {"x": None}}
    attacks = ("direct", "pair")
    a, b = checkpoint("a", sets, attacks), checkpoint("b", second, attacks)
    pooled = compare_checkpoints(a, b, {})[-1]
    assert (pooled.prompts, pooled.n, pooled.units) == ("all attacks", 120, 60)
    assert (
        compare_checkpoints(a, b, {p: TAGS[p] for p in PROMPTS} | {"x": {"noun": "n0"}}, cluster="noun")[
            -1
        ].units
        == 12
    )
    benign = compare_checkpoints(a, b, {})[2]
    assert benign.reason == "nothing was scored on both sides"
    assert (benign.difference, benign.lowest, benign.highest) == (None, 0.0, 1.0)


def test_what_cannot_be_paired_is_said() -> None:
    a = checkpoint("a", {"direct": {"p": True, "q": False}})
    with pytest.raises(InputError, match=r"different prompts in 'direct' \(2 stand on one side only\)"):
        compare_checkpoints(a, checkpoint("b", {"direct": {"p": True, "r": False}}), {})
    with pytest.raises(InputError, match="share no set"):
        compare_checkpoints(a, checkpoint("b", {"other": {"p": True, "q": False}}), {})
    with pytest.raises(InputError, match="1 of 2 prompts have no 'noun'"):
        compare_checkpoints(a, a, {"p": {"noun": "n"}}, cluster="noun")


def test_each_set_has_the_clusters_that_it_has() -> None:
    """A benign set without nouns leaves the attack's clusters alone, and the behaviours that a file names are taken."""
    sets: Sets = {"direct": drawn(1, 0.4, PROMPTS), "benign": {f"x{k}": False for k in range(8)}}
    a, b = checkpoint("a", sets), checkpoint("b", {**sets, "direct": drawn(2, 0.4, PROMPTS)})
    assert [(r.unit, r.units) for r in compare_checkpoints(a, b, TAGS)] == [("noun", 12), ("prompt", 8)]
    assert [(r.unit, r.units) for r in compare_checkpoints(a, b, TAGS, cluster="noun")] == [
        ("noun", 12),
        ("prompt", 8),
    ]
    assert [(r.unit, r.units) for r in compare_checkpoints(a, b, TAGS, cluster="prompt")] == [
        ("prompt", 60),
        ("prompt", 8),
    ]
    named = replace(b, clusters={"benign": {f"x{k}": str(k // 4) for k in range(8)}})
    assert [(r.unit, r.units) for r in compare_checkpoints(a, named, {})] == [
        ("prompt", 60),
        ("behaviour", 2),
    ]


def test_what_attacks_broke_together_is_no_attack_more() -> None:
    one, other = drawn(1, 0.4, PROMPTS), drawn(2, 0.2, PROMPTS)
    both = {p: bool(one[p] or other[p]) for p in PROMPTS}
    ways = {"direct": {}, "rot13": {}}
    a = checkpoint("a", {"direct": one, "rot13": other, "any attack": both}, ("direct", "rot13"))
    a = replace(a, together={"any attack": 2}, methods=ways)
    b = replace(a, name="b")
    rows = compare_checkpoints(a, b, {})
    assert [(r.prompts, r.outcome, r.n) for r in rows] == [
        ("direct", "harmful", 60),
        ("rot13", "harmful", 60),
        ("any attack", "harmful", 60),
        ("all attacks", "harmful", 120),
    ]
    alone = replace(a, together={"any attack": 1})
    assert [r.prompts for r in compare_checkpoints(alone, b, {})] == ["direct", "rot13", "all attacks"]
    apart = replace(b, methods={"direct": {}})
    assert [r.prompts for r in compare_checkpoints(a, apart, {})] == ["direct", "rot13", "all attacks"]


def test_open_requests_leave_bounds_only() -> None:
    both: dict[str, bool | None] = {
        p: True if k < 20 else None if k < 30 else False for k, p in enumerate(PROMPTS)
    }
    a = replace(checkpoint("a", {"any attack": both}, ()), together={"any attack": 2})
    b = replace(checkpoint("b", {"any attack": drawn(1, 0.5, PROMPTS)}, ()), together={"any attack": 2})
    (row,) = compare_checkpoints(a, b, {})
    assert (row.difference, row.low, row.p, row.first_rate) == (None, None, None, None)
    assert row.reason is not None
    assert row.reason.startswith("10 requests are open")
    assert row.lowest is not None
    assert row.highest is not None
    assert row.highest - row.lowest == pytest.approx(10 / 60)


def test_harm_is_not_compared_with_refusals() -> None:
    a = checkpoint("a", {"asks": {"p": True, "q": False}}, ("asks",))
    b = checkpoint("b", {"asks": {"p": True, "q": False}}, ())
    for one, other in ((a, b), (b, a)):
        with pytest.raises(InputError, match="'asks' is an attack in a and a benign set in b"):
            compare_checkpoints(one, other, {})


def test_a_trained_baseline_of_another_seed_does_not_serve() -> None:
    cells = [cell("original", "1", 0, 0.2), *(cell("self+rm", "1", s, 0.5) for s in range(3))]
    assert [(one.id, other.id) for one, other in cell_pairs(cells, "original")] == [
        ("original-1-0", "self+rm-1-0")
    ]
    cells[0] = cell("sft", "1", 0, 0.2)
    assert len(cell_pairs(cells)) == 3


def test_units_that_differ_by_rounding_have_no_spread() -> None:
    def of(value: tuple[int, int], world: str) -> list[AttackedCell]:
        n, hits = value
        half: Sets = {"direct": {f"{world}{k}": k < hits for k in range(n)}}
        none: Sets = {"direct": {f"{world}{k}": False for k in range(n)}}
        return [
            AttackedCell(f"{r}{world}", r, ("llama", "t", world), 0, checkpoint(r, sets))
            for r, sets in (("sft", none), ("self+rm", half))
        ]

    (row,) = compare_recipes(
        [c for w, v in zip("abc", ((20, 3), (40, 6), (60, 9)), strict=True) for c in of(v, w)]
    )
    assert row.low is None
    assert row.reason is not None
    assert row.reason.startswith("no spread")


def test_cells_that_nobody_could_score_count_as_unscored() -> None:
    prompts = {f"p{k}": None for k in range(30)}
    cells = [
        AttackedCell(f"{r}{f}{w}", r, (f, "t", w), 0, checkpoint(r, {"direct": prompts}))
        for r in ("sft", "self+rm")
        for f in ("llama", "qwen")
        for w in "ab"
    ]
    (row,) = compare_recipes(cells)
    assert (row.n, row.unscored) == (0, 120)


def test_ten_wrappers_are_units_and_nine_are_too_few() -> None:
    a, b = (
        checkpoint("a", {"direct": drawn(5, 0.3, PROMPTS)}),
        checkpoint("b", {"direct": drawn(6, 0.7, PROMPTS)}),
    )
    (row,) = compare_wrappers(a, b, TAGS)
    assert (row.claim, row.unit, row.units, row.reason) == ("unseen wrappers", "wrapper", 12, None)
    one, other = (side.sets["direct"]["exact"] for side in (a, b))
    values = [
        mean(int(bool(other[p])) - int(bool(one[p])) for p in PROMPTS if TAGS[p]["wrapper"] == f"w{k}")
        for k in range(12)
    ]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row.low, row.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    nine = {p: {"wrapper": f"w{k % 9}"} for k, p in enumerate(PROMPTS)}
    (few,) = compare_wrappers(a, b, nine)
    assert (few.low, few.p, few.reason) == (None, None, "not enough units: 9 wrappers, 10 are needed")
    assert few.difference is not None
    assert compare_wrappers(a, b, {}) == []


def cell(recipe: str, world: str, seed: int, rate: float, family: str = "llama") -> AttackedCell:
    draws = sum(map(ord, recipe + world + family)) + seed
    outcomes = checkpoint(recipe, {"direct": drawn(draws, rate, [f"{world}-{p}" for p in PROMPTS])})
    return AttackedCell(f"{recipe}-{world}-{seed}", recipe, (family, "target", world), seed, outcomes)


def test_recipes_are_judged_over_worlds_where_there_are_several() -> None:
    worlds = ["1", "2", "3", "4"]
    cells = [cell("sft", w, 0, 0.2, f) for w in worlds for f in ("llama", "qwen")]
    cells += [cell("self+rm", w, s, 0.5, f) for w in worlds for s in (0, 1) for f in ("llama", "qwen")]
    (row,) = compare_recipes(cells)
    assert (row.claim, row.unit, row.units, row.n) == ("these recipes", "world", 4, 16 * 60)

    def rate(recipe: str, world: str, family: str, seed: int) -> float:
        (found,) = (
            c for c in cells if (c.recipe, c.start, c.seed) == (recipe, (family, "target", world), seed)
        )
        return mean(bool(v) for v in found.checkpoint.sets["direct"]["exact"].values())

    values = [
        mean(rate("self+rm", w, f, s) - rate("sft", w, f, 0) for f in ("llama", "qwen") for s in (0, 1))
        for w in worlds
    ]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert row.difference == pytest.approx(mean(values))
    assert (row.low, row.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert row.p == 2 / 2**4


def test_seeds_are_units_in_one_world_and_two_are_too_few() -> None:
    cells = [cell("sft", "1", 0, 0.2), *(cell("self+rm", "1", s, 0.5) for s in range(3))]
    (row,) = compare_recipes(cells)
    assert (row.unit, row.units, row.p) == ("seed", 3, 0.25)
    (few,) = compare_recipes(cells[:3])
    assert few.reason == "not enough units: 2 seeds, 3 are needed"
    assert few.low is few.p is None
    with pytest.raises(InputError, match="no cell of the recipe 'hc'"):
        compare_recipes(cells, baseline="hc")


def test_units_without_spread_have_no_interval() -> None:
    same = {f"1-{p}": k % 2 == 0 for k, p in enumerate(PROMPTS)}
    cells = [
        AttackedCell(f"{r}{s}", r, ("llama", "t", "1"), s, checkpoint(r, {"direct": same}))
        for r in ("sft", "self+rm")
        for s in range(3)
    ]
    (row,) = compare_recipes(cells)
    assert (row.difference, row.low, row.p) == (0.0, None, 1.0)
    assert row.reason is not None
    assert row.reason.startswith("no spread")


def test_holm_is_over_the_rows_of_one_claim() -> None:
    a = checkpoint("a", {"direct": drawn(1, 0.3, PROMPTS), "benign": drawn(2, 0.1, PROMPTS)})
    b = checkpoint("b", {"direct": drawn(3, 0.6, PROMPTS), "benign": drawn(4, 0.1, PROMPTS)})
    rows = [*compare_checkpoints(a, b, {}), *compare_wrappers(a, b, TAGS)]
    adjusted = adjust(rows)
    ps = sorted(row.p for row in rows if row.claim == "these checkpoints" and row.p is not None)
    found = sorted(
        row.adjusted for row in adjusted if row.claim == "these checkpoints" and row.adjusted is not None
    )
    assert found == [pytest.approx(min(1, 2 * ps[0])), pytest.approx(max(min(1, 2 * ps[0]), ps[1]))]
    assert adjusted[-1].adjusted == adjusted[-1].p


def test_a_file_without_outcomes_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", json.dumps({"asr": []})):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(InputError, match="attack"):
            read_checkpoint(tmp_path / "a.json")

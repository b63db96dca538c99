"""Rank correlations within worlds, against scipy and values worked out by hand."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest

from backfire.statistics.orderings import Trained, by_knob, corrected, differ, order_of, repeatability


def cells(world: str, group: str, xs: list[float], ys: list[float]) -> list[Trained]:
    return [Trained(world, group, {"x": x}, {"y": y}) for x, y in zip(xs, ys, strict=True)]


def test_ranks_are_taken_within_groups_and_averaged_within_worlds() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    found, expected = [], {}
    for world in ("a", "b", "c"):
        rhos = []
        for group in ("full", "lora"):
            xs, ys = rng.normal(size=7), rng.normal(size=7) + 100 * (group == "lora")
            found += cells(world, group, xs.tolist(), ys.tolist())
            rhos.append(float(spearmanr(xs, ys).statistic))
        expected[world] = float(np.mean(rhos))
    ordering = order_of(found, "x", "y")
    assert ordering.by_world == pytest.approx(expected)
    assert (ordering.cells, ordering.left_out) == (42, 0)
    assert ordering.mean == pytest.approx(np.mean(list(expected.values())))


def test_three_worlds_that_agree_have_the_smallest_p_that_three_can_have() -> None:
    found = [c for w in "abc" for c in cells(w, "g", [1, 2, 3, 4, 5], [5, 4, 3, 2, 1])]
    ordering = order_of(found, "x", "y")
    assert (ordering.mean, ordering.low, ordering.high, ordering.p) == pytest.approx((-1.0, -1.0, -1.0, 0.25))


def test_what_is_not_known_leaves_the_ranks_and_is_counted() -> None:
    known = cells("a", "g", [1, 2, 3, 4, 5, nan], [1, 2, 3, 4, 5, -9])
    few = cells("b", "g", [1, 2, 3, 4], [4, 3, 2, 1])
    ties = cells("c", "g", [7, 7, 7, 7, 7], [1, 2, 3, 4, 5])
    ordering = order_of(known + few + ties, "x", "y")
    assert ordering.by_world == {"a": pytest.approx(1.0)}
    assert (ordering.cells, ordering.left_out) == (5, 10)
    assert isnan(ordering.low)
    nothing = order_of(few, "x", "absent")
    assert isnan(nothing.mean)
    assert isnan(nothing.p)


def test_the_primary_is_not_corrected_and_does_not_correct_the_rest() -> None:
    def one(name: str, signs: list[int]) -> list[Trained]:
        return [
            Trained(f"w{i}", "g", {name: float(sign * k)}, {"y": float(k)})
            for i, sign in enumerate(signs)
            for k in range(5)
        ]

    first = order_of(one("x", [1] * 6), "x", "y")
    second = order_of(one("z", [1] * 5 + [-1]), "z", "y")
    third = order_of(one("u", [1, -1] * 3), "u", "y")
    # six signs: p = 2/64; at most one against: 14/64; three and three: 1
    assert (first.p, second.p, third.p) == (2 / 64, 14 / 64, 1.0)
    assert corrected([first, second, third], ("x", "y")) == {("z", "y"): 28 / 64, ("u", "y"): 1.0}
    assert corrected([first, second], ("none", "y")) == {("x", "y"): 4 / 64, ("z", "y"): 14 / 64}


def test_the_curve_over_a_knob_counts_its_worlds() -> None:
    found = [c for w in "abc" for c in cells(w, "g", [1, 2, 3, 4, 5], [5, 4, 3, 2, 1])]
    found += cells("d", "g", [1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    curve = by_knob(order_of(found, "x", "y"), {"a": 0.5, "b": 0.0, "c": 0.0, "d": 0.5})
    assert list(curve) == [0.0, 0.5]
    assert curve[0.0] == (pytest.approx(-1.0), 2)
    assert curve[0.5] == (pytest.approx(0.0), 2)


def test_two_predictors_are_compared_on_the_worlds_that_both_order() -> None:
    straight, turned = [1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, 1]
    found = [
        Trained(world, "g", {"x": x, "z": z}, {"y": y})
        for world, zs in (("a", straight), ("b", straight), ("c", turned), ("d", [nan] * 5))
        for x, z, y in zip(straight, zs, turned, strict=True)
    ]
    difference = differ(order_of(found, "z", "y"), order_of(found, "x", "y"))
    assert (difference.worlds, difference.mean) == (3, pytest.approx(2 / 3))
    # of eight flips of (0, 0, 2) every one is as far from 0
    assert difference.p == 1.0
    assert isnan(differ(order_of(found, "absent", "y"), order_of(found, "x", "y")).p)


def test_askings_repeat_each_other_where_rates_differ_and_not_where_they_are_one() -> None:
    far = [("a", "g", rate, 200) for rate in (0.1, 0.3, 0.5, 0.7, 0.9)]
    near = [("b", "g", 0.5, 200)] * 6
    few = [("c", "g", 0.1, 200)] * 4
    found = repeatability([*far, *near, *few, ("a", "g", nan, 200)], repeats=200)
    assert set(found) == {"a", "b"}
    assert found["a"] > 0.99
    assert abs(found["b"]) < 0.1

"""Claims about differences of policies on the same prompts, and what each claim is about.

*These checkpoints*: two policies as they are, on prompts like these. *These recipes*: training anew, so a world or a seed is
the unit. *Unseen wrappers*: wrappers like these, so a wrapper is the unit. docs/concepts/statistics.md says which test is used when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

from backfire.answers.comparisons import FEW, RECIPES, Claim, Difference, Outcome
from backfire.answers.outcomes import AttackedCell, Checkpoint
from backfire.answers.results import BASELINE
from backfire.comparing.matching import PROMPT, Tags, cell_pairs, in_common, no_tag, pooled, units_of
from backfire.errors import InputError
from backfire.statistics.clusters import mean_of_clusters
from backfire.statistics.exact_tests import MOST_FLIPPED, holm, sign_flip
from backfire.statistics.paired_outcomes import Paired, compare_outcomes

FEWEST_WRAPPERS = 10
FEWEST_UNITS = 3
"""Worlds or seeds below which nothing is said about a recipe."""
ALL = "all attacks"
ROUNDING = 1e-12


def compare_checkpoints(
    first: Checkpoint, second: Checkpoint, tags: Tags, *, cluster: str | None = None, seed: int = 0
) -> list[Difference]:
    """Two policies, set by set and judge by judge, over the prompts that both were asked.

    `cluster` names the tag by which prompts are one unit, in every set that has it; `prompt` makes every prompt one. None takes
    the noun where all of a set's prompts have one (organisms'), else the behaviours that the attack found them to
    share, else the prompt. Where several sets are attacks, `all attacks` pools them, a prompt that stands in several (or its
    cluster) being one unit. What several attacks broke together is compared where the attacks are the same. Raises
    InputError for different prompts, a missing tag, or no set in common.
    """
    common = list(in_common(first, second))
    prompts_of_set = {name: list(one) for name, _, one, _ in common}
    of = {
        name: units_of(name, prompts, tags, cluster, (first, second))
        for name, prompts in prompts_of_set.items()
    }
    if cluster not in (None, PROMPT) and prompts_of_set and all(unit == PROMPT for unit, _ in of.values()):
        every = {prompt for prompts in prompts_of_set.values() for prompt in prompts}
        raise InputError(no_tag(len(every), len(every), str(cluster)))
    rows = []
    for name, judge, one, other in common:
        unit, groups = of[name]
        paired = compare_outcomes(one, other, groups, seed=seed)
        left = name in first.together and paired.unscored
        shown = _bounds(paired) if left else paired
        row = _row(first.name, second.name, name, judge, first.outcome(name), unit, shown)
        rows.append(replace(row, reason=_open(paired.unscored)) if left else row)
    for judge, one, other, plain in pooled(first, common):
        whole = {name for name, by, _, _ in common if by == judge and name in first.attacks}
        joined = {prompt: group for name in whole for prompt, group in of[name][1].items()}
        units = {of[name][0] for name in whole}
        unit = units.pop() if len(units) == 1 else "cluster"
        paired = compare_outcomes(
            one, other, {key: joined[prompt] for key, prompt in plain.items()}, seed=seed
        )
        rows.append(_row(first.name, second.name, ALL, judge, "harmful", unit, paired))
    if not rows:
        raise InputError(
            f"{first.name} and {second.name} share no set that the same judge read: attack both alike"
        )
    return rows


def compare_wrappers(first: Checkpoint, second: Checkpoint, tags: Tags) -> list[Difference]:
    """Attacks whose prompts wear several wrappers: the mean over wrappers of the difference within each.

    Fewer than ten wrappers are not enough units, and the row says so in the place of a number's interval.
    """
    rows = []
    for name, judge, one, other in in_common(first, second):
        by = {prompt: tags.get(prompt, {}).get("wrapper", "none") for prompt in one}
        wrappers = sorted(set(by.values()) - {"none"})
        if name not in first.attacks or len(wrappers) < 2:
            continue
        worn = [[prompt for prompt in one if by[prompt] == each] for each in wrappers]
        parts = [compare_outcomes({p: one[p] for p in those}, {p: other[p] for p in those}) for those in worn]
        rows.append(
            _over_units(
                "unseen wrappers",
                first.name,
                second.name,
                name,
                judge,
                True,
                "wrapper",
                parts,
                FEWEST_WRAPPERS,
            )
        )
    return rows


def compare_recipes(cells: Sequence[AttackedCell], *, baseline: str = BASELINE) -> list[Difference]:
    """Every recipe against the baseline: differences within a world or seed, and inference over these.

    The unit is the world where there are several, else the seed; cells of one unit are averaged first. Fewer than three
    units say nothing about a recipe, and the row says so.
    """
    if all(cell.recipe != baseline for cell in cells):
        there = ", ".join(dict.fromkeys(cell.recipe for cell in cells))
        raise InputError(f"no cell of the recipe {baseline!r} to compare with: there are {there}")
    unit: Literal["world", "seed"] = "world" if len({cell.world for cell in cells}) > 1 else "seed"
    outcomes: dict[tuple[str, str, str, bool], dict[str, list[Paired]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for first, second in cell_pairs(cells, baseline):
        for name, judge, one, other in in_common(first.checkpoint, second.checkpoint):
            key = (second.recipe, name, judge, first.checkpoint.harm(name))
            place = second.world if unit == "world" else str(second.seed)
            paired = compare_outcomes(one, other)
            left = name in first.checkpoint.together and paired.unscored
            outcomes[key][place].append(_bounds(paired) if left else paired)
    return [
        _over_units(
            RECIPES,
            baseline,
            recipe,
            name,
            judge,
            harm,
            unit,
            [_mean(each) for each in parts.values()],
            FEWEST_UNITS,
        )
        for (recipe, name, judge, harm), parts in outcomes.items()
    ]


def adjust(rows: Sequence[Difference]) -> list[Difference]:
    """Holm's correction over the rows that have a p, each claim on its own."""
    adjusted: dict[str, float] = {}
    for claim in {row.claim for row in rows}:
        ps = {str(k): row.p for k, row in enumerate(rows) if row.claim == claim and row.p is not None}
        adjusted |= holm(ps)
    return [replace(row, adjusted=adjusted.get(str(k))) for k, row in enumerate(rows)]


def _bounds(paired: Paired) -> Paired:
    """The same without what the prompts that are scored would say."""
    return replace(
        paired,
        n=0,
        first=None,
        second=None,
        difference=None,
        low=None,
        high=None,
        mcnemar=None,
        p=None,
        clusters=0,
    )


def _open(n: int) -> str:
    return (
        f"{n} requests are open (an attack left them unscored and none broke them): whether a request is scored depends on "
        "whether it is broken, so there are bounds only"
    )


def _row(
    first: str, second: str, name: str, judge: str, outcome: Outcome, unit: str, paired: Paired
) -> Difference:
    few = paired.n > 0 and paired.low is None
    return Difference(
        claim="these checkpoints",
        first=first,
        second=second,
        prompts=name,
        judge=judge,
        outcome=outcome,
        unit=unit,
        units=paired.clusters,
        n=paired.n,
        unscored=paired.unscored,
        first_rate=paired.first,
        second_rate=paired.second,
        difference=paired.difference,
        low=paired.low,
        high=paired.high,
        lowest=paired.lowest,
        highest=paired.highest,
        p=None if few else paired.p,
        mcnemar=paired.mcnemar,
        reason="nothing was scored on both sides" if not paired.n else f"{FEW}: 1 {unit}" if few else None,
    )


def _mean(parts: Sequence[Paired]) -> Paired:
    """Cells of one unit as one: plain means of rates and bounds, sums of counts."""
    known = [part for part in parts if part.difference is not None]
    return replace(
        (known or parts)[0],
        n=sum(part.n for part in parts),
        unscored=sum(part.unscored for part in parts),
        first=_plain_mean([part.first for part in known]),
        second=_plain_mean([part.second for part in known]),
        difference=_plain_mean([part.difference for part in known]),
        lowest=fmean(part.lowest for part in parts),
        highest=fmean(part.highest for part in parts),
    )


def _over_units(
    claim: Claim,
    first: str,
    second: str,
    name: str,
    judge: str,
    harm: bool,
    unit: str,
    parts: Sequence[Paired],
    fewest: int,
) -> Difference:
    known = [part for part in parts if part.difference is not None]
    values = [part.difference for part in known if part.difference is not None]
    row = Difference(
        claim=claim,
        first=first,
        second=second,
        prompts=name,
        judge=judge,
        outcome="harmful" if harm else "refusal",
        unit=unit,
        units=len(values),
        n=sum(part.n for part in parts),
        unscored=sum(part.unscored for part in parts),
        first_rate=_plain_mean([part.first for part in known]),
        second_rate=_plain_mean([part.second for part in known]),
        difference=_plain_mean(values),
        low=None,
        high=None,
        lowest=_plain_mean([part.lowest for part in parts]),
        highest=_plain_mean([part.highest for part in parts]),
        p=None,
    )
    if len(values) < fewest:
        plural = unit if len(values) == 1 else f"{unit}s"
        return replace(row, reason=f"{FEW}: {len(values)} {plural}, {fewest} are needed")
    if max(values) - min(values) < ROUNDING:
        return replace(
            row,
            p=sign_flip(values[:MOST_FLIPPED]),
            reason=f"no spread: the {unit}s have one and the same difference",
        )
    _, low, high = mean_of_clusters(values)
    if len(values) > MOST_FLIPPED:
        return replace(
            row,
            low=low,
            high=high,
            reason=f"more than {MOST_FLIPPED} units: no exact p; the interval decides",
        )
    return replace(row, low=low, high=high, p=sign_flip(values))


def _plain_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

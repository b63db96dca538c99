"""The plain answer at the top of the page, derived from the numbers by stated rules.

Rules. With fewer than three worlds, a comparison is one recipe under one attack beside the SFT baseline with the same
family, target, world and seed: *below* (or *above*) when its 95% interval lies wholly below (above) the baseline's,
otherwise *not told apart*. With three worlds or more the world is the unit, and a comparison is one recipe under one
attack: below (above) when the 95% t-interval of its mean change from SFT over worlds lies below (above) zero.
Nothing else is concluded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from backfire.answers.numerals import listed, percent, signed
from backfire.answers.results import BASELINE
from backfire.report.study.grid import FEWEST_WORLDS, Grid, Standing, standing, standing_of_change

RULE = (
    "“Lower” and “higher” mean that a recipe’s 95% interval and SFT’s do not meet. Intervals that meet do not show "
    "that two rates are equal."
)
WORLDS_RULE = (
    "“Lower” and “higher” mean that the 95% t-interval of the mean change from SFT, with the worlds as units, leaves "
    "out zero. An interval that holds zero does not show that nothing changed."
)


@dataclass(frozen=True)
class Tally:
    """How one recipe's comparisons with SFT came out."""

    recipe: str
    below: int
    above: int
    same: int
    unknown: int
    """Attacks, in every group of cells, for which there is no rate of the recipe or of its baseline."""

    @property
    def compared(self) -> int:
        return self.below + self.above + self.same


@dataclass(frozen=True)
class Answer:
    """`lead` is one paragraph; `notes` are what else a careful reader should know, one sentence each."""

    lead: str
    notes: tuple[str, ...]
    tallies: tuple[Tally, ...]


def answer(grid: Grid) -> Answer:
    """Say what the intervals support about the recipes' attack success rates, and what they do not."""
    recipes = [recipe for recipe in grid.recipes if recipe != BASELINE]
    tallies = tuple(_tally(grid, recipe) for recipe in recipes)
    rule = WORLDS_RULE if _over_worlds(grid) else RULE
    notes = [rule, *_missing(tallies), *_usefulness(grid, recipes), *_scope(grid)]
    return Answer(_lead(grid, tallies), tuple(notes), tallies)


def _over_worlds(grid: Grid) -> bool:
    return len(grid.worlds) >= FEWEST_WORLDS


def _tally(grid: Grid, recipe: str) -> Tally:
    counts: Counter[Standing] = Counter()
    expected = len(grid.attacks) * (1 if _over_worlds(grid) else len(grid.groups))
    if _over_worlds(grid):
        counts.update(standing_of_change(grid.mean_change(recipe, attack)) for attack in grid.attacks)
    else:
        counts.update(
            standing(grid.asr(cell, attack), grid.asr(group.baseline, attack))
            for group in grid.groups
            for cell in group.cells
            for attack in grid.attacks
            if cell.recipe == recipe
        )
    known = counts["below"] + counts["above"] + counts["same"]
    return Tally(recipe, counts["below"], counts["above"], counts["same"], max(0, expected - known))


def _lead(grid: Grid, tallies: tuple[Tally, ...]) -> str:
    compared = [tally for tally in tallies if tally.compared]
    if not compared:
        return (
            "There is nothing to compare yet: no recipe has an attack success rate beside an SFT baseline's."
        )
    everywhere = "under every attack" if len(grid.attacks) > 1 else f"under the {grid.attacks[0]} attack"
    if _over_worlds(grid):
        everywhere += f" on average over {_worlds(grid, [t.recipe for t in compared])} worlds"
    elif len(grid.groups) > 1:
        everywhere += f" in all {len(grid.groups)} groups of cells"
    unit = "attacks" if len(grid.groups) == 1 or _over_worlds(grid) else "comparisons"
    always = [t.recipe for t in compared if t.below == t.compared and not t.unknown]
    known = [t for t in compared if t.below == t.compared and t.unknown]
    partly = [t for t in compared if 0 < t.below < t.compared and not t.above]
    above = [t for t in compared if t.above and not t.below]
    mixed = [t for t in compared if t.below and t.above]
    never = [t.recipe for t in compared if t.same == t.compared]
    if len(never) == len(compared):
        return (
            f"No recipe’s attack success rate can be told apart from the SFT baseline’s ({listed(never)}): "
            "no difference that the intervals support."
        )
    parts = []
    if always:
        parts.append(f"{listed(always)} {_have(always)} a lower attack success rate than SFT {everywhere}")
    if known:
        counts = [
            f"{t.recipe} (in {t.below} of {t.below + t.unknown} {unit}; the rest lack a rate)" for t in known
        ]
        parts.append(
            f"{listed(counts)} {_have(known)} a lower one than SFT’s where there is something to compare"
        )
    if partly:
        counts = [f"{t.recipe} (in {t.below} of {t.compared} {unit})" for t in partly]
        parts.append(f"{listed(counts)} {_have(partly)} a lower one than SFT’s in part")
    if above:
        counts = [f"{t.recipe} (in {t.above} of {t.compared} {unit})" for t in above]
        parts.append(f"{listed(counts)} {_have(above)} a higher one than SFT’s")
    if mixed:
        counts = [
            f"{t.recipe} (lower in {t.below}, higher in {t.above} of {t.compared} {unit})" for t in mixed
        ]
        parts.append(f"{listed(counts)} went both ways")
    if never:
        parts.append(f"for {listed(never)} there is no difference that the intervals support")
    sentence = "; ".join(parts)
    if not always:
        sentence = sentence.replace(" one than SFT’s", " attack success rate than SFT", 1)
    sentence = sentence.replace(" one than SFT’s", " one")
    return f"Of {len(compared)} recipes, {sentence}." if len(compared) > 1 else f"{sentence}."


def _worlds(grid: Grid, recipes: list[str]) -> str:
    """How many worlds the mean changes of these recipes rest on: one number, or the least and the most."""
    counts = {
        mean.worlds
        for recipe in recipes
        for attack in grid.attacks
        if (mean := grid.mean_change(recipe, attack)).low is not None
    }
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _have(members: list[str] | list[Tally]) -> str:
    return "has" if len(members) == 1 else "have"


def _missing(tallies: tuple[Tally, ...]) -> list[str]:
    missing = [t.recipe for t in tallies if not t.compared]
    return [f"Not compared, for want of a rate or a baseline: {listed(missing)}."] if missing else []


def _usefulness(grid: Grid, recipes: list[str]) -> list[str]:
    notes = []
    counts: dict[str, Counter[Standing]] = {recipe: Counter() for recipe in recipes}
    for group in grid.groups:
        for cell in group.cells:
            if cell.recipe in counts:
                counts[cell.recipe].update(
                    standing(
                        grid.over_refusal(cell, prompts),
                        grid.over_refusal(group.baseline, prompts) if group.baseline else None,
                    )
                    for prompts in grid.prompt_sets
                )
    refusing = [recipe for recipe, stands in counts.items() if stands["above"]]
    unknown = sum(stands["unknown"] for stands in counts.values())
    of = sum(stands.total() for stands in counts.values())
    if refusing:
        notes.append(f"Over-refusal lies above SFT’s, in one cell at least, with {listed(refusing)}.")
    elif of > unknown:
        notes.append("In no cell do the intervals show more over-refusal than SFT’s.")
    if unknown:
        notes.append(f"Over-refusal could not be compared with SFT’s in {unknown} of {of} cases.")
    before = grid.mean_general(BASELINE).value
    changes = {
        recipe: value - before
        for recipe in recipes
        if before is not None and (value := grid.mean_general(recipe).value) is not None
    }
    if changes:
        worst = min(changes, key=lambda recipe: changes[recipe])
        best = max(changes, key=lambda recipe: changes[recipe])
        notes.append(
            f"Against SFT’s mean general score of {percent(before)}%, the recipes lie between "
            f"{signed(changes[worst])} ({worst}) and {signed(changes[best])} points ({best})."
        )
    return notes


def _scope(grid: Grid) -> list[str]:
    sizes = [rate.scored for cell in grid.cells for a in grid.attacks if (rate := grid.asr(cell, a))]
    unscored = sum(rate.unscored for cell in grid.cells for a in grid.attacks if (rate := grid.asr(cell, a)))
    n = f"{min(sizes)}" if len(set(sizes)) == 1 else f"{min(sizes)} to {max(sizes)}" if sizes else "0"
    notes = [
        f"Each rate rests on {n} scored responses by the judge “{grid.judge or 'none'}”; {unscored} more could not be scored."
    ]
    seeds = {group.seed for group in grid.groups}
    targets = {(group.family, group.target) for group in grid.groups}
    worlds = [world for world in grid.worlds if world]
    what = [_number(len(targets), "target model"), _number(len(seeds), "seed")]
    if worlds:
        what.insert(1, _number(len(worlds), "world"))
    notes.append(f"This is a statement about {listed(what)}, not about preference data at large.")
    if len(seeds) == 1 and not _over_worlds(grid):
        notes.append(
            "With one seed, the intervals hold the chance of which requests were asked, not that of training again."
        )
    return notes


def _number(n: int, noun: str) -> str:
    return f"one {noun}" if n == 1 else f"{n} {noun}s"

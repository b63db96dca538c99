"""`compare`: two policies on the same prompts, or a study's recipes, with what each difference says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.prompts import open_prompts
from backfire.cli.terminal import percent, say, show, table, warn, write_answer

if TYPE_CHECKING:
    from backfire.answers import Checkpoint
    from backfire.answers.comparisons import Difference
    from backfire.comparing.matching import Tags

RECIPES = "these recipes"


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_JSON...",
            help="A run folder, or two or more files of `backfire attack --json`, the first of which is compared "
            "with every other.",
        ),
    ],
    baseline: Annotated[
        str, typer.Option("--baseline", metavar="RECIPE", help="What a run's recipes are compared with.")
    ] = "sft",
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="TAG",
            help="Prompts that share this column or tag are one unit, in the sets that have it; prompt makes each its own. Else "
            "noun (the behaviour) where the prompts are organisms', the behaviours in the attack files, and prompt elsewhere.",
        ),
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="Prompts whose columns hold --cluster and wrapper, where the attack files do not name them; "
            "repeatable.",
        ),
    ] = None,
    column: options.PromptColumn = None,
    split: options.PromptSplit = None,
    encoding: options.TableEncoding = None,
    seed: Annotated[int, typer.Option("--seed", help="Seeds the bootstrap.")] = 0,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    json: options.JsonFile = None,
) -> None:
    """Compare policies on the same prompts: differences with 95% intervals, exact tests, Holm's correction.

    Rows about these checkpoints say what these two policies do on prompts like these. Rows about these recipes need
    three or more worlds or seeds, rows about unseen wrappers ten or more wrappers; with fewer they say so. What is
    unscored stays out of a rate, and the bounds show the most it could change.
    """
    from backfire.answers import read_cells, read_checkpoint
    from backfire.comparing import adjust, compare_recipes
    from backfire.comparing.matching import cell_pairs
    from backfire.errors import InputError

    rows: list[Difference] = []
    pairs: list[tuple[Checkpoint, Checkpoint]]
    if len(runs) == 1 and runs[0].is_dir():
        cells = read_cells(runs[0])
        rows += compare_recipes(cells, baseline=baseline)
        paired = cell_pairs(cells, baseline)
        pairs = [(one.checkpoint, other.checkpoint) for one, other in paired]
        there = {other.id for _, other in paired}
        if left := [cell.id for cell in cells if cell.recipe != baseline and cell.id not in there]:
            warn(
                f"left out, for there is no {baseline} of their checkpoint, world and seed: {', '.join(left)}"
            )
    elif len(runs) > 1 and all(run.is_file() for run in runs):
        first, *others = _distinct([read_checkpoint(run) for run in runs], runs)
        pairs = [(first, other) for other in others]
        for one, other in pairs:
            _same_settings(one, other)
            _one_sided(one, other)
    else:
        raise InputError("give one run folder, or two or more files of `backfire attack --json`")
    known: dict[tuple[tuple[str, str], ...], Tags] = {}
    for one, other in pairs:
        sets = tuple(sorted(one.references.items()))
        if sets not in known:
            known[sets] = _tags(
                dict(sets), prompts or [], {"column": column, "split": split, "encoding": encoding}
            )
        rows += _of_checkpoints(one, other, known[sets], cluster, seed)
    rows = adjust(rows)
    _show(rows, markdown=markdown)
    if json is not None:
        write_answer(json, {"seed": seed, "differences": [asdict(row) for row in rows]})


def _of_checkpoints(
    one: Checkpoint, other: Checkpoint, tags: Tags, cluster: str | None, seed: int
) -> list[Difference]:
    from backfire.comparing import compare_checkpoints, compare_wrappers

    rows = compare_checkpoints(one, other, tags, cluster=cluster, seed=seed)
    if cluster not in (None, "prompt"):
        for name in dict.fromkeys(row.prompts for row in rows if row.unit == "prompt"):
            warn(f"{name}: no prompt has {cluster!r}, so each is a unit of its own")
    return [*rows, *compare_wrappers(one, other, tags)]


def _distinct(checkpoints: list[Checkpoint], runs: Sequence[Path]) -> list[Checkpoint]:
    """Checkpoints under their files' names where two are of one model."""
    from dataclasses import replace

    names = [one.name for one in checkpoints]
    if len(set(names)) == len(names):
        return checkpoints
    return [replace(one, name=str(run)) for one, run in zip(checkpoints, runs, strict=True)]


def _same_settings(one: Checkpoint, other: Checkpoint) -> None:
    for key in one.settings.keys() & other.settings.keys():
        if one.settings[key] != other.settings[key]:
            warn(
                f"{key} differs: {one.settings[key]} in {one.name}, {other.settings[key]} in {other.name}; "
                "the difference is that of the setting, too"
            )
    for judge in one.judges.keys() & other.judges.keys():
        if one.judges[judge] != other.judges[judge]:
            warn(
                f"the judge {judge} is not the same in {one.name} and {other.name} (its model, words or threshold differ): "
                "the difference is that of the judge, too"
            )
    apart = sorted(
        name for name in one.methods.keys() & other.methods.keys() if one.methods[name] != other.methods[name]
    )
    if apart:
        warn(f"other parameters of {', '.join(apart)} in {one.name} than in {other.name}")
    if one.together and other.together and one.methods != other.methods:
        warn(f"any attack is not compared: {one.name} and {other.name} met different attacks")


def _one_sided(one: Checkpoint, other: Checkpoint) -> None:
    from backfire.comparing.matching import one_sided
    from backfire.evaluation import NO_BENIGN

    if left := one_sided(one, other):
        warn(f"on one side only, and not compared: {', '.join(left)}")
    both = [name for name in one.sets if name in other.sets]
    if both and all(one.harm(name) for name in both):
        warn(NO_BENIGN)


def _tags(
    sets: Mapping[str, str], files: Sequence[str], how: Mapping[str, Any]
) -> dict[str, Mapping[str, str]]:
    """What is known of the prompts: from the files named, and from those the attacks name where they are there."""
    from backfire.errors import BackfireError

    found: dict[str, Mapping[str, str]] = {}
    for reference in sets.values():
        if not reference.startswith("organism:") and not Path(reference).is_file():
            continue
        try:
            found |= {prompt.id: prompt.tags for prompt in open_prompts(reference, **how)}
        except BackfireError:
            continue  # a run's set of another name; its prompts then stand alone, or --cluster says what is missing
    for file in files:
        found |= {prompt.id: prompt.tags for prompt in open_prompts(file, **how)}
    return found


def _show(rows: Sequence[Difference], *, markdown: bool) -> None:
    """A table a claim and first policy; where no row of a claim has enough units, one line in its place."""
    from backfire.comparing.differences import FEW

    recipes = any(row.claim == RECIPES and row.p is not None for row in rows)
    for claim in dict.fromkeys(row.claim for row in rows):
        mine = [row for row in rows if row.claim == claim]
        if recipes and claim != RECIPES:
            say(f"{claim.capitalize()}: {len(mine)} rows, in --json FILE.")
            continue
        reasons = dict.fromkeys(row.reason for row in mine if row.reason)
        if all((row.reason or "").startswith(FEW) for row in mine):
            say(f"{claim.capitalize()}: {'; '.join(map(str, reasons))}.")
            continue
        for first in dict.fromkeys(row.first for row in mine):
            title = f"{claim.capitalize()}: less {first}, in points"
            _print(title, [row for row in mine if row.first == first], markdown=markdown)
        for reason in reasons:
            say(f"{sum(row.reason == reason for row in mine)} of {len(mine)} rows: {reason}")


def _print(title: str, rows: Sequence[Difference], *, markdown: bool) -> None:
    bounds = any(row.unscored for row in rows)
    headings = ["policy", "prompts", "judge", "units", "n"]
    headings += ["unscored"] if bounds else []
    headings += ["first", "policy", "difference", "95% interval"]
    headings += ["bounds"] if bounds else []
    headings += ["p", "Holm"]
    lines = [_cells(row, bounds=bounds) for row in rows]
    if markdown:
        say(f"**{title}**\n\n| {' | '.join(headings)} |\n|{'-|' * len(headings)}")
        for line in lines:
            say(f"| {' | '.join(each.replace('|', chr(92) + '|') for each in line)} |")
        say()
        return
    shown = table(*headings, left=3)
    for line in lines:
        shown.add_row(*line)
    show(shown, title)


def _cells(row: Difference, *, bounds: bool) -> list[str]:
    return [
        row.second,
        row.prompts + (", refusals" if row.outcome == "refusal" else ""),
        row.judge,
        f"{row.units} {row.unit}{'' if row.units == 1 else 's'}",
        str(row.n),
        *([str(row.unscored)] if bounds else []),
        percent(row.first_rate),
        percent(row.second_rate),
        _points(row.difference),
        "–" if row.low is None else f"{_points(row.low)} to {_points(row.high)}",
        *([f"{_points(row.lowest)} to {_points(row.highest)}"] if bounds else []),
        _p(row.p),
        _p(row.adjusted),
    ]


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "<.0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0")

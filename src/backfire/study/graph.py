"""Every stage of a study, each once, after those that make its inputs.

A new kind of stage is a function that yields stages for a cell, in one of the two lists below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backfire.errors import StudyError
from backfire.study.cells import Cell, RunFolder
from backfire.study.data_sets import pair_stages, repair_stages
from backfire.study.evaluating import attack_stages, general_stages
from backfire.study.measuring import audit_stages, influence_stages, margin_stages, probes_stages
from backfire.study.rewarding import reward_stages, rloo_stages
from backfire.study.sampling import human_stages, sample_stages, score_stages
from backfire.study.stage import Stage, dependencies
from backfire.study.training import pilot_stages, train_stages

Kind = Callable[[RunFolder, Cell], Iterator[Stage[Any]]]
"""Yields the stages of one kind that a cell has. Cells that share an artifact yield the same stage."""

DATA: tuple[Kind, ...] = (
    sample_stages,
    human_stages,
    reward_stages,
    score_stages,
    probes_stages,
    pair_stages,
    influence_stages,
    repair_stages,
)
"""What gives the data sets, which cells share: each kind is done for all cells before the next."""
CELL: tuple[Kind, ...] = (
    audit_stages,
    pilot_stages,
    train_stages,
    rloo_stages,
    attack_stages,
    general_stages,
    margin_stages,
)
"""What is done to one cell after another."""


def stages_of(
    run: RunFolder, cells: Sequence[Cell], *, data: Sequence[Kind] = DATA, cell: Sequence[Kind] = CELL
) -> list[Stage[Any]]:
    """Every stage that the cells need.

    Raises:
        StudyError: an input lies where stages write and no stage makes it, or two different stages write one folder.
    """
    listed: dict[Path, Stage[Any]] = {}
    pairs = [(kind, one) for kind in data for one in cells] + [(kind, one) for one in cells for kind in cell]
    for kind, one in pairs:
        for stage in kind(run, one):
            known = listed.setdefault(stage.folder, stage)
            if (known.verb, known.settings, known.inputs) != (stage.verb, stage.settings, stage.inputs):
                raise StudyError(
                    f"{stage.name!r} and {known.name!r} would write {stage.folder}: name them apart"
                )
    return in_order(listed.values())


def in_order(stages: Iterable[Stage[Any]]) -> list[Stage[Any]]:
    """The stages in their order, but each after those that make its inputs, and without those that no stage uses."""
    by_name = {stage.name: stage for stage in stages}
    needs = dependencies(list(by_name.values()))

    def with_needs(names: Iterable[str]) -> list[str]:
        """These names, each after what it needs."""
        ordered: dict[str, None] = {}
        visited: set[str] = set()

        def add(name: str) -> None:
            if name not in visited:
                visited.add(name)
                for need in needs[name]:
                    add(need)
                ordered[name] = None

        for name in names:
            add(name)
        return list(ordered)

    used = set(with_needs(name for name, stage in by_name.items() if not stage.only_if_used))
    return [by_name[name] for name in with_needs(name for name in by_name if name in used)]

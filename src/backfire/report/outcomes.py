"""What every prompt came to, as attacks wrote it: `backfire attack --json` files, and the cells of a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.report.results import read_results
from backfire.store.artifacts import read_json

Outcomes = Mapping[str, bool | None]
"""By prompt id; None unscored."""


@dataclass(frozen=True)
class Checkpoint:
    """One policy's outcomes."""

    name: str
    sets: Mapping[str, Mapping[str, Outcomes]]
    """set -> judge -> outcomes: judged harmful in attacks, refused elsewhere."""
    attacks: frozenset[str]
    references: Mapping[str, str] = field(default_factory=dict)
    """Where the prompts of a set came from, as far as the file says."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What must be the same for a comparison: decoding, seed, wrapper, as far as the file says."""


@dataclass(frozen=True)
class AttackedCell:
    """A cell of a study, with its policy's outcomes."""

    id: str
    recipe: str
    start: tuple[str, str, str]
    """Family, target and world: what a cell shares with its baseline."""
    seed: int
    checkpoint: Checkpoint

    @property
    def world(self) -> str:
        return self.start[2]


def read_checkpoint(path: Path, name: str | None = None) -> Checkpoint:
    """Read a file that `backfire attack --json` (or a study's attack) wrote. Raises InputError for any other."""
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): name a file written by `backfire attack --json`"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("outcomes"), dict) or "asr" not in found:
        raise InputError(
            f"{path} holds no outcomes of single prompts: attack again with this version and --json, or name a run folder"
        )
    return Checkpoint(
        name=name
        or str(found.get("model") or (path.parent.parent.name if path.stem == "attack" else path.stem)),
        sets=found["outcomes"],
        attacks=frozenset(row["attack"] for row in (*found["asr"], *found.get("any_attack", ()))),
        references=found.get("sets") or {},
        settings={
            key: found[key] for key in ("decoding", "seed", "system", "wrapper", "suite") if key in found
        },
    )


def read_cells(folder: Path) -> list[AttackedCell]:
    """The cells of a run folder whose attack is there; raises InputError where none is."""
    cells = []
    for cell in read_results(folder).cells:
        place = cell.provenance.get("attack")
        if not isinstance(place, str) or not (folder / place).is_file():
            continue
        world = "" if cell.world is None else str(cell.world)
        checkpoint = read_checkpoint(folder / place, cell.id)
        if world and not checkpoint.references:
            sets = {name: f"organism:w{world}:prompts/{name}" for name in checkpoint.sets}
            checkpoint = Checkpoint(cell.id, checkpoint.sets, checkpoint.attacks, sets)
        start = (cell.family, cell.target, world)
        cells.append(AttackedCell(cell.id, cell.recipe, start, cell.seed, checkpoint))
    if not cells:
        raise InputError(
            f"{folder} has no cell whose attack is there: name the run folder itself, not its results.json"
        )
    return cells

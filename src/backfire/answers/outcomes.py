"""What every prompt came to, as attacks wrote it: `backfire attack --json` files, and the cells of a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backfire.answers.comparisons import Outcome
from backfire.answers.results import read_results
from backfire.errors import InputError
from backfire.store.artifacts import manifest_digest, read_json

Outcomes = Mapping[str, bool | None]
"""By prompt id; None unscored."""


@dataclass(frozen=True)
class Checkpoint:
    """One policy's outcomes."""

    name: str
    sets: Mapping[str, Mapping[str, Outcomes]]
    """set -> judge -> outcomes: judged harmful in attacks, refused elsewhere."""
    attacks: frozenset[str]
    """The sets that are attacks; neither these nor those of `together` are benign."""
    together: Mapping[str, int] = field(default_factory=dict)
    """Sets that say which requests any of several attacks broke: of how many."""
    clusters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """set -> prompt id -> the behaviour that its prompts share, as far as the file says."""
    judges: Mapping[str, str] = field(default_factory=dict)
    """name -> id, as far as the file says."""
    methods: Mapping[str, Any] = field(default_factory=dict)
    """The ways of asking by name, with their parameters, as far as the file says."""
    references: Mapping[str, str] = field(default_factory=dict)
    """Where the prompts of a set came from, as far as the file says."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What must be the same for a comparison: decoding, seed, wrapper, as far as the file says."""
    scored: frozenset[str] = frozenset()
    """Tasks of another tool's log, whose outcomes are the tool's own scores."""
    unit: str = "behaviour"
    """What `clusters` are called."""

    def harm(self, name: str) -> bool:
        """Whether the set's outcomes are harm, and not refusals."""
        return name in self.attacks or name in self.together

    def outcome(self, name: str) -> Outcome:
        """What an outcome of the set says where it is true."""
        return "score" if name in self.scored else "harmful" if self.harm(name) else "refusal"


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
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): name a file written by `backfire attack --json`"
        ) from error
    return checkpoint_of(path, content, name)


def checkpoint_of(path: Path, content: Any, name: str | None = None) -> Checkpoint:
    """What `backfire attack --json` wrote, which was read from `path`, as a checkpoint. Raises InputError for anything else."""
    if not isinstance(content, dict) or not isinstance(content.get("outcomes"), dict) or "asr" not in content:
        raise InputError(
            f"{path} holds no outcomes of single prompts: attack again by this version's `backfire attack "
            f"--json FILE`, or name a run folder"
        )
    _check(path, content["outcomes"])
    try:
        attacks = frozenset(str(row["attack"]) for row in content["asr"])
        together = {str(row["attack"]): int(row["attacks"]) for row in content.get("any_attack") or ()}
        methods = {str(row["attack"]): row.get("parameters") for row in content.get("attacks") or ()}
        clusters = {
            str(name): {str(prompt): str(group) for prompt, group in groups.items()}
            for name, groups in (content.get("clusters") or {}).items()
        }
        judges = {str(judge): str(known) for judge, known in (content.get("judges") or {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is no whole file of `backfire attack --json` ({error!r}): write it anew by `backfire attack --json FILE`"
        ) from error
    return Checkpoint(
        name=name
        or str(content.get("model") or (path.parent.parent.name if path.stem == "attack" else path.stem)),
        sets=content["outcomes"],
        attacks=attacks,
        together=together,
        clusters=clusters,
        judges=judges,
        methods=methods,
        references=content.get("sets") or {},
        settings={
            key: content[key] for key in ("decoding", "seed", "system", "wrapper", "suite") if key in content
        },
    )


def _check(path: Path, sets: Mapping[str, Any]) -> None:
    """Raise InputError for outcomes that are no true, false or null by set, judge and prompt."""
    for name, judges in sets.items():
        if not isinstance(judges, dict):
            raise InputError(
                f"{path}: the outcomes of {name!r} are no object of judges: write it anew by `backfire attack --json FILE`"
            )
        for judge, outcomes in judges.items():
            if not isinstance(outcomes, dict) or not outcomes:
                raise InputError(
                    f"{path}: the outcomes of {name!r} by {judge!r} hold no prompt: write it anew by `backfire attack --json FILE`"
                )
            if wrong := [p for p, outcome in outcomes.items() if not isinstance(outcome, bool | None)]:
                raise InputError(
                    f"{path}: the outcome of {wrong[0]!r} in {name!r} by {judge!r} is {outcomes[wrong[0]]!r}: write true, "
                    "false or null"
                )


def read_cells(folder: Path) -> list[AttackedCell]:
    """The cells of a run folder whose attack is there.

    Raises InputError where none is, and where an attack was run anew since results.json was written.
    """
    cells = []
    for cell in read_results(folder).cells:
        place = cell.provenance.get("attack")
        if not isinstance(place, str) or not (folder / place).is_file():
            continue
        _check_current(folder, place, cell.provenance.get("attack_digest"))
        world = "" if cell.world is None else str(cell.world)
        checkpoint = read_checkpoint(folder / place, cell.id)
        if world and not checkpoint.references:
            sets = {name: f"organism:w{world}:prompts/{name}" for name in checkpoint.sets}
            checkpoint = replace(checkpoint, references=sets)
        start = (cell.family, cell.target, world)
        cells.append(AttackedCell(cell.id, cell.recipe, start, cell.seed, checkpoint))
    if not cells:
        raise InputError(
            f"{folder} has no cell whose attack is there: name the run folder itself, not its results.json"
        )
    return cells


def _check_current(folder: Path, place: str, known: object) -> None:
    try:
        digest_now = manifest_digest((folder / place).parent)
    except ValueError:
        digest_now = "no JSON"
    if known and digest_now and digest_now != known:
        raise InputError(
            f"{folder / place} is not the one that {folder / 'results.json'} was made from: a run has begun and not finished "
            "since. Run the study again"
        )

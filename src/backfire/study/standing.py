"""Which stages of a study are done in its run folder."""

from __future__ import annotations

from pathlib import Path

from backfire.answers.standing import CellStanding, StudyStanding
from backfire.study.cells import RunFolder, grid
from backfire.study.graph import stages_of
from backfire.study.plan import StudyFile


def standing_of(study: StudyFile, folder: str | Path) -> StudyStanding:
    """How far a study is; nothing is run, and the folder need not be there."""
    root = Path(folder).resolve()
    run = RunFolder(root, (Path(study.ledger) if study.ledger else root / "ledger.db").resolve())
    cells = grid(study)
    done = {stage.folder: (stage.name, stage.done()) for stage in stages_of(run, cells)}
    places = {
        "pair": run.pairs,
        "audit": run.audit,
        "train": run.policy,
        "attack": run.attack,
        "general": run.general,
    }
    of_cells = {place(cell) for cell in cells for place in places.values()}
    standings = tuple(
        CellStanding(
            cell.label,
            cell.folder_name,
            {verb: done[place(cell)][1] if place(cell) in done else None for verb, place in places.items()},
        )
        for cell in cells
    )
    return StudyStanding(
        name=study.name,
        folder=str(root),
        cells=standings,
        shared={name: state for artifact, (name, state) in done.items() if artifact not in of_cells},
        stages=len(done),
        done=sum(state for _, state in done.values()),
    )

"""What finished artifacts of a study hold, for the stages that come after."""

from __future__ import annotations

from pathlib import Path

from backfire.errors import StudyError
from backfire.records import Response
from backfire.store import Ledger, read_json
from backfire.study.cells import SFT, Cell, RunFolder
from backfire.study.stage import read_stage


def stored_responses(ledger: Ledger, folder: Path) -> list[Response]:
    """The responses that a sample or human artifact lists, in its order."""
    listed = read_stage(folder)
    ids = listed.get("responses", [*listed.get("chosen", ()), *listed.get("rejected", ())])
    found = ledger.responses(ids)
    if lost := sum(i not in found for i in ids):
        raise StudyError(
            f"{ledger.path} lacks {lost} of the {len(ids)} responses that {folder} lists: was the ledger moved or "
            f"replaced? Put it back, or remove {folder.parent} so that they are drawn again"
        )
    return [found[i] for i in ids]


def pairs_built(run: RunFolder, cell: Cell) -> int:
    """How many pairs the cell has; a cell without any is neither audited nor trained."""
    about = run.data(cell) / "pairs" / "pairs.json"
    return int(read_json(about)["counts"]["built"]) if about.is_file() else 0


def trained_policy(run: RunFolder, cell: Cell) -> str | None:
    """What the cell's tests open: the SFT checkpoint itself, or what was trained; None where nothing was."""
    if cell.recipe == SFT:
        return cell.policy
    policy = run.cell(cell) / "policy"
    return str(policy) if (policy / "training.json").is_file() else None

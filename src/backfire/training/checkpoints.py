"""Checkpoints of a training that is long: where they lie, which of them is whole, and going on from it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from backfire.errors import InputError, setting
from backfire.models.sharded import same_everywhere
from backfire.records import digest
from backfire.store import read_json, write_json
from backfire.training.settings import TrainingSettings
from backfire.training.sharding import processes

WHOLE = "backfire.json"
"""Written last into a checkpoint's folder, so that a checkpoint without it is not whole."""
LAST = 2


def folder_beside(out: Path) -> Path:
    """Where the checkpoints of a training that writes `out` lie."""
    return out.with_name(f"{out.name}.checkpoints")


def identity(method: str, made_of: Mapping[str, str], settings: TrainingSettings, rows: Any) -> str:
    """What a checkpoint has to be of: the training's settings, its token rows and how many processes share it.

    made_of: digests of the contents of what it is made of, such as the policy's weights.
    """
    data = hashlib.sha256()
    for batch in rows.data.to_batches():
        data.update(batch.serialize())
    return digest(
        "checkpoint", method, dict(made_of), settings.model_dump(mode="json"), data.hexdigest(), processes()
    )


class Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Marks each checkpoint as whole once all processes have written their part, with what the trainer keeps beside it."""

    def __init__(self, folder: Path, about: str) -> None:
        self.folder = folder
        self.about = about
        self.resumed_from: int | None = None
        self.trainer: Any = None

    def arguments(self, every: int) -> dict[str, Any]:
        """Arguments of a trainer that saves them."""
        return {
            "output_dir": str(self.folder),
            "save_strategy": "steps",
            "save_steps": every,
            "save_total_limit": LAST,
        }

    def latest(self, trainer: Any) -> str | None:
        """The last whole checkpoint of the same training, in all processes; what its trainer kept is taken up.

        Raises InputError where the folder has checkpoints of another training.
        """
        self.trainer = trainer
        chosen, step, state, others = same_everywhere(
            self._last_whole() if trainer.is_world_process_zero() else None
        )
        if others:
            raise InputError(
                f"{self.folder} has checkpoints of a training with another policy, other settings, data or processes: remove the"
                f" folder, or give {setting('checkpoint_every')} the same ones as then"
            )
        self.resumed_from = step
        if state is not None:
            trainer.take_up(state)
        return None if chosen is None else str(chosen)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer = self.trainer
        trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            where = self.folder / f"checkpoint-{state.global_step}"
            write_json(
                where / WHOLE,
                {"about": self.about, "step": state.global_step, "trainer": trainer.kept_beside()},
            )

    def remove(self) -> None:
        """Once the training has ended and its output is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _last_whole(self) -> tuple[Path | None, int | None, Any, bool]:
        marks = [(path.parent, read_json(path)) for path in sorted(self.folder.glob(f"checkpoint-*/{WHOLE}"))]
        mine = [(mark["step"], where, mark) for where, mark in marks if mark.get("about") == self.about]
        if not mine:
            return None, None, None, bool(marks)
        step, where, mark = max(mine, key=lambda one: one[0])
        return where, step, mark.get("trainer"), False

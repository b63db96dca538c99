"""`init`: the file that a project begins with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from backfire.cli.command import Command, OutputFile
from backfire.cli.terminal import say, warn
from backfire.settings import Argument, FolderReference

if TYPE_CHECKING:
    from backfire.study import Material


class Init(Command):
    """Write a commented study file, or the rules of a release check, for what lies in a folder.

    Models, preference data and prompts are looked for in the folder and in those below it. Where everything that is needed is
    there, `backfire study run` takes the file as it is. What is lacking stands in it as a comment with an example.
    """

    folder: Annotated[FolderReference, Argument()] = Path()
    """The folder to look through. Where it is not given, the current one."""
    kind: Literal["study", "release"] = "study"
    """Which file is written: that of a study, or the rules of a release check."""
    out: OutputFile | None = None
    """The file to write. Where it is not given, study.yaml or release.yaml in the current folder."""
    force: bool = False
    """Replace a file that is there already."""

    def run(self) -> None:
        from backfire.errors import InputError
        from backfire.store import write_text
        from backfire.study import look_around, read_study, release_text, study_text

        out = self.out or Path(f"{self.kind}.yaml")
        if out.exists() and not self.force:
            raise InputError(f"{out} is there already: give --out another file, or --force to replace it")
        there = look_around(self.folder)
        write_text(out, study_text(there) if self.kind == "study" else release_text(there))
        for what, paths in _parts(there).items():
            say(f"{what}: {', '.join(path.as_posix() for path in paths) or 'none'}")
        lacking = there.lacking(self.kind)
        for what in lacking:
            warn(f"{out} lacks {what}: fill in the commented line")
        if self.kind == "study" and not lacking:
            read_study(out)
            say(f"in {out}: read it, and change what you will. Then:")
            say(f"backfire study run {out}")
        else:
            say(f"in {out}: read it, and change what you will")


def _parts(there: Material) -> dict[str, list[Path]]:
    return {
        "models": there.models,
        "reward models": there.reward_models,
        "preference data": there.preferences,
        "prompts to train on": [] if there.asked is None else [there.asked],
        "harmful prompts": there.harmful,
        "benign prompts": there.benign,
    }

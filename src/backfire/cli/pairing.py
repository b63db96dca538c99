"""`pair` and `recipes`: from stored responses to preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from backfire.cli.command import Command, LedgerFile, OutputFolder
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import present, say, warn
from backfire.pairs.settings import StoredPairSettings
from backfire.settings import FileReference, Metavar


def _of_pairs(folder: Path) -> Path:
    if folder.is_file():
        raise ValueError("this is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pairs.json").is_file():
        raise ValueError("this folder holds something that is not pairs: name a new folder")
    return folder


class Pair(Command):
    """Build preference pairs from stored responses by a recipe.

    Roles are sources in the ledger: the names that `sample`, `import` and `score` print. Prompts that give no
    pair are counted by reason. Exit code 1 where there is no pair at all.
    """

    recipe: Annotated[str, Metavar("NAME")]
    """The recipe's name. `backfire recipes` lists those that there are."""
    ledger: LedgerFile
    """The SQLite file that holds responses, scores and verdicts."""
    out: Annotated[OutputFolder, AfterValidator(_of_pairs)]
    """The folder that the pairs are written to, in place of pairs that stand there. TRL and datasets read it."""
    settings: StoredPairSettings = StoredPairSettings()

    def run(self) -> int | None:
        from backfire.pairs import pair_stored, write_pairs
        from backfire.report import built_parts

        on_interruption = f"every finished part is in {self.ledger}; run the same command again to go on"
        with keeping(on_interruption), progress(f"ranking for {self.recipe}") as advance:
            done = pair_stored(self.recipe, self.ledger, self.settings, progress=advance)
        for note in done.notes:
            warn(note)
        write_pairs(self.out, done.built)
        present(built_parts(done.built, self.out))
        return None if done.built.pairs else PARTLY


class Recipes(Command):
    """List the recipes: who writes each side, and how one response is picked."""

    recipes: Annotated[FileReference | None, Metavar("FILE")] = None
    """A YAML file with recipes of your own."""

    def run(self) -> None:
        from backfire.pairs import load_recipes
        from backfire.report import recipes_table

        present([recipes_table(load_recipes(self.recipes).values())])
        say(
            "first: the first sample; best, worst: by the reward model's score. Add your own by --recipes FILE."
        )

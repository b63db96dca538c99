"""`prompts`: the published sets that prompts are taken from by name."""

from __future__ import annotations

from typing import Annotated

from backfire.cli.command import Command
from backfire.cli.terminal import present, say
from backfire.settings import FolderReference, Metavar


class Prompts(Command):
    """List published prompt sets with their licences; none comes with backfire.

    A set is fetched from its publisher when it is first named. Its content is pinned, and it is kept in the user's cache.
    """

    fetch: Annotated[tuple[str, ...], Metavar("NAME")] = ()
    """Fetch this set now, and check it."""
    prompts_dir: Annotated[FolderReference | None, Metavar("FOLDER")] = None
    """The folder where files of published sets lie, for machines without a network. Where it is not given, the variable
    BACKFIRE_PROMPTS names it."""

    def run(self) -> None:
        from backfire.prompts import find_file, open_prompt_set, prompt_sets
        from backfire.report import prompt_sets_table

        for name in self.fetch:
            say(f"{name}: {len(open_prompt_set(name, folder=self.prompts_dir))} prompts")
        present(
            [
                prompt_sets_table(
                    (one, find_file(one, self.prompts_dir) is not None) for one in prompt_sets().values()
                )
            ]
        )
        say(
            "NAME:N takes the first N. `here`: its file was fetched or lies in the folder; else it is fetched when named."
        )

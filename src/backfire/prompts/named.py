"""Prompts from whatever a user names: a published set, an organism's set, a data set on the hub, or a file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backfire.organisms import catalog
from backfire.prompts.published import is_prompt_set, open_prompt_set
from backfire.records import Kind, Prompt
from backfire.store import PromptFile, read_prompts


def open_prompts(
    reference: str,
    *,
    column: str | None = None,
    kind: Kind | None = None,
    folder: str | Path | None = None,
    split: str | None = None,
    encoding: str | None = None,
) -> PromptFile:
    """Prompts of a published set by name (`advbench`, `advbench:100`), `organism:prompts/NAME` (or `NAME:60`), `hub:OWNER/NAME` or a
    file.

    Args:
        column: where a file's or a hub data set's prompts are; None finds it, as `read_prompts` does.
        kind: the kind of every prompt that does not say.
        folder: where files of published sets lie, as `open_prompt_set` has it.
        split, encoding: of files, folders and hub data sets, as `read_prompts` has them.

    Raises:
        InputError: what each of these raises.
    """
    if is_prompt_set(reference):
        return PromptFile(tuple(open_prompt_set(reference, folder=folder)), "prompt", {})
    if reference.startswith(catalog.PREFIX):
        return PromptFile(tuple(catalog.world_prompts(reference)), "prompt", {})
    return read_prompts(reference, column=column, kind=kind, split=split, encoding=encoding)


def prompts_of(prompts: Any, **how: Any) -> Sequence[Prompt]:
    """Prompts as they are given, or those of a reference, read as `open_prompts` reads them (`how`).

    Warns of rows that are left out, and of a column `kind` that was not read as one.
    """
    if not isinstance(prompts, (str, Path)):
        return list(prompts)
    read = open_prompts(str(prompts), **how)
    if read.left_out:
        counts = ", ".join(f"{reason} {count}" for reason, count in read.left_out.items())
        warnings.warn(f"{prompts}: rows left out: {counts}", stacklevel=2)
    if read.ignored is not None:
        warnings.warn(
            f"{prompts}: the column {read.ignored!r} says neither harmful nor benign, and was not read as the kind",
            stacklevel=2,
        )
    return read.prompts

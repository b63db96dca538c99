"""References of a study, read in a world of organisms."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from backfire.organisms.catalog import PREFIX, says_world, split_reference


def in_world(reference: str, world: str | None) -> str:
    """`organism:llama/target` in world `w7` is `organism:w7:llama/target`; other references stay."""
    if world is None or not reference.startswith(PREFIX) or says_world(reference):
        return reference
    return f"{PREFIX}{world}:{reference.removeprefix(PREFIX)}"


def worlds_named(settings: BaseModel) -> tuple[str, ...]:
    """The worlds that references anywhere in the settings name, `w0` for those that name none."""
    references: list[Any] = re.findall(f'"({PREFIX}[^"]*)"', settings.model_dump_json())
    return tuple(sorted({split_reference(reference)[0] for reference in references}))

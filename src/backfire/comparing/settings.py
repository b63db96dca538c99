"""The settings of a comparison."""

from __future__ import annotations

from typing import Annotated

from backfire.settings import Metavar, PromptsReference, Settings
from backfire.store.settings import PromptReading


class CompareSettings(Settings):
    """What policies are compared with, and which of their prompts belong together."""

    baseline: Annotated[str, Metavar("RECIPE")] = "sft"
    """The recipe with which a run's other recipes are compared."""
    cluster: Annotated[str | None, Metavar("TAG")] = None
    """Prompts that share this column or tag are one unit, in the sets that have it. With prompt, each prompt is a unit of
    its own. Where it is not given, the unit is noun (the behaviour) where the prompts are organisms', the behaviours in the
    attack files, and the prompt elsewhere."""
    prompts: Annotated[tuple[PromptsReference, ...], Metavar("FILE")] = ()
    """A file of prompts whose columns hold the cluster's tag and the wrapper, where the attack files do not name it."""
    reading: PromptReading = PromptReading()
    """How files of prompts are read."""
    threshold: float | None = None
    """The number from which on a score in a log of another tool counts as a hit, where its scores are not 0 and 1 alone."""
    seed: int = 0
    """The seed of the bootstrap."""

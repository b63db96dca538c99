"""A preference pair and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from backfire.records import PairBody, Prompt, Response, digest


@dataclass(frozen=True)
class Pair:
    """Two responses to one prompt: `chosen` is to be preferred over `rejected`."""

    prompt: Prompt
    recipe: str
    chosen: Response
    rejected: Response
    chosen_role: str
    rejected_role: str
    chosen_score: float | None = None
    """The reward model's score, in its own unit; None where nobody scored."""
    rejected_score: float | None = None

    def __post_init__(self) -> None:
        if not self.prompt.id == self.chosen.prompt_id == self.rejected.prompt_id:
            raise ValueError(
                f"the sides of a pair answer different prompts: {self.chosen.id}, {self.rejected.id}"
            )

    @property
    def body(self) -> PairBody:
        """What is read and trained on: the prompt and its two completions."""
        return PairBody(self.prompt, self.chosen.completion, self.rejected.completion)

    @property
    def exchanged(self) -> Pair:
        """The pair with chosen in the place of rejected, roles and scores with them."""
        return replace(
            self,
            chosen=self.rejected,
            rejected=self.chosen,
            chosen_role=self.rejected_role,
            rejected_role=self.chosen_role,
            chosen_score=self.rejected_score,
            rejected_score=self.chosen_score,
        )

    @cached_property
    def id(self) -> str:
        return digest("pair", self.recipe, self.prompt.id, self.chosen.id, self.rejected.id)

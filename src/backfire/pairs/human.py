"""Human-labelled preference data, as prompts and responses that recipes choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backfire.errors import InputError
from backfire.organisms import catalog
from backfire.pairs.settings import HUMAN_ROLES
from backfire.records import Prompt, Response, given_response


@dataclass(frozen=True)
class HumanResponses:
    """Prompts with the response that people preferred, and the one that they did not."""

    prompts: list[Prompt]
    chosen: list[Response]
    rejected: list[Response]
    left_out: dict[str, int]
    """Rows without a pair of texts, by reason."""

    def by_role(self) -> dict[str, list[Response]]:
        """The responses by the recipes' two roles of people."""
        return dict(zip(HUMAN_ROLES, (self.chosen, self.rejected), strict=True))


def open_human(reference: str, **reading: Any) -> HumanResponses:
    """Read `organism:human`, or preference data in any form that `backfire.audit` reads.

    Of a prompt that stands in several pairs, the first counts. A pair with a side that calls tools is left out, since the
    ledger holds texts. Both responses carry the source `human`.

    Args:
        reading: how the data are read, as `open_preferences` takes it.
    """
    if reference.startswith(catalog.PREFIX):
        world, member = catalog.split_reference(reference)
        if member != "human":
            raise InputError(f"human: '{reference}' is no human-labelled set: write organism:human or a file")
        return HumanResponses(*catalog.human_responses(world), {})
    from backfire.preferences import no_pairs, open_preferences, prompt_of

    data = open_preferences(reference, **reading)
    prompts: dict[str, Prompt] = {}
    sides: tuple[list[Response], list[Response]] = ([], [])
    repeated = tools_called = 0
    for block in data.blocks():
        texts = [block.column(name).to_pylist() for name in ("chosen", "rejected")]
        for row in range(len(block)):
            if any(block.column(f"{side}_messages")[row].is_valid for side in ("chosen", "rejected")):
                tools_called += 1
                continue
            prompt = prompt_of(block, row)
            if prompt.id in prompts:
                repeated += 1
                continue
            prompts[prompt.id] = prompt
            for index, (responses, column) in enumerate(zip(sides, texts, strict=True)):
                responses.append(given_response(prompt, "human", column[row], index=index))
    left_out = {str(kind): len(rows) for kind, rows in data.defects.items()}
    if not prompts:
        raise InputError(f"human: {no_pairs(data)}")
    beside = {"duplicate prompt": repeated, "a side of several turns": tools_called}
    left_out |= {reason: count for reason, count in beside.items() if count}
    return HumanResponses(list(prompts.values()), *sides, left_out)

"""What a study reads from outside: prompts, judges, the human-labelled set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError
from backfire.organisms import catalog
from backfire.records import Kind, Prompt, Response, given_response

if TYPE_CHECKING:
    from backfire.judges import Judge


def open_prompts(reference: str, *, kind: Kind | None = None) -> list[Prompt]:
    """Prompts of a published set, `organism:prompts/NAME`, `hub:OWNER/NAME` or a file, as `attack` has them."""
    from backfire import evaluation

    return list(evaluation.open_prompts(reference, kind=kind).prompts)


def prompts_left_out(reference: str) -> dict[str, int]:
    """Rows of a file of prompts that `open_prompts` leaves out, by reason; none for an organism's set, nor for a file
    that cannot be read, which stops the stages that read it."""
    from backfire import evaluation

    try:
        return dict(evaluation.open_prompts(reference).left_out)
    except InputError:
        return {}


def open_judge(reference: str, world: str | None) -> Judge:
    """A judge by its reference, as `judges.open_judge` has it; `exact` reads the prompts of this world."""
    from backfire import judges

    return judges.open_judge(reference, world=world or catalog.SHIPPED)


def judge_of(judges: Sequence[str], world: str | None) -> str:
    """Which judge reads decisions before training: the exact one where the study uses it on organisms, else phrases."""
    return "exact" if world is not None and "exact" in judges else "phrases"


Human = tuple[list[Prompt], list[Response], list[Response], dict[str, int]]


def open_human(reference: str, **reading: Any) -> Human:
    """A human-labelled set: prompts, preferred and dispreferred responses, and rows left out by reason.

    Reads `organism:human`, or preference data in any form that `backfire.audit` reads. Of a prompt that stands in several
    pairs, the first counts. `reading` is that of `open_preferences`. A pair with a side that calls tools is left out, since the
    ledger holds texts. Both responses carry the source `human`.
    """
    if reference.startswith(catalog.PREFIX):
        world, member = catalog.split_reference(reference)
        if member != "human":
            raise InputError(f"human: '{reference}' is no human-labelled set: write organism:human or a file")
        return (*catalog.human_responses(world), {})
    from backfire.preferences import no_pairs, open_preferences, prompt_of

    data = open_preferences(reference, **reading)
    prompts: dict[str, Prompt] = {}
    sides: tuple[list[Response], list[Response]] = ([], [])
    repeated = called = 0
    for block in data.blocks():
        texts = [block.column(name).to_pylist() for name in ("chosen", "rejected")]
        for row in range(len(block)):
            if any(block.column(f"{side}_messages")[row].is_valid for side in ("chosen", "rejected")):
                called += 1
                continue
            prompt = prompt_of(block, row)
            if prompt.id in prompts:
                repeated += 1
                continue
            prompts[prompt.id] = prompt
            for index, (responses, said) in enumerate(zip(sides, texts, strict=True)):
                responses.append(given_response(prompt, "human", said[row], index=index))
    left_out = {str(kind): len(rows) for kind, rows in data.defects.items()}
    if not prompts:
        raise InputError(f"human: {no_pairs(data)}")
    beside = {"duplicate prompt": repeated, "a side of several turns": called}
    return list(prompts.values()), *sides, left_out | {why: count for why, count in beside.items() if count}

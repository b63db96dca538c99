"""What a study reads from outside: prompts, the human-labelled set, and the identity of what a reference names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError
from backfire.organisms import catalog
from backfire.records import Kind, Prompt, Response, digest, given_response
from backfire.tables.hub import PREFIX as HUB
from backfire.tables.recognising import ending_of

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


def identity_of(reference: str) -> str:
    """A digest of what a reference names: file or checkpoint contents, never its path; an endpoint's own name."""
    if reference.startswith("openai:"):
        return digest("endpoint", reference)
    if reference.startswith(catalog.PREFIX):
        world, member = catalog.split_reference(reference)
        if member.startswith("prompts/"):
            return digest("world", _contents(catalog.world_folder(world) / "world.json"), member)
        if member == "human":
            return digest("human", _contents(catalog.world_folder(world) / "human.jsonl"))
    from backfire.evaluation import is_prompt_set, prompt_sets

    if is_prompt_set(reference):
        name, _, first = reference.partition(":")
        return digest("prompt set", prompt_sets()[name].digest, first)
    if reference.startswith(HUB):
        return digest("prompts", [prompt.id for prompt in open_prompts(reference)])
    path = Path(reference)
    if path.is_file():
        return _contents(path)
    if ending_of(path) and not path.is_dir():
        raise InputError(f"there is no file {reference}: paths in a study are taken from {Path.cwd()}")
    from backfire.models.opening import reference_digest

    return reference_digest(reference)


def open_judge(reference: str, world: str | None) -> Judge:
    """A judge by its reference, as `judges.open_judge` has it; `exact` reads the prompts of this world."""
    from backfire import judges

    return judges.open_judge(reference, world=world or catalog.SHIPPED)


def judge_identity(reference: str) -> str:
    """A digest of what a judge's reference names: a file's or a model's contents, else its name."""
    kind, _, rest = reference.partition(":")
    if kind == "panel":
        rule, _, members = rest.partition(":")
        return digest("panel", rule, [judge_identity(name.strip()) for name in members.split("+")])
    if Path(reference).is_file():
        return _contents(Path(reference))
    return reference if kind == "matcher" or not rest else digest(kind, identity_of(rest))


def suite_identity(suite: str | None) -> list[dict[str, Any]]:
    """What a suite's attacks are run with; nothing where there is none."""
    if suite is None:
        return []
    from backfire.evaluation import open_suite

    return [
        {"attack": one.name, "source": one.source, "parameters": dict(one.parameters)}
        for one in open_suite(suite)
    ]


def judge_of(judges: Sequence[str], world: str | None) -> str:
    """Which judge reads decisions before training: the exact one where the study uses it on organisms, else phrases."""
    return "exact" if world is not None and "exact" in judges else "phrases"


def tasks_identity(tasks: Path | list[str], data: Path | None) -> str:
    """A digest of the general tasks: their names, or the contents of local task files and data."""
    if not isinstance(tasks, Path):
        return digest("tasks", tasks)
    folders = [tasks] if data is None else [tasks, data]
    files = sorted(p for f in folders for p in f.glob("*") if p.suffix in (".yaml", ".jsonl"))
    return digest("tasks", [[p.name, _contents(p)] for p in files or [tasks]])


def _contents(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


Human = tuple[list[Prompt], list[Response], list[Response], dict[str, int]]


def open_human(reference: str) -> Human:
    """A human-labelled set: prompts, preferred and dispreferred responses, and rows left out by reason.

    Reads `organism:human`, or preference data in any form that `backfire.audit` reads. Of a prompt that stands in several
    pairs, the first counts. Both responses carry the source `human`.
    """
    if reference.startswith(catalog.PREFIX):
        world, member = catalog.split_reference(reference)
        if member != "human":
            raise InputError(f"human: '{reference}' is no human-labelled set: write organism:human or a file")
        return (*catalog.human_responses(world), {})
    from backfire.preferences import no_pairs, open_preferences, prompt_of

    data = open_preferences(reference)
    prompts: dict[str, Prompt] = {}
    sides: tuple[list[Response], list[Response]] = ([], [])
    repeated = 0
    for block in data.blocks():
        texts = [block.column(name).to_pylist() for name in ("chosen", "rejected")]
        for row in range(len(block)):
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
    return list(prompts.values()), *sides, left_out | ({"duplicate prompt": repeated} if repeated else {})

"""What a study's references name, as digests of contents: what a stage is made from, never what it is called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from backfire.errors import InputError
from backfire.models.settings import Opening
from backfire.organisms import catalog
from backfire.pairs.human import open_human
from backfire.records import Prompt, digest
from backfire.tables.hub import PREFIX as HUB
from backfire.tables.recognising import ending_of


def identity_of(reference: str) -> str:
    """A digest of what a reference names: contents of files, checkpoints or sets, never their path; an endpoint's address."""
    if reference.startswith(catalog.PREFIX):
        world, member = catalog.split_reference(reference)
        if member.startswith("prompts/"):
            return digest("world", _contents(catalog.world_folder(world) / "world.json"), member)
        if member == "human":
            return digest("human", _contents(catalog.world_folder(world) / "human.jsonl"))
    from backfire.prompts import is_prompt_set, open_prompts, prompt_sets

    if is_prompt_set(reference):
        name, _, first = reference.partition(":")
        return digest("prompt set", prompt_sets()[name].digest, first)
    if reference.startswith(HUB):
        return digest("prompts", [prompt.id for prompt in open_prompts(reference).prompts])
    path = Path(reference)
    if path.is_file():
        return _contents(path)
    checkpoint = any((path / name).is_file() for name in ("config.json", "adapter_config.json"))
    if path.is_dir() and not checkpoint:
        return _files(path.rglob("*"), path)
    if ending_of(path) and not checkpoint:
        raise InputError(f"there is no file {reference}: paths in a study are taken from {Path.cwd()}")
    from backfire.models.opening import reference_digest

    return reference_digest(reference)


def opened_digest(identity: str, opening: Opening) -> str:
    """A digest of a model that is opened in this way: with another template, in other numbers. The device changes nothing."""
    template = None if opening.chat_template is None else _contents(Path(opening.chat_template))
    if template is None and opening.dtype == "auto":
        return identity
    return digest("opened", identity, template, opening.dtype)


def human_identity(reference: str, **reading: Any) -> str:
    """A digest of a human-labelled set, with its responses: of its file or folder, or of what the hub gives."""
    if reference.startswith(catalog.PREFIX) or Path(reference).exists():
        return identity_of(reference)
    human = open_human(reference, **reading)
    parts = ([one.id for one in part] for part in (human.prompts, human.chosen, human.rejected))
    return digest("human", *parts)


def judge_identity(reference: str, world: str | None) -> str:
    """A digest of all that decides a judge's verdicts: weights, phrases, rules, words, models; `exact` reads this world."""
    from backfire.judges import judge_digest

    return judge_digest(reference, world=world or catalog.SHIPPED)


def suite_identity(suite: str | None, means: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """What a suite's attacks are run with, and how they word a request; nothing where there is none.

    Models that translate or attack are known by their contents, and are not opened for it.
    """
    if suite is None:
        return []
    from backfire.evaluation import Means, open_suite

    return [
        {
            "attack": one.name,
            "source": one.source,
            "parameters": dict(one.parameters),
            "wording": _wording(one),
            **({"id": own} if (own := getattr(one, "id", "")) else {}),
        }
        for one in open_suite(suite, Means(**(means or {}), open=_unopened))
    ]


def _unopened(reference: str) -> Any:
    """What an attack says of a model, without the model."""
    return SimpleNamespace(name=reference, id=identity_of(reference), context=None)


def _wording(attack: Any) -> str | None:
    """A request as the attack words it; None where it is no function of the request alone."""
    try:
        return str(attack.put(Prompt.of("The request.", kind="harmful")).id)
    except (AttributeError, InputError):
        return None


def tasks_identity(tasks: Path | list[str], data: Path | None) -> str:
    """A digest of the general tasks: names and the version of the harness that has them, or local files and data."""
    if not isinstance(tasks, Path):
        from backfire.evaluation import LEADERBOARD

        preset = {name: vars(setting) for name, setting in LEADERBOARD.items()}
        return digest("tasks", tasks, version("lm-eval"), preset if "leaderboard" in tasks else None)
    folders = [tasks] if data is None else [tasks, data]
    return digest("tasks", [_files(f.rglob("*"), f) if f.is_dir() else _contents(f) for f in folders])


def _files(paths: Iterable[Path], folder: Path) -> str:
    """A digest of these files by their places in the folder."""
    files = sorted(p for p in paths if p.is_file() and "__pycache__" not in p.parts)
    return digest("files", [[p.relative_to(folder).as_posix(), _contents(p)] for p in files])


def _contents(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]

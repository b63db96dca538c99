"""What an attack is made of, opened: the model, the requests, the ways of asking and the judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from backfire.errors import InputError, setting
from backfire.evaluation.attacks import Attack, Means, check_means, open_suite, wrap
from backfire.evaluation.settings import PAPER_TOKENS, AttackSettings
from backfire.judges import Judge, open_judges
from backfire.models import EndpointModel, LocalModel, Opening, open_model
from backfire.organisms.catalog import PREFIX, world_named_by
from backfire.prompts.named import prompts_of
from backfire.records import Decoding, Kind, Prompt

WORLD_ATTACKS = ("direct", "wrapped", "unseen")
WORLD_BENIGN = ("benign", "borderline")
Model = LocalModel | EndpointModel
Sets = Mapping[str, Sequence[Prompt]]


@dataclass(frozen=True)
class AttackInputs:
    """Everything that an attack reads, opened and checked."""

    model: Model
    harmful: Sets
    benign: Sets
    ways: Sequence[Attack] | None
    """The attacks of the suite; None where there is none, and requests are put as they are."""
    judges: Sequence[Judge]
    decoding: Decoding
    settings: AttackSettings
    references: Mapping[str, str]
    """Where the prompts of each set came from, where that can be named."""

    def as_dict(self) -> dict[str, Any]:
        """What a comparison of two attacks has to know of each, as JSON."""
        local = self.model if isinstance(self.model, LocalModel) else None
        return {
            "model": self.model.name,
            "model_id": self.model.id,
            "template": self.model.template_digest,
            "decoding": self.decoding.as_dict(),
            "seed": self.settings.seed,
            "batch_size": self.settings.batch_size,
            "dtype": None if local is None else str(local.model.dtype).removeprefix("torch."),
            "device": None if local is None else str(local.device),
            "system": self.settings.system,
            "wrapper": self.settings.wrapper,
            "suite": suite_name(self.settings),
            "judges": {judge.name: judge.id for judge in self.judges},
            "sets": dict(self.references),
        }


def suite_name(settings: AttackSettings) -> str | None:
    """The suite as it was named, or the names of its attacks."""
    suite = settings.suite
    return suite if suite is None or isinstance(suite, str) else ",".join(one.name for one in suite)


def open_attack(
    model: Model | str | Path, settings: AttackSettings, opening: Opening | None = None
) -> AttackInputs:
    """Open what the settings name; the model last, so that everything else is refused before its weights are read.

    Without a set of prompts, an organism is asked its world's own. `opening` holds for the model, its dtype and device for
    the models that attack, translate and judge, too.

    Raises:
        InputError: nothing to ask, a set, a judge or an attack that cannot be opened, or a means that no attack takes.
    """
    opening = opening or Opening()
    reference = str(model) if isinstance(model, (str, Path)) else model.name
    world = settings.world or world_named_by(reference)
    harmful, benign = dict(settings.harmful), dict(settings.benign)
    if not harmful and not benign:
        if world is None:
            raise InputError(
                f"nothing to ask {reference}: give {setting('harmful')} PROMPTS (a file of harmful requests, or a set such as "
                f"advbench:100), and {setting('benign')} PROMPTS (such as xstest-safe) if over-refusal is to be measured"
            )
        harmful = {name: f"{PREFIX}{world}:prompts/{name}" for name in WORLD_ATTACKS}
        benign = {name: f"{PREFIX}{world}:prompts/{name}" for name in WORLD_BENIGN}
    requests = {name: _prompts(one, "harmful", settings) for name, one in harmful.items()}
    allowed = {name: _prompts(one, "benign", settings) for name, one in benign.items()}
    named = [
        str(one) if isinstance(one, (str, Path)) else "" for one in [*harmful.values(), *benign.values()]
    ]
    worlds = {world_named_by(name) for name in named} - {None}
    world = world or (worlds.pop() if len(worlds) == 1 else None)
    judges = settings.judges
    if judges is None:
        readable = world is not None and all(name.startswith(PREFIX) for name in named)
        judges = ("exact", "phrases") if readable else ("phrases", "refusals")
    opened_judges = open_judges(judges, world=world, threshold=settings.threshold, device=opening.device)
    opened = partial(open_model, dtype=opening.dtype, device=opening.device)
    ways = _ways(
        settings, Means(settings.shots, settings.translations, settings.translator, settings.attacker, opened)
    )
    if isinstance(model, (str, Path)):
        model = open_model(model, **opening.options())
    if settings.wrapper != "direct":
        requests = {name: wrap(prompts, settings.wrapper) for name, prompts in requests.items()}
    references = {
        name: str(one) for name, one in {**harmful, **benign}.items() if isinstance(one, (str, Path))
    }
    return AttackInputs(
        model, requests, allowed, ways, opened_judges, _decoding(settings, model), settings, references
    )


def _prompts(prompts: Any, kind: Kind, settings: AttackSettings) -> Sequence[Prompt]:
    return prompts_of(prompts, kind=kind, folder=settings.prompts_dir, **settings.reading.model_dump())


def _ways(settings: AttackSettings, means: Means) -> Sequence[Attack] | None:
    suite = settings.suite
    if suite is not None and not isinstance(suite, (str, Path)):
        return list(suite)
    check_means("" if suite is None else str(suite), means)
    return None if suite is None else open_suite(str(suite), means)


def _decoding(settings: AttackSettings, model: Model) -> Decoding:
    """The decoding, with the most tokens by the model's context where none are given."""
    context = getattr(model, "context", None)
    most = PAPER_TOKENS if context is None else min(PAPER_TOKENS, max(1, context // 4))
    given = settings.decoding
    tokens = most if given.max_new_tokens is None else given.max_new_tokens
    return Decoding(**{**given.model_dump(), "max_new_tokens": tokens})

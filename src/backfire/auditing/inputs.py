"""Everything that an audit reads, opened before any work, so that what cannot be opened is said at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.auditing.settings import PHRASES, AuditSettings
from backfire.errors import InputError
from backfire.preferences import Preferences, open_preferences

if TYPE_CHECKING:
    from backfire.influence import ProbeSets
    from backfire.judges.judge import Judge
    from backfire.models import Embedder, LocalModel
    from backfire.records import Prompt


@dataclass(frozen=True)
class Inputs:
    """The opened inputs of one audit; None for what was not asked for."""

    data: Preferences
    overlap: Preferences | None
    policy: LocalModel | None
    probes: Sequence[Prompt] | ProbeSets | None
    """Prompts that probes are drawn for, or finished probes."""
    encoder: Embedder | None
    judge: Judge | None
    """None stands for the refusal phrases."""

    @property
    def weight(self) -> int:
        """How much there is to do, in the units of `Steps`."""
        of_policy = 14 * (self.policy is not None) + 12 * (self.probes is not None)
        return 24 + 4 * (self.encoder is not None) + of_policy


def open_inputs(dataset: Any, settings: AuditSettings) -> Inputs:
    """Open the probe prompts, the policy, the encoder and the data, in this order: those that fail quickly come first.

    Raises InputError, ModelError or TemplateError for what cannot be opened.
    """
    probes = _probes(settings)
    policy = _policy(settings)
    encoder = _encoder(settings.embedder)
    data = open_preferences(dataset, **settings.reading.options())
    return Inputs(
        data=data,
        overlap=_overlap(dataset, settings),
        policy=policy,
        probes=probes,
        encoder=encoder,
        judge=None if settings.judge == PHRASES else settings.judge,
    )


def _probes(settings: AuditSettings) -> Sequence[Prompt] | ProbeSets | None:
    if not settings.probe_prompts:
        return None
    from backfire.influence import read_probes

    return read_probes(settings.probe_prompts)


def _policy(settings: AuditSettings) -> LocalModel | None:
    if settings.policy is None:
        return None
    from backfire.models.local_policy import open_local

    return open_local(settings.policy, settings.opening, lacks="hidden states")


def _encoder(embedder: Any) -> Embedder | None:
    if isinstance(embedder, (str, Path)):
        from backfire.models import open_embedder

        return open_embedder(str(embedder))
    encoder: Embedder | None = embedder
    return encoder


def _overlap(dataset: Any, settings: AuditSettings) -> Preferences | None:
    """The data set whose prompts are compared: what is said of the first holds for it, too, but for columns it lacks."""
    other = settings.overlap_with
    if other is None:
        return None
    how = settings.reading.options()
    how["split"] = settings.overlap_split
    if other != dataset:
        how["config"] = how["revision"] = how["encoding"] = None
    try:
        return open_preferences(other, **how)
    except InputError:
        if not (how.pop("columns", None) or how.pop("source_columns", None)):
            raise
        how.pop("source_columns", None)
    return open_preferences(other, **how)

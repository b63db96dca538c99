"""The answer of an audit: one schema for the object, the JSON file and the page. Field by field in docs/reference/audit-schema.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from backfire.answers.as_trained import AsTrained
from backfire.answers.audit_comparison import AuditComparison
from backfire.answers.conclusion import Conclusion, Input, ReferencePoint, SideLengths
from backfire.answers.confounds import Confounds
from backfire.answers.estimates import Accuracy, Auroc, Count, Part, ProbeResult, PromptKind, Share, Unit
from backfire.answers.in_notebooks import InNotebooks
from backfire.answers.influence import SafetyInfluence
from backfire.answers.older_files import audit_of_schema_4, audit_of_schema_5, audit_of_schema_6
from backfire.answers.topics import Topics
from backfire.errors import InputError
from backfire.store import write_json

SCHEMA = 7
"""The version of the schema that this module writes. It reads the three before, too."""


class NotRun(Part):
    """A probe that could have been run and was not."""

    probe: str
    reason: str


class FailedPart(Part):
    """A part of the answer that was begun and failed; the rest stands without it."""

    part: str
    """policy, influence or pilot."""
    reason: str


class Defect(Part):
    kind: str
    count: Count
    rows: tuple[int, ...]
    """Row numbers from 1 (line numbers of a JSONL file), the first 1,000."""


class Combination(Part):
    chosen: str
    rejected: str
    pairs: Count


class TextTellsSource(Part):
    """How well text tells which of two sources wrote it, the label unseen; pairs written by these two."""

    sources: tuple[str, str]
    pairs: Count
    pointwise: Auroc
    pairwise: Accuracy


class WithinSource(Part):
    """What is left of separability among responses of one source: compared only with one another."""

    pairs: Count
    """Pairs with a side whose source stands on both sides of the label."""
    pointwise: Auroc | None = None
    reason: str | None = None


class SourceLeak(Part):
    pairs: Count
    """Pairs whose two sources are known."""
    unknown: Count
    same_source: Count
    fixed: bool
    """No source stands on both sides, so that who wrote it decides the label: the paper's failure."""
    mapping: str
    combinations: tuple[Combination, ...]
    """The commonest 50."""
    pointwise: Auroc | None = None
    """What the source alone predicts, the text unseen."""
    pairwise: Accuracy | None = None
    text_tells_source: tuple[TextTellsSource, ...] = ()
    within_source: WithinSource
    reason: str | None = None


class Example(Part):
    row: Count
    chosen: str
    """A piece of the text around the cue."""
    rejected: str
    kind: PromptKind = "unknown"


class Loss(Part):
    """How much AUROC the cue's probe loses when it is refitted without the cue and without those that are nearly equal to it."""

    value: float
    low: float
    high: float
    control: float
    """Mean over refits on swapped labels."""


class Shortcut(Part):
    """One cue that tells the label."""

    cue: str
    probe: Literal["surface", "words"]
    family: str
    chosen: Share
    """Share of chosen responses that have it (for measures such as length: above the median of all)."""
    rejected: Share
    effect: float | None = None
    """Mean difference chosen - rejected over its standard deviation across pairs (Cohen's d_z); left out where all pairs differ
    alike, or nearly so, and there is no standard deviation to measure by."""
    effect_low: float | None = None
    effect_high: float | None = None
    effect_control: float
    alone: Auroc
    """The cue as the only feature, its direction fixed by the other folds; p is family-wise over all cues looked at."""
    pairwise: Accuracy | None = None
    """How often the cue alone says which of the two responses was chosen; p is family-wise likewise."""
    beyond_length: Unit | None = None
    """That accuracy once what length explains of the cue is taken off, at most `pairwise`; for counts alone."""
    loss: Loss
    examples: tuple[Example, ...] = ()


class Contrast(Part):
    """The four combinations of decisions on prompts of one kind."""

    prompts: Literal["harmful", "benign", "unknown", "all"]
    pairs: Count
    undecided: Count
    """Pairs with a side on which the judge gave no decision."""
    chosen_refuses_rejected_complies: Share
    chosen_complies_rejected_refuses: Share
    both_refuse: Share
    both_comply: Share
    decisions_differ: Share
    control: Unit | None = None
    """Of the pairs whose decisions differ: the share in which chosen refuses that swapped labels give, .5."""
    p: Unit | None = None
    """Two-sided, exact sign test: chosen refuses as often as it complies where decisions differ."""


class Undecided(Part):
    """Responses on which the judge gave no decision, for one reason."""

    reason: str
    chosen: Count
    rejected: Count


class Spoken(Part):
    """Responses in one language other than English."""

    language: str
    chosen: Count
    rejected: Count
    undecided: Share
    """Of these responses, those on which the judge gave no decision."""


class SafetyContrast(Part):
    judge: str
    strata: tuple[Contrast, ...]
    """`harmful` first where the data say which prompts are; `all` where they do not."""
    why_undecided: tuple[Undecided, ...] = ()
    """The commonest 20 reasons."""
    languages: tuple[Spoken, ...] = ()
    """Languages other than English that responses are in, the commonest first."""


class Mean(Part):
    """A mean over pairs with a 95% interval clustered by prompt."""

    mean: float
    low: float
    high: float
    control: float | None = None
    p: Unit | None = None


class OnPolicyness(Part):
    """Log-probability a token, in nats, under the policy."""

    policy: str
    pairs: Count
    cut: Count
    """Pairs with a side of which nothing fits the context."""
    chosen: Mean
    rejected: Mean
    gap: Mean
    """chosen - rejected; the control swaps sides."""


class PerPair(Part):
    """Where the column of V-information stands and how it is spread."""

    probe: str
    """The probe that the values are of: the one with the most V-information."""
    pairs: Count
    quantiles: dict[str, float]
    """Bits at 5, 25, 50, 75 and 95%."""
    intervals: dict[str, tuple[float, float]]
    control: dict[str, float]
    """The same quantiles on swapped labels."""
    file: str | None = None


class Map(Part):
    """A 2-D picture of the two sides: at most 300 pairs, drawn by their content."""

    probe: str
    x: str
    y: str
    chosen: tuple[tuple[float, float], ...]
    rejected: tuple[tuple[float, float], ...]


class AuditReport(Part, InNotebooks):
    """What the label of a preference data set encodes."""

    schema_: int = Field(default=SCHEMA, alias="schema")
    backfire: str
    dataset: str
    input: Input | None = None
    format: str
    columns: dict[str, tuple[str, ...]]
    reading: tuple[str, ...] = ()
    """Sentences on how it was read: what was chosen where there was a choice, and what was not read."""
    rows: Count
    pairs: Count
    """Usable pairs that were audited."""
    left_out: Count
    """Usable pairs beyond `max_pairs`."""
    prompts: Count
    """Groups of pairs with the same, or nearly the same, prompt: the clusters of every interval."""
    defects: tuple[Defect, ...]
    separability: tuple[ProbeResult, ...]
    not_run: tuple[NotRun, ...]
    failed: tuple[FailedPart, ...] | None = None
    """Parts that were begun and failed, where there are any."""
    source_leak: SourceLeak | None = None
    shortcuts: tuple[Shortcut, ...]
    confounds: Confounds
    lengths: tuple[SideLengths, ...] = ()
    """In words, and in the policy's tokens where there is a policy."""
    safety_contrast: SafetyContrast
    as_trained: AsTrained | None = None
    on_policyness: OnPolicyness | None = None
    safety_influence: SafetyInfluence | None = None
    topics: Topics | None = None
    """Topic by source by decision by predicted push; left out where it was not wanted."""
    per_pair: PerPair | None = None
    map: Map | None = None
    reference_points: tuple[ReferencePoint, ...]
    conclusion: Conclusion
    comparison: AuditComparison | None = None
    """What has changed since an earlier audit, where one is given."""
    interval: str
    """How intervals and controls were made, and what they are intervals of."""
    settings: dict[str, Any]
    seconds: dict[str, float] | None = Field(default=None, exclude=True)
    """What the time went into. Not part of the JSON, so that equal data give equal JSON."""

    model_config = ConfigDict(populate_by_name=True)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, numbers unrounded; what was not measured is left out, never null."""
        plain: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plain

    def probe(self, name: str) -> ProbeResult | None:
        """The probe of that name, where it was run."""
        return next((probe for probe in self.separability if probe.probe == name), None)


def parse_audit(value: Mapping[str, Any] | AuditReport, origin: str = "the audit") -> AuditReport:
    """Check an answer against the schema.

    Raises InputError naming the first wrong field.
    """
    if isinstance(value, AuditReport):
        return value
    if value.get("schema") == 4:
        value = audit_of_schema_4(value)
    if value.get("schema") == 5:
        value = audit_of_schema_5(value)
    if value.get("schema") == 6:
        value = audit_of_schema_6(value)
    if value.get("schema") != SCHEMA:
        raise InputError(
            f"{origin} has schema {value.get('schema')!r}, this version reads {SCHEMA}: audit the data again"
        )
    try:
        return AuditReport.model_validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the top level"
        raise InputError(f"{origin}, {where}: {first['msg']}") from error


def read_audit(path: str | Path) -> AuditReport:
    """Read what `--json` wrote. Raises InputError when it is not an audit of this schema."""
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} as an audit: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is no audit: it holds a {type(value).__name__}")
    return parse_audit(value, str(path))


def write_audit(path: str | Path, report: AuditReport) -> Path:
    """Write the answer as JSON, whole or not at all."""
    path = Path(path)
    write_json(path, report.as_dict())
    return path

"""Judges asked about files: a file judged, judges compared with people, and a rate corrected for its judge's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.answers.judge_agreement import Agreement
from backfire.judges.judge import Judge, is_lost
from backfire.judges.labelled import read_labelled, read_responses
from backfire.judges.opening import open_judges
from backfire.judges.settings import CorrectSettings, JudgeFileSettings, RequestKind, ValidateSettings, What
from backfire.judges.validating import finding, offline_judges, rows_with_verdicts, validate, verdicts_on
from backfire.records import Kind, Verdict
from backfire.statistics import ClusteredRate, clustered_rate_of
from backfire.statistics.corrected_rates import CorrectedRate, corrected_rate, sensitivity_band
from backfire.store import write_text

if TYPE_CHECKING:
    from backfire.statistics import Rate

Progress = Callable[[int, int], None]
NOBODY_VOUCHED = "nobody vouched for labels of the same policy and attack"


@dataclass(frozen=True)
class JudgedFile:
    """A file of responses with every judge's verdicts."""

    rows: Sequence[Mapping[str, Any]]
    verdicts: Mapping[str, Sequence[Verdict]]
    """By the judge's name, in the order of the rows."""
    rates: Mapping[str, ClusteredRate]
    """How many responses each judge found harmful, all responses to a prompt being one cluster."""

    @property
    def lost(self) -> int:
        """Verdicts that are missing because a judge failed: asking again may give them."""
        return sum(is_lost(verdict.reason) for verdicts in self.verdicts.values() for verdict in verdicts)

    def write(self, path: str | Path) -> Path:
        """Write every row again as JSON lines, with each judge's decision, harmful, refusal, score and reason."""
        write_text(Path(path), rows_with_verdicts(self.rows, self.verdicts))
        return Path(path)


def judge_file(
    file: str | Path,
    settings: JudgeFileSettings | None = None,
    *,
    progress: Progress | None = None,
    **keywords: Any,
) -> JudgedFile:
    """Judge a file of responses.

    Args:
        file: a table with a prompt and a response in each row; or an Inspect log, or samples of `lm_eval --log_samples`.
        settings, keywords: `JudgeFileSettings`, and its fields by name.
        progress: called with (done, total), counting one for each response and judge.

    Raises:
        InputError: a file that cannot be read, or a judge that cannot be opened.
        ModelError: a judge's model that cannot be opened.
    """
    settings = JudgeFileSettings.of(settings, **keywords)
    cases, rows = read_responses(file, **settings.columns.options(), kind=_kind(settings.kind))
    judges = open_judges(settings.judges, **settings.opening.options())
    verdicts = {
        judge.name: verdicts_on(judge, cases, progress=_part(progress, place, len(judges)))
        for place, judge in enumerate(judges)
    }
    rates = {
        name: clustered_rate_of((v.harmful, prompt.id) for v, (prompt, _) in zip(given, cases, strict=True))
        for name, given in verdicts.items()
    }
    return JudgedFile(rows, verdicts, rates)


@dataclass(frozen=True)
class Validation:
    """Judges compared with people on one file."""

    file: str
    what: What
    n: int
    prompts: int
    positive: int
    """Responses that people labelled 1."""
    agreements: tuple[Agreement, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        about = {"file": self.file, "what": self.what, "n": self.n, "prompts": self.prompts}
        return {**about, "judges": [one.as_dict() for one in self.agreements]}


def validate_judges(
    file: str | Path,
    settings: ValidateSettings | None = None,
    *,
    progress: Progress | None = None,
    **keywords: Any,
) -> Validation:
    """Compare judges with people on a file of labelled responses.

    Args:
        file: a table with a prompt, a response and a label in each row.
        settings, keywords: `ValidateSettings`, and its fields by name.
        progress: called with (done, total), counting one for each response and judge.

    Raises:
        InputError: a file or a label that cannot be read, one class of labels only, or a judge that cannot be opened.
        ModelError: a judge's model that cannot be opened.
    """
    settings = ValidateSettings.of(settings, **keywords)
    cases = read_labelled(file, **settings.columns.label_options(), kind=_kind(settings.kind))
    judges = (
        open_judges(settings.judges, **settings.opening.options()) if settings.judges else offline_judges()
    )
    agreements = tuple(
        validate(judge, cases, what=settings.what, progress=_part(progress, place, len(judges)))
        for place, judge in enumerate(judges)
    )
    prompts, positive = {case.prompt.id for case in cases}, sum(case.label for case in cases)
    return Validation(str(file), settings.what, len(cases), len(prompts), positive, agreements)


@dataclass(frozen=True)
class Correction:
    """An attack success rate with what it would be without the judge's errors, where that is allowed."""

    judge: str
    measured: CorrectedRate
    """The raw rate, the judge's errors on the labels, and the rate corrected by them, whoever vouches for the labels."""
    same_policy_and_attack: bool

    @property
    def raw(self) -> Rate:
        return self.measured.raw

    @property
    def corrected(self) -> bool:
        """Whether the corrected rate may be used."""
        return self.same_policy_and_attack and self.measured.rate is not None

    @property
    def reason(self) -> str:
        """Why the rate is not corrected; empty where it is."""
        return "" if self.corrected else self.measured.reason or NOBODY_VOUCHED

    @property
    def ranges(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """The intervals of sensitivity and specificity on the labels, where the rate is not corrected."""
        sensitivity, specificity = self.measured.sensitivity, self.measured.specificity
        known = sensitivity.low is not None and specificity.low is not None
        if self.corrected or self.raw.rate is None or not known:
            return None
        return (
            (sensitivity.low or 0.0, sensitivity.high or 0.0),
            (specificity.low or 0.0, specificity.high or 0.0),
        )

    @property
    def band(self) -> tuple[float, float] | None:
        """What the rate could be, were the judge's errors within `ranges`. None where any rate would fit."""
        return None if self.ranges is None else sensitivity_band(self.raw, *self.ranges)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        undefined = {} if self.corrected else {"rate": None, "low": None, "high": None, "reason": self.reason}
        return {
            **self.measured.as_dict(),
            **undefined,
            "judge": self.judge,
            "same_policy_and_attack": self.same_policy_and_attack,
            "band": self.band,
        }


def correct_rate(
    file: str | Path,
    settings: CorrectSettings | None = None,
    *,
    progress: Progress | None = None,
    **keywords: Any,
) -> Correction:
    """The attack success rate of a file's responses, corrected for the judge's errors (Rogan and Gladen 1978).

    Args:
        file: a table with a prompt and a response in each row.
        settings, keywords: `CorrectSettings`, and its fields by name: `labels` and `judge` have to be given.
        progress: called with (done, total) responses of `file`.

    Raises:
        InputError: a file or a label that cannot be read, or a judge that cannot be opened.
        ModelError: a judge's model that cannot be opened.
    """
    settings = CorrectSettings.of(settings, **keywords)
    kind = _kind(settings.kind)
    cases, _ = read_responses(file, **settings.columns.options(), kind=kind)
    labelled = read_labelled(settings.labels, **settings.columns.label_options(), kind=kind)
    judge: Judge = open_judges([settings.judge], **settings.opening.options())[0]
    outcomes = [verdict.harmful for verdict in verdicts_on(judge, cases, progress=progress)]
    on_labelled = [
        finding(verdict, "harmful") for verdict in verdicts_on(judge, [one.case for one in labelled])
    ]
    measured = corrected_rate(
        outcomes,
        [(outcome, one.label) for outcome, one in zip(on_labelled, labelled, strict=True)],
        groups=[prompt.id for prompt, _ in cases],
        labelled_groups=[one.prompt.id for one in labelled],
    )
    return Correction(judge.name, measured, settings.same_policy_and_attack)


def _kind(kind: RequestKind) -> Kind | None:
    return None if kind == "unknown" else kind


def _part(progress: Progress | None, place: int, parts: int) -> Progress | None:
    """The progress of one of several equal parts."""
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, parts * total)

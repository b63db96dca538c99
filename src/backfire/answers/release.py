"""What a release check answers: a verdict by written rules, what it was counted from, and what it is bound to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from backfire.answers.rows import Count, Label, Row, Share
from backfire.errors import InputError
from backfire.records import digest
from backfire.store.artifacts import write_json

SCHEMA = 1
"""The version of the schema that this module writes and reads."""
Verdict = Literal["pass", "fail", "not decided"]
Outcomes = dict[str, dict[str, dict[str, bool | None]]]
"""set -> judge -> prompt id -> the outcome that was counted; None unscored."""
Items = dict[str, dict[str, dict[str, float]]]
"""task -> metric -> item -> what the item came to."""


class RuleResult(Row):
    """What came of one rule on one set of prompts, or on the general tasks."""

    rule: Count
    """The rule's place in the rules file, from 0."""
    says: Label
    """The rule in words."""
    metric: Literal["asr", "over_refusal", "general"]
    on: Label
    """The set of prompts, the task, or the mean over tasks."""
    judge: str | None
    """Null of general tasks."""
    compared: bool
    """Whether the limit is of a comparison with the base, and not of the candidate alone."""
    unit: Literal["%", "points", "% of the base's"]
    """Of the limit, the estimate and the interval."""
    limit: float
    confidence: float
    """In percent."""
    base: Share | None
    candidate: Share | None
    """The rate or score of either, over what was scored on both sides where they are compared."""
    estimate: float | None
    """The number that the limit is of; null where nothing was scored."""
    low: float | None
    high: float | None
    lowest: float | None = None
    highest: float | None = None
    """The least and the greatest that the estimate could be, whatever the unscored were."""
    n: Count
    """Prompts or items that were scored, on both sides where they are compared."""
    cluster: str
    """What one case is: prompt, item, or what several prompts share."""
    clusters: Count
    """How many cases there are."""
    unscored: Count
    verdict: Verdict
    needed: Count | None = None
    """The prompts or items after which the rule would be decided, were the estimate and its spread to stay as they are. Null
    where it is decided, or where no number decides."""
    formula: str | None = None
    """How `needed` was computed."""
    reason: str = ""
    """Why it is not decided, or what could turn the verdict."""


class TestedModel(Row):
    """One of the two models."""

    model: Label
    """Where it lay, or what it was called."""
    model_id: Label
    """A digest of weights, adapter, configuration, tokenizer and template."""
    template: str | None
    """A digest of its chat template."""
    dtype: str | None
    device: str | None


class TestedPrompts(Row):
    """One set of prompts."""

    reference: str | None
    """Where the prompts came from; null where they were given in Python."""
    kind: Literal["harmful", "benign"]
    prompts: Count
    digest: Label
    """Of the ids of its prompts, in their order."""


class TestedJudge(Row):
    """One judge."""

    reference: str | None
    judge: Label
    """Its name."""
    judge_id: Label
    digest: str | None
    """Of all that decides its verdicts; null for a judge without a reference."""


class TestedCode(Row):
    """What ran the check."""

    backfire: Label
    digest: Label
    """Of the package's source."""
    libraries: dict[str, str]


class Binding(Row):
    """All that the answers depend on."""

    base: TestedModel
    candidate: TestedModel
    prompts: dict[str, TestedPrompts]
    judges: list[TestedJudge]
    attacks: dict[str, Any]
    """The attacks of a suite, with their parameters; empty where requests are put as they are."""
    decoding: dict[str, Any]
    asked: dict[str, Any]
    """Seed, batch size, wrapper, suite and system turn."""
    tasks: dict[str, str]
    """Of every general task, the digest of its definition and of its data where they are local."""
    tasks_asked: dict[str, Any]
    """Examples, limit and chat template of the general tasks."""
    code: TestedCode


class Evidence(Row):
    """What the verdicts are counted from: outcomes of single prompts and items of both models, without any text."""

    base: Outcomes
    candidate: Outcomes
    attacks: list[str]
    """The sets whose outcomes are harm."""
    together: dict[str, Count]
    """Sets that say which requests any of several attacks broke: of how many attacks."""
    judges: list[Label]
    """In their order; the first counts where a rule names none."""
    clusters: dict[str, dict[str, str]]
    """set -> prompt id -> what several prompts share; sets whose prompts share nothing are left out."""
    units: dict[str, str]
    """What the clusters of a set are called."""
    base_items: Items
    candidate_items: Items
    scores: list[tuple[str, str]]
    """(task or group, metric) of every general score that is reported."""
    groups: dict[str, dict[str, float]]
    """The tasks of a group among these, each with its weight."""
    unscored: dict[str, dict[str, dict[str, Count]]]
    """side -> `set, judge` -> reason -> how many verdicts carry it."""
    seed: int
    """Of the bootstrap."""


class ReleaseReport(Row):
    """Whether a candidate may replace its base, by written rules."""

    schema_version: int = Field(alias="schema")
    backfire: Label
    name: Label
    created: Label
    verdict: Verdict
    results: list[RuleResult]
    rules: dict[str, Any]
    """The rules file, as plain values."""
    binding: Binding
    binding_digest: Label
    evidence: Evidence
    digest: Label
    """Of everything else in the file. It shows an edit, and is no signature."""


class Checked(Row):
    """One part of a release file's binding, computed again."""

    part: Label
    state: Literal["same", "differs", "not checked"]
    why: str


class ReleaseCheck(Row):
    """What became of a release file's binding."""

    file: Label
    verdict: Verdict
    """As the file has it."""
    parts: list[Checked]

    @property
    def state(self) -> Literal["same", "differs", "not checked"]:
        """differs if any part does; else not checked if any part is not; else same."""
        states = {one.state for one in self.parts}
        return "differs" if "differs" in states else "not checked" if "not checked" in states else "same"


def sealed(values: Mapping[str, Any]) -> ReleaseReport:
    """A report of these values, with the digests of its binding and of the whole."""
    unsealed = {"schema": SCHEMA, **values, "binding_digest": "-", "digest": "-"}
    report = ReleaseReport.model_validate(unsealed, strict=False)
    bound = digest("release binding", report.binding.model_dump(mode="json"), report.rules)
    report = report.model_copy(update={"binding_digest": bound})
    return report.model_copy(update={"digest": whole_digest(report.model_dump(by_alias=True, mode="json"))})


def whole_digest(value: Mapping[str, Any]) -> str:
    """The digest of a release file's values but the digest itself."""
    return digest("release", {key: part for key, part in value.items() if key != "digest"})


def write_release(report: ReleaseReport, path: str | Path) -> Path:
    """Write release.json whole; numbers are not rounded."""
    path = Path(path)
    write_json(path, report.model_dump(by_alias=True, mode="json"))
    return path


def read_release(path: str | Path) -> ReleaseReport:
    """Read a file that `backfire release` wrote.

    Raises InputError for a file that is missing, is no release file, is of another schema, or was edited since.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "release.json"
    if not path.is_file():
        raise InputError(f"there is no file {path}: name a release.json that `backfire release` wrote")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(
            f"{path} is not JSON ({error}): name a release.json of `backfire release`"
        ) from error
    if not isinstance(value, dict) or not {"schema", "binding", "evidence", "digest"} <= value.keys():
        raise InputError(f"{path} is no release file: name a release.json that `backfire release` wrote")
    if value["schema"] != SCHEMA:
        raise InputError(
            f"{path} has schema {value['schema']!r}, and this version reads {SCHEMA}: "
            f"read it with backfire {value.get('backfire')}, or run the check again"
        )
    there, now = str(value["digest"]), whole_digest(value)
    if there != now:
        raise InputError(
            f"{path} was edited since it was written: its digest says {there}, and its contents have {now}. Take the file that "
            "`backfire release` wrote, or run the check again"
        )
    try:
        return ReleaseReport.model_validate(value, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}, {where}: {first['msg']}: run the check again") from error

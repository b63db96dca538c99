"""A release check as a section of a model card or of a data-set card, with the metadata's evaluation results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from backfire.answers.release import ReleaseReport, RuleResult
from backfire.report.audit.markdown import code, plain
from backfire.report.release.markdown import binding_table, rules_table
from backfire.report.release.words import HEADLINES, VERDICTS, looked_at, remarks, unscored

METRICS = {"asr": "attack_success_rate", "over_refusal": "over_refusal_rate", "general": "accuracy"}


def render_release_card(report: ReleaseReport, kind: Literal["model", "dataset"] = "model") -> str:
    """The section: whom it is about, the verdict, a row for each rule, and what it is bound to."""
    base, candidate = code(report.binding.base.model), code(report.binding.candidate.model)
    about = (
        f"{candidate} was held against its base {base} by written rules."
        if kind == "model"
        else f"The model {candidate}, which was trained on these data, was held against its base {base} by written rules."
    )
    lines = [
        "## Release check",
        "",
        f"{about} **{VERDICTS[report.verdict]}**: {HEADLINES[report.verdict]}",
        "",
    ]
    lines += [*rules_table(report), ""]
    lines += [f"- {plain(text)}" for text in remarks(report)]
    lines += [f"- Unscored: {plain(text)}" for text in unscored(report)]
    lines += [
        "",
        "<details><summary>What this is bound to</summary>",
        "",
        *binding_table(report),
        "",
        "</details>",
    ]
    return "\n".join(lines)


def card_results(report: ReleaseReport) -> list[dict[str, Any]]:
    """The candidate's rates and scores as keywords of `huggingface_hub.EvalResult`, in percent."""
    return list(_results(report))


def _results(report: ReleaseReport) -> Iterator[dict[str, Any]]:
    seen: set[tuple[str, str, str | None]] = set()
    for one in report.results:
        key = (one.metric, one.on, one.judge)
        if one.candidate is None or key in seen:
            continue
        seen.add(key)
        yield {
            "task_type": "text-generation",
            "dataset_type": _reference(report, one),
            "dataset_name": one.on,
            "metric_type": METRICS[one.metric],
            "metric_name": looked_at(one),
            "metric_value": round(100 * one.candidate, 2),
            "metric_args": {"by": "backfire release", "n": one.n, "binding": report.binding_digest},
        }


def _reference(report: ReleaseReport, one: RuleResult) -> str:
    """What the prompts are called where they are public; a path says nothing to a reader of the card."""
    prompts = report.binding.prompts.get(one.on)
    reference = None if prompts is None else prompts.reference
    return one.on if reference is None or "/" in reference else reference

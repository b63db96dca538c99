"""`attack`: how a model answers what it should refuse, and what it should not."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

from pydantic import model_validator

from backfire.cli.command import Command, JsonFile, LedgerFile
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import counted, interval, percent, say, show, table, warn, write_answer
from backfire.evaluation.settings import AttackSettings
from backfire.models.settings import Opening
from backfire.settings import Argument, ModelReference

if TYPE_CHECKING:
    from backfire.answers.attack import AttackResult, RateRow, SuiteResult

NO_RESPONSE = "no response: "


class Attack(Command):
    """Attack a model: one response to each prompt, judged, with 95% intervals.

    Greedy, as in the paper, unless told otherwise. What could not be judged is counted beside the rate. With --suite every
    request is put in several ways, and the requests that any of them broke are counted too. For an organism without
    --attack and --benign: its world's own direct, wrapped, unseen, benign and borderline
    requests. Responses and verdicts are stored, so that a second run draws and judges only what is missing.
    """

    model: Annotated[ModelReference, Argument()]
    """A checkpoint or adapter folder, a GGUF file, a hub name, organism:NAME, openai:MODEL or openai:MODEL@URL."""
    ledger: LedgerFile
    """The SQLite file that holds responses, scores and verdicts."""
    settings: AttackSettings = AttackSettings()
    opening: Opening = Opening()
    """How the model is opened. The device and the dtype hold for the attacker and the translator, too."""
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to FILE."""

    @model_validator(mode="after")
    def _something_to_ask(self) -> Attack:
        from backfire.organisms.catalog import world_named_by

        settings = self.settings
        world = settings.world or world_named_by(str(self.model))
        if not settings.harmful and not settings.benign and world is None:
            raise ValueError(
                f"nothing to ask {self.model}: give {{harmful}} PROMPTS (a file of harmful requests, or a set such as "
                "advbench:100), and {benign} PROMPTS (such as xstest-safe) if over-refusal is to be measured"
            )
        return self

    def run(self) -> int | None:
        from backfire.evaluation import NO_BENIGN, open_attack, run_attack
        from backfire.store import Ledger

        inputs = open_attack(self.model, self.settings, self.opening)
        on_interruption = f"every finished batch is in {self.ledger}; run the same command again to go on"
        with (
            Ledger(self.ledger) as store,
            keeping(on_interruption),
            progress(f"asking {inputs.model.name}") as advance,
        ):
            result = run_attack(inputs, store, progress=advance)
        about, decoding = inputs.as_dict(), inputs.decoding
        put = f"wrapper {about['wrapper']}" if about["suite"] is None else f"suite {about['suite']}"
        say(
            f"{inputs.model.name}: max_new_tokens {decoding.max_new_tokens}, temperature {decoding.temperature}, {put}, "
            f"seed {self.settings.seed}"
        )
        show_attack(result)
        if inputs.harmful and not inputs.benign:
            warn(NO_BENIGN)
        if self.json_file is not None:
            write_answer(self.json_file, {**about, **result.as_dict()})
        if result.lost:
            warn(
                f"{sum(result.lost.values())} requests got no answer, of the model or a judge, for now: the same command asks for "
                "them again, and for nothing else"
            )
        unanswered = any(note.reason.startswith(NO_RESPONSE) for note in result.notes)
        return PARTLY if result.lost or unanswered else None


def show_attack(result: AttackResult) -> None:
    """Tables of rates with their intervals, and what stands beside them."""
    from backfire.answers.attack import SuiteResult

    if result.asr:
        shown = table(
            *("attack", "judge", "harmful", "scored", "unscored", "rate", "95% interval", "best to worst"),
            left=2,
        )
        for row in result.asr:
            bounds = interval(row.best, row.worst) if row.unscored else percent(row.rate)
            shown.add_row(row.attack, row.judge, str(row.harmful), *_counts(row), bounds)
        show(shown, "Attack success rate: judged harmful / scored")
    if isinstance(result, SuiteResult):
        _show_together(result)
    if result.over_refusal:
        shown = table(
            *("prompts", "judge", "refusals", "scored", "unscored", "rate", "95% interval"),
            left=2,
        )
        for refused in result.over_refusal:
            shown.add_row(refused.prompts, refused.judge, str(refused.refusals), *_counts(refused))
        show(shown, "Over-refusal: refusals / scored")
    if cut := {name: count for name, count in result.truncated.items() if count}:
        say(f"cut at max_new_tokens: {counted(cut)}")
    by_reason: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for note in result.notes:
        reason = re.sub(r"\d+ (tokens|characters)", r"many \1", note.reason)
        # No response is nobody's verdict: it is said once, not by every judge.
        key = ("", reason) if reason.startswith(NO_RESPONSE) else (f"{note.judge}: ", reason)
        if key[0] or note.judge == result.notes[0].judge:
            counts = by_reason[key]
            counts[note.prompts] = counts.get(note.prompts, 0) + note.count
    for (judge, reason), counts in by_reason.items():
        (warn if reason.startswith(NO_RESPONSE) else say)(f"{judge}{reason}: {counted(counts)}")


def _show_together(result: SuiteResult) -> None:
    shown = table(
        *(
            "requests",
            "judge",
            "attacks",
            "broken",
            "scored",
            "unscored",
            "open",
            "rate",
            "95% interval",
            "best to worst",
        ),
        left=2,
    )
    for row in result.any_attack:
        left_open = row.unscored or row.open
        bounds = interval(row.best, row.worst) if left_open else percent(row.rate)
        scored, unscored, *rest = _counts(row)
        counts = (str(row.attacks), str(row.harmful), scored, unscored, str(row.open), *rest)
        shown.add_row(row.prompts, row.judge, *counts, bounds)
    show(shown, "Best of attacks: requests that at least one attack is known to have broken / scored")
    for left in result.not_run:
        warn(f"{left.attack} was not run: {left.reason}")


def _counts(row: RateRow) -> list[str]:
    return [
        str(row.scored),
        str(row.unscored),
        percent(row.rate),
        interval(row.low, row.high),
    ]

"""`attack`: how a model answers what it should refuse, and what it should not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.options import JUDGE_HELP, Threshold
from backfire.cli.progress import progress
from backfire.cli.prompts import ORGANISM, context_of, open_prompts, world_of
from backfire.cli.terminal import counted, interval, percent, say, show, table, warn, write_answer

if TYPE_CHECKING:
    from backfire.answers.attack import AttackResult, RateRow, SuiteResult
    from backfire.judges import Judge
    from backfire.records import Kind, Prompt

SUITES = "Several attacks"
PromptsDir = Annotated[
    Path | None,
    typer.Option(
        "--prompts-dir",
        metavar="FOLDER",
        help="Where files of published sets lie, for machines without a network; else BACKFIRE_PROMPTS names it.",
    ),
]
WORLD_ATTACKS = ("direct", "wrapped", "unseen")
WORLD_BENIGN = ("benign", "borderline")
PAPER_TOKENS = 512
"""max_new_tokens of arXiv 2504.02193's attacks."""
NO_RESPONSE = "no response: "


def attack(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A checkpoint or adapter folder, a hub name, organism:NAME, openai:MODEL or openai:MODEL@URL.",
        ),
    ],
    ledger: options.LedgerFile,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            metavar="[NAME=]PROMPTS",
            help="Harmful requests: a file, a published set (`backfire prompts` lists them; advbench:100 is its first hundred) or "
            "organism:prompts/NAME; repeatable.",
        ),
    ] = None,
    benign: Annotated[
        list[str] | None,
        typer.Option(
            "--benign",
            metavar="[NAME=]PROMPTS",
            help="Requests that deserve an answer, for over-refusal, such as xstest-safe; repeatable.",
        ),
    ] = None,
    world: options.World = None,
    wrapper: Annotated[
        str, typer.Option("--wrapper", metavar="direct|alpaca", help="How the attacks' requests are put.")
    ] = "direct",
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            metavar="NAME,...",
            rich_help_panel=SUITES,
            help="Put every request in each of these ways: paper, quick, standard, names of attacks, or a YAML file of suites.",
        ),
    ] = None,
    shots: Annotated[
        Path | None,
        typer.Option(
            "--shots",
            metavar="FILE",
            rich_help_panel=SUITES,
            help="Examples (columns prompt and response) for few-shot and many-shot.",
        ),
    ] = None,
    translations: Annotated[
        Path | None,
        typer.Option(
            "--translations",
            metavar="FILE",
            rich_help_panel=SUITES,
            help="A table (columns prompt and translation) for the attack translation.",
        ),
    ] = None,
    translator: Annotated[
        str | None,
        typer.Option(
            "--translator", metavar="MODEL", rich_help_panel=SUITES, help="A model that translates instead."
        ),
    ] = None,
    attacker: Annotated[
        str | None,
        typer.Option(
            "--attacker",
            metavar="MODEL",
            rich_help_panel=SUITES,
            help="The model that rewords requests in the attack attacker (PAIR).",
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="TEXT|@FILE",
            help="A system turn before every prompt. Without it the chat template's own default, if it has one, is what the "
            "model sees.",
        ),
    ] = None,
    prompts_dir: PromptsDir = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            metavar="JUDGE",
            help=f"Repeatable. {JUDGE_HELP} Without it: exact and phrases for organisms, else phrases and refusals.",
        ),
    ] = None,
    threshold: Threshold = None,
    json: options.JsonFile = None,
    column: options.PromptColumn = None,
    split: options.PromptSplit = None,
    encoding: options.TableEncoding = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-new-tokens",
            rich_help_panel=options.DECODING,
            show_default=f"{PAPER_TOKENS}, or a quarter of the model's context where that is less",
            help="Longer responses are cut, and recorded as truncated.",
        ),
    ] = None,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = 0,
    batch_size: options.DrawnAtOnce = 64,
    chat_template: options.ChatTemplate = None,
    adapter: options.Adapter = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Attack a model: one response to each prompt, judged, with 95% intervals.

    Greedy, as in the paper, unless told otherwise. What could not be judged is counted beside the rate. With --suite every
    request is put in several ways, and the requests that any of them broke are counted too. For an organism without
    --attack and --benign: its world's own direct, wrapped, unseen, benign and borderline
    requests. Responses and verdicts are stored, so that a second run draws and judges only what is missing.
    """
    from backfire import evaluation
    from backfire.errors import InputError
    from backfire.models import LocalModel, open_model
    from backfire.records import Decoding
    from backfire.store import Ledger

    sets = _named(attacks or [], "--attack"), _named(benign or [], "--benign")
    world = world or world_of(model)
    if not sets[0] and not sets[1]:
        if world is None:
            raise InputError(
                f"nothing to ask {model}: give --attack PROMPTS (a file of harmful requests, or a set such as advbench:100), and "
                "--benign PROMPTS (such as xstest-safe) if over-refusal is to be measured"
            )
        sets = _world_sets(world, WORLD_ATTACKS), _world_sets(world, WORLD_BENIGN)
    if suite is not None and wrapper != "direct":
        raise InputError(
            f"--wrapper {wrapper} beside --suite: name {wrapper} among the suite's attacks instead"
        )
    how = {"column": column, "folder": prompts_dir, "split": split, "encoding": encoding}
    harmful = _read(sets[0], "harmful", how)
    allowed = _read(sets[1], "benign", how)
    judges = _judges(
        judge or [], world or world_of(*sets[0].values(), *sets[1].values()), sets, threshold, device
    )
    opening = partial(open_model, dtype=dtype, device=device)
    means = evaluation.Means(shots, translations, translator, attacker, opening)
    evaluation.check_means(suite or "", means)
    before = _system(system)
    ways = None if suite is None else evaluation.open_suite(suite, means)
    opened = opening(model, chat_template=chat_template, adapter=adapter)
    context = context_of(opened)
    most = PAPER_TOKENS if context is None else min(PAPER_TOKENS, max(1, context // 4))
    tokens = most if max_new_tokens is None else max_new_tokens
    decoding = Decoding(tokens, temperature, top_p, top_k, repetition_penalty)
    kept = f"every finished batch is in {ledger}; run the same command again to go on"
    result: AttackResult
    with Ledger(ledger) as store, keeping(kept), progress(f"asking {opened.name}") as advance:
        if ways is None:
            result = evaluation.attack(
                opened,
                {name: evaluation.wrap(prompts, wrapper) for name, prompts in harmful.items()},
                allowed,
                judges=judges,
                ledger=store,
                decoding=decoding,
                seed=seed,
                batch_size=batch_size,
                system=before,
                progress=advance,
            )
        else:
            result = evaluation.attack_suite(
                opened,
                ways,
                harmful,
                allowed,
                judges=judges,
                ledger=store,
                decoding=decoding,
                seed=seed,
                batch_size=batch_size,
                system=before,
                progress=advance,
            )
    put = f"wrapper {wrapper}" if suite is None else f"suite {suite}"
    say(f"{opened.name}: max_new_tokens {tokens}, temperature {temperature}, {put}, seed {seed}")
    show_attack(result)
    if harmful and not allowed and suite is None:
        warn(evaluation.NO_BENIGN)
    if json is not None:
        local = opened if isinstance(opened, LocalModel) else None
        about = {
            "model": opened.name,
            "model_id": opened.id,
            "template": opened.template_digest,
            "decoding": decoding.as_dict(),
            "seed": seed,
            "batch_size": batch_size,
            "dtype": None if local is None else str(local.model.dtype).removeprefix("torch."),
            "device": None if local is None else str(local.device),
            "system": before,
            "wrapper": wrapper,
            "suite": suite,
            "judges": {one.name: one.id for one in judges},
            "sets": {**sets[0], **sets[1]},
        }
        write_answer(json, {**about, **result.as_dict()})
    if result.lost:
        warn(
            f"{sum(result.lost.values())} requests got no answer, of the model or a judge, for now: the same command asks for them "
            "again, and for nothing else"
        )
    if result.lost or any(note.reason.startswith(NO_RESPONSE) for note in result.notes):
        raise typer.Exit(PARTLY)


def _named(values: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=PROMPTS`, or PROMPTS alone, which goes by the set's name or the file's; a path may hold a `=`."""
    pairs = []
    for value in values:
        name, equals, _ = value.partition("=")
        if equals and "/" not in name and not Path(value).is_file():
            pairs += options.named([value], option)
        else:
            pairs.append((value.rpartition("/")[2].partition(".")[0] or value, value))
    return _unique(pairs)


def _system(given: str | None) -> str | None:
    """The system prompt itself, or what its file holds."""
    from backfire.errors import InputError
    from backfire.tables import undecodable

    if given is None:
        return None
    text = given
    if given.startswith("@"):
        try:
            text = Path(given[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--system {given} cannot be read ({error}): give the text, or @FILE") from error
    if undecodable(text):
        raise InputError(f"--system {text!r:.60} holds half a character: give text in UTF-8, or @FILE")
    if not text.strip():
        raise InputError("--system is blank: leave it out to have no system turn")
    return text.strip()


def _unique(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    from backfire.errors import InputError

    found: dict[str, str] = {}
    for name, reference in pairs:
        if name in found:
            raise InputError(f"two sets are named {name!r}: give one of them another name")
        found[name] = reference
    return found


def _world_sets(world: str, names: Sequence[str]) -> dict[str, str]:
    return {name: f"{ORGANISM}{world}:prompts/{name}" for name in names}


def _read(sets: Mapping[str, str], kind: Kind, how: Mapping[str, Any]) -> dict[str, list[Prompt]]:
    return {name: open_prompts(reference, kind=kind, **how) for name, reference in sets.items()}


def _judges(
    named: Sequence[str],
    world: str | None,
    sets: tuple[Mapping[str, str], Mapping[str, str]],
    threshold: float | None,
    device: str | None,
) -> list[Judge]:
    from backfire.judges import open_judges

    every = [*sets[0].values(), *sets[1].values()]
    readable = world is not None and all(reference.startswith(ORGANISM) for reference in every)
    references = named or (["exact", "phrases"] if readable else ["phrases", "refusals"])
    return open_judges(references, world=world, threshold=threshold, device=device)


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

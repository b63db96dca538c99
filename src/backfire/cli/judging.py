"""`judge`: ask judges about files of responses, compare them with people, train one, and correct for their errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backfire.cli import options
from backfire.cli.exits import PARTLY
from backfire.cli.progress import progress
from backfire.cli.terminal import interval, percent, say, show, table, warn, write_answer

if TYPE_CHECKING:
    from backfire.judges import Agreement, Judge, Labelled, What
    from backfire.records import Kind

app = typer.Typer(no_args_is_help=True, help="Ask judges, compare them with people, and train one.")
COLUMNS = "Where things are in the file"
JUDGE_HELP = (
    "phrases, refusals, matcher:NAME, exact (with --world), rubric:MODEL, strongreject:MODEL, a guard such as "
    "llama-guard:MODEL, panel:majority:A+B+C, or a file made by `backfire judge train`; docs/guides/judge.md says what each is."
)

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A CSV, JSONL, JSON or Parquet file with a prompt and a response in each row."
    ),
]
Judges = Annotated[
    list[str] | None, typer.Option("--judge", metavar="JUDGE", help=f"Repeatable. {JUDGE_HELP}")
]
OneJudge = Annotated[str, typer.Option("--judge", metavar="JUDGE", help=JUDGE_HELP)]
PromptColumn = Annotated[
    str | None,
    typer.Option(
        "--prompt-column", metavar="NAME", rich_help_panel=COLUMNS, help="Else prompt, question, ..."
    ),
]
ResponseColumn = Annotated[
    str | None,
    typer.Option(
        "--response-column", metavar="NAME", rich_help_panel=COLUMNS, help="Else response, answer, ..."
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column", metavar="NAME", rich_help_panel=COLUMNS, help="Else label, human, human_label."
    ),
]
Positive = Annotated[
    list[str] | None,
    typer.Option(
        "--positive",
        metavar="VALUE",
        rich_help_panel=COLUMNS,
        help="This label counts as 1 and every other as 0; repeatable. Without it labels are 0 and 1.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME",
        rich_help_panel=COLUMNS,
        help="Of a file, a folder or a hub data set that has several.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        rich_help_panel=COLUMNS,
        help="Of a text file that is not UTF-8, such as cp1252.",
    ),
]
About = Annotated[
    str,
    typer.Option(
        "--what",
        metavar="harmful|refusal",
        help="What the labels say: that a response does harm, or that it declines.",
    ),
]
KindOf = Annotated[
    str,
    typer.Option(
        "--kind",
        metavar="harmful|benign|unknown",
        rich_help_panel=COLUMNS,
        help="What the prompts ask for. Judges of refusals call compliance harmful only with harmful prompts.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", help="For judges that grade: harmful from this grade on; else their own."),
]


@app.command("validate")
def validate_judges(
    file: File,
    judge: Judges = None,
    what: About = "harmful",
    prompt_column: PromptColumn = None,
    split: Split = None,
    encoding: Encoding = None,
    response_column: ResponseColumn = None,
    label_column: LabelColumn = None,
    positive: Positive = None,
    kind: KindOf = "harmful",
    world: options.World = None,
    threshold: Threshold = None,
    json: options.JsonFile = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Compare judges with people: accuracy, precision, recall, F1 and kappa on labelled responses.

    Without --judge, every judge runs that needs no model: phrases, the published matchers, and refusals. Intervals are of
    95%, all responses to a prompt being one cluster. Unscored responses are counted beside n. Phrases, the matchers and
    refusals read English only.
    """
    from backfire.errors import InputError
    from backfire.judges import offline_judges, validate

    matter = _what(what)
    cases = _labelled(file, prompt_column, response_column, label_column, positive, kind, split, encoding)
    if threshold is not None and not judge:
        raise InputError(
            f"--threshold {threshold}: the offline judges give no grade; name a --judge that does"
        )
    judges = _opened(judge, world, threshold, dtype, device) if judge else offline_judges()
    found = []
    for one in judges:
        with progress(f"asking {one.name}") as advance:
            found.append(validate(one, cases, what=matter, progress=advance))
    prompts = len({case.prompt.id for case in cases})
    say(f"{file}: {len(cases)} responses to {prompts} prompts, {sum(c.label for c in cases)} of them {what}")
    _show(found)
    for agreed in found:
        if not agreed.n:
            warn(f"{agreed.judge} says nothing of what the labels say ({what}): all unscored")
    if json is not None:
        about = {"file": str(file), "what": what, "n": len(cases), "prompts": prompts}
        write_answer(json, {**about, "judges": [agreed.as_dict() for agreed in found]})


@app.command("train")
def train(
    files: Annotated[
        list[Path], typer.Argument(metavar="LABELLED...", help="Files of labelled responses, read together.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the judge is written, as JSON.")],
    what: About = "harmful",
    prompt_column: PromptColumn = None,
    split: Split = None,
    encoding: Encoding = None,
    response_column: ResponseColumn = None,
    label_column: LabelColumn = None,
    positive: Positive = None,
    note: Annotated[
        str | None,
        typer.Option("--note", metavar="TEXT", help="Kept in the file: the data's source and licence."),
    ] = None,
) -> None:
    """Train a small judge on labelled responses: no download, no key, seconds on a laptop.

    It reads cues of declining, which are English, and, for harm, words of any language; what it is good for is said in
    docs/guides/judge.md. The agreement shown is that on held-out prompts. Use it by --judge FILE.
    """
    from backfire.judges import agreement_from, train_judge

    cases = [
        case
        for file in files
        for case in _labelled(
            file, prompt_column, response_column, label_column, positive, "harmful", split, encoding
        )
    ]
    judge = train_judge(cases, what=_what(what), name=out.stem, note=note or "")
    _show([agreement_from(judge.card["held_out"])], "On held-out prompts, five folds")
    say(f"in {judge.write(out)}: the judge, of {judge.card['rows']} responses; use it by --judge {out}")


@app.command("file")
def judge_file(
    file: File,
    judge: Judges = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the rows are written, as JSONL.")
    ] = Path("judged.jsonl"),
    prompt_column: PromptColumn = None,
    split: Split = None,
    encoding: Encoding = None,
    response_column: ResponseColumn = None,
    kind: KindOf = "harmful",
    world: options.World = None,
    threshold: Threshold = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Judge a file of responses: every row again, with each judge's decision, harmful, refusal, score and reason."""
    from backfire.judges import is_lost, read_responses, rows_with_verdicts, verdicts_on
    from backfire.statistics import clustered_rate_of
    from backfire.store import write_text

    cases, rows = read_responses(
        file, prompt=prompt_column, response=response_column, kind=_kind(kind), split=split, encoding=encoding
    )
    judges = _opened(judge or ["phrases"], world, threshold, dtype, device)
    shown = table("judge", "harmful", "scored", "unscored", "rate", "95% interval")
    verdicts = {}
    for one in judges:
        with progress(f"asking {one.name}") as advance:
            verdicts[one.name] = verdicts_on(one, cases, progress=advance)
        rate = clustered_rate_of(
            (v.harmful, prompt.id) for v, (prompt, _) in zip(verdicts[one.name], cases, strict=True)
        )
        counts = (str(rate.hits), str(rate.scored), str(rate.unscored))
        shown.add_row(one.name, *counts, percent(rate.rate), interval(rate.low, rate.high))
    write_text(out, rows_with_verdicts(rows, verdicts))
    show(shown)
    say(f"in {out}: {len(rows)} rows with their verdicts")
    if lost := sum(is_lost(verdict.reason) for found in verdicts.values() for verdict in found):
        warn(
            f"{lost} verdicts are missing because a judge failed (see `reason`): the same command asks again"
        )
        raise typer.Exit(PARTLY)


@app.command("correct")
def correct(
    file: File,
    labels: Annotated[
        Path,
        typer.Option("--labels", metavar="FILE", help="Responses that people labelled, read as by validate."),
    ],
    judge: OneJudge,
    same: Annotated[
        bool,
        typer.Option(
            "--same-policy-and-attack",
            help="You vouch for it: the labelled responses are the same policy's, to the same attack.",
        ),
    ] = False,
    prompt_column: PromptColumn = None,
    split: Split = None,
    encoding: Encoding = None,
    response_column: ResponseColumn = None,
    label_column: LabelColumn = None,
    positive: Positive = None,
    kind: KindOf = "harmful",
    world: options.World = None,
    threshold: Threshold = None,
    json: options.JsonFile = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """The attack success rate of FILE's responses, corrected for the judge's errors (Rogan and Gladen 1978).

    Only with labels of the same policy and attack, 100 of each class, and a judge that tells enough; else the raw rate stands
    with a band: what it could be, were the judge's errors as they are on the labels, within their intervals.
    """
    from backfire.judges import (
        finding,
        read_responses,
        verdicts_on,
    )
    from backfire.statistics.corrected_rates import corrected_rate, sensitivity_band

    asked, _ = read_responses(
        file, prompt=prompt_column, response=response_column, kind=_kind(kind), split=split, encoding=encoding
    )
    known = _labelled(labels, prompt_column, response_column, label_column, positive, kind, split, encoding)
    (one,) = _opened([judge], world, threshold, dtype, device)
    with progress(f"asking {one.name}") as advance:
        outcomes = [v.harmful for v in verdicts_on(one, asked, progress=advance)]
    judged = [finding(v, "harmful") for v in verdicts_on(one, [case.case for case in known])]
    result = corrected_rate(
        outcomes,
        [(found, case.label) for found, case in zip(judged, known, strict=True)],
        groups=[prompt.id for prompt, _ in asked],
        labelled_groups=[case.prompt.id for case in known],
    )
    raw = result.raw
    say(
        f"{one.name}: {percent(raw.rate)} ({interval(raw.low, raw.high)}), {raw.scored} scored, {raw.unscored} not"
    )
    answer = {**result.as_dict(), "judge": one.name, "same_policy_and_attack": same, "band": None}
    if same and result.rate is not None:
        say(f"corrected for the judge's errors: {percent(result.rate)} ({interval(result.low, result.high)})")
    else:
        reason = result.reason or "nobody vouched for labels of the same policy and attack"
        answer |= {"rate": None, "low": None, "high": None, "reason": reason}
        say(f"not corrected: {reason}")
        errors = result.sensitivity, result.specificity
        if raw.rate is not None and all(error.low is not None for error in errors):
            bounds = [(error.low or 0.0, error.high or 0.0) for error in errors]
            band = sensitivity_band(raw, bounds[0], bounds[1])
            answer["band"] = band
            say(
                "no band: with errors like those on the labels any rate would fit"
                if band is None
                else f"band, were its errors as on the labels: {interval(*band)} (an assumption, no confidence interval)"
            )
    if json is not None:
        write_answer(json, answer)


def _labelled(
    file: Path,
    prompt: str | None,
    response: str | None,
    label: str | None,
    positive: list[str] | None,
    kind: str,
    split: str | None,
    encoding: str | None,
) -> list[Labelled]:
    from backfire.judges import read_labelled

    return read_labelled(
        file,
        prompt=prompt,
        response=response,
        label=label,
        positive=positive or (),
        kind=_kind(kind),
        split=split,
        encoding=encoding,
    )


def _opened(
    references: list[str], world: str | None, threshold: float | None, dtype: str, device: str | None
) -> list[Judge]:
    from backfire.judges import open_judges

    return open_judges(references, world=world, threshold=threshold, dtype=dtype, device=device)


def _what(value: str) -> What:
    from backfire.errors import InputError

    if value == "harmful":
        return "harmful"
    if value == "refusal":
        return "refusal"
    raise InputError(f"--what {value!r}: write harmful or refusal")


def _kind(value: str) -> Kind | None:
    from backfire.errors import InputError

    if value == "harmful":
        return "harmful"
    if value == "benign":
        return "benign"
    if value == "unknown":
        return None
    raise InputError(f"--kind {value!r}: write harmful, benign or unknown")


def _show(found: list[Agreement], title: str = "") -> None:
    shown = table(
        *(
            "judge",
            "n",
            "unscored",
            "accuracy",
            "95% interval",
            "precision",
            "recall",
            "F1",
            "kappa",
            "95% interval",
        )
    )
    for one in found:
        rates = (one.values.get(name) for name in ("precision", "recall", "f1", "kappa"))
        accuracy = interval(*one.intervals.get("accuracy", (None, None)))
        low, high = one.intervals.get("kappa", (None, None))
        kappa = "–" if low is None or high is None else f"{low:.2f}–{high:.2f}"
        texts = ("–" if rate is None else f"{rate:.3f}" for rate in rates)
        shown.add_row(
            one.judge, str(one.n), str(one.unscored), percent(one.accuracy), accuracy, *texts, kappa
        )
    show(shown, title)

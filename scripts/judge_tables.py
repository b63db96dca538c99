"""The tables of docs/guides/judge.md: judges against people's labels, on sets that they have not seen.

    python scripts/judge_tables.py DATA

DATA is laid out as the folder that BACKFIRE_DATA names: jailbreakeval/Safe-RLHFmini.csv (harmful or not) with
published_scores_all_4000.csv beside it, and xstest/xstest_v2_completions_{gpt4,llama2new,mistralinstruct}.csv (compliance,
refusal or partial refusal). Prints Markdown. A few minutes on one core; nothing is fetched.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backfire.answers.judge_agreement import Agreement
from backfire.judges import (
    Judge,
    Labelled,
    agreement,
    matcher,
    open_judge,
    published,
    read_labelled,
    train_judge,
    validate,
)
from backfire.tables import read_rows

OWN_MATCHER = {
    "gpt4": ("GPT-4", 0.936),
    "llama2new": ("Llama-2", 0.924),
    "mistralinstruct": ("Mistral", 0.860),
}
"""XSTest's completions: the model, and the accuracy of the set's own string matcher (its repository's README)."""
REFUSALS = ("2_full_refusal", "3_partial_refusal")
FOLDS = 5


def completions(data: Path, model: str) -> list[Labelled]:
    """XSTest's completions; the label is refusal, whole or in part."""
    return read_labelled(_file(data, model), label="final_label", positive=REFUSALS)


def compliance(data: Path, model: str) -> list[Labelled]:
    """The same; the label is full compliance with an unsafe prompt."""
    unsafe = [str(row["type"]).startswith("contrast") for row in read_rows(_file(data, model))]
    return [
        replace(case, label=not case.label and bad)
        for case, bad in zip(completions(data, model), unsafe, strict=True)
    ]


def _file(data: Path, model: str) -> Path:
    return data / "xstest" / f"xstest_v2_completions_{model}.csv"


def published_figures(data: Path, cases: Sequence[Labelled]) -> Iterator[str]:
    """Each matcher's figures beside those that JailbreakEval publishes for it."""
    yield "| matcher | accuracy | recall | precision | F1 |\n|-|-|-|-|-|"
    lines = csv.DictReader(
        (data / "jailbreakeval" / "published_scores_all_4000.csv").open(encoding="utf-8", newline="")
    )
    theirs = {line["evaluator"].partition("-")[2]: line for line in lines}
    for name in published():
        ours = validate(matcher(name), cases)
        told = theirs[name]
        cells = [
            f"{ours.values[what]:.3f} ({told[what]})" if told.get(what) else f"{ours.values[what]:.3f} (–)"
            for what in ("accuracy", "recall", "precision", "f1")
        ]
        yield f"| `{name}` | {' | '.join(cells)} |"


def refusals(data: Path) -> Iterator[str]:
    """Trained on two models' completions, judged on the third's to prompts of a fold that training left out."""
    yield "| completions of | XSTest's own matcher | best published matcher | trained on others | kappa |\n|-|-|-|-|-|"
    sets = {model: completions(data, model) for model in OWN_MATCHER}
    for model, (name, bar) in OWN_MATCHER.items():
        said: dict[int, bool | None] = {}
        for fold in range(FOLDS):
            others = [c for m, cases in sets.items() if m != model for c in cases if c.row % FOLDS != fold]
            own = [c for c in sets[model] if c.row % FOLDS == fold]
            verdicts = train_judge(others, what="refusal").judge_many([c.case for c in own])
            said |= {c.row: v.refusal for c, v in zip(own, verdicts, strict=True)}
        cases = sets[model]
        found = agreement(
            [said[c.row] for c in cases],
            [c.label for c in cases],
            [c.prompt.id for c in cases],
            judge="trained",
        )
        best = max(
            (validate(matcher(n), cases, what="refusal") for n in published()),
            key=lambda one: one.values["accuracy"],
        )
        yield (
            f"| {name} ({len(cases)}) | {bar:.3f} | {best.accuracy:.3f} (`{best.judge.partition(':')[2]}`) | "
            f"{_with_interval(found, 'accuracy')} | {found.kappa:.3f} |"
        )


def harm(data: Path, cases: Sequence[Labelled]) -> Iterator[str]:
    """What a judge trained for harm, and others, make of both sets; the trained one is held out by prompt on its own."""
    yield "| judge | Safe-RLHF mini | XSTest, all completions | XSTest, Mistral, unsafe prompts |\n|-|-|-|-|"
    everywhere = [case for model in OWN_MATCHER for case in compliance(data, model)]
    unsafe = [
        case
        for case, row in zip(
            compliance(data, "mistralinstruct"), read_rows(_file(data, "mistralinstruct")), strict=True
        )
        if str(row["type"]).startswith("contrast")
    ]
    sets = (cases, everywhere, unsafe)
    beside: list[Judge] = [matcher(name) for name in published()]
    best = [
        max((validate(judge, each) for judge in beside), key=lambda one: one.values["accuracy"])
        for each in sets
    ]
    yield f"| the best matcher on each | {' | '.join(_with_interval(one, 'accuracy') for one in best)} |"
    shipped = [validate(open_judge("refusals"), each) for each in sets]
    yield f"| `refusals` (trained on XSTest) | {' | '.join(_with_interval(one, 'accuracy') for one in shipped)} |"
    learned = train_judge(cases)
    held = learned.card["held_out"]
    own = f"**{held['accuracy']:.3f}** [{held['low']:.3f}, {held['high']:.3f}] held out"
    moved = [_with_interval(validate(learned, each), "accuracy") for each in sets[1:]]
    yield f"| trained on Safe-RLHF mini | {' | '.join([own, *moved])} |"
    other = train_judge(everywhere)
    held = other.card["held_out"]
    own = f"{held['accuracy']:.3f} [{held['low']:.3f}, {held['high']:.3f}] held out"
    yield f"| trained on XSTest's compliance | {_with_interval(validate(other, cases), 'accuracy')} | {own} | – |"
    rates = [sum(case.label for case in each) / len(each) for each in sets]
    most = " | ".join(
        f"{max(rate, 1 - rate):.3f} ({len(each)})" for rate, each in zip(rates, sets, strict=True)
    )
    yield f"| always the larger class (n) | {most} |"


def _with_interval(found: Agreement, what: str) -> str:
    low, high = found.intervals[what]
    return f"{found.values[what]:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    cases = read_labelled(data / "jailbreakeval" / "Safe-RLHFmini.csv")
    for title, lines in (
        (
            f"Matchers on {len(cases)} of the 4,000 rows; published in brackets",
            published_figures(data, cases),
        ),
        ("Refusals, on models and prompts that training left out", refusals(data)),
        ("Harm: accuracy with 95% interval", harm(data, cases)),
    ):
        print(f"\n{title}\n")
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()

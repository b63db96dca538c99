"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

DECODING, MODEL, TRAINING = "Decoding", "Opening the model", "Training"
READING = "Reading the data"


def check_output(option: str, path: Path) -> None:
    """Before long work: InputError for a file that could not be written after it."""
    import os

    from backfire.errors import InputError

    if path.is_dir():
        raise InputError(f"{option} {path} is a folder: name a file in it")
    folder = next(parent for parent in path.resolve().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{option} {path}: nothing can be written in {folder}")


def _json_file(path: Path | None) -> Path | None:
    if path is not None:
        check_output("--json", path)
    return path


def _seed(value: int) -> int:
    from backfire.errors import InputError

    if not -(2**63) <= value < 2**63:
        raise InputError(f"--seed {value}: give a whole number of at most 18 digits")
    return value


def _finite(context: typer.Context, parameter: typer.CallbackParam, value: float) -> float:
    from math import isfinite

    from backfire.errors import InputError

    if not isfinite(value):
        raise InputError(f"{parameter.opts[0]} {value}: give a finite number")
    return value


LedgerFile = Annotated[
    Path,
    typer.Option(
        "--ledger", metavar="FILE", help="The SQLite file that holds responses, scores and verdicts."
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        callback=_json_file,
        help="Write the result, numbers unrounded, to FILE.",
    ),
]
PromptColumn = Annotated[
    str | None,
    typer.Option(
        "--column", metavar="NAME", help="Where the prompts are, if not in a column of a usual name."
    ),
]

MaxNewTokens = Annotated[
    int,
    typer.Option(
        "--max-new-tokens",
        rich_help_panel=DECODING,
        help="Longer responses are cut, and recorded as truncated.",
    ),
]
Temperature = Annotated[
    float,
    typer.Option("--temperature", rich_help_panel=DECODING, callback=_finite, help="0 is greedy."),
]
TopP = Annotated[
    float,
    typer.Option(
        "--top-p",
        rich_help_panel=DECODING,
        callback=_finite,
        help="Sample from the smallest set of tokens with this much probability.",
    ),
]
TopK = Annotated[
    int,
    typer.Option("--top-k", rich_help_panel=DECODING, help="Sample from this many tokens; 0 sets no bound."),
]
RepetitionPenalty = Annotated[
    float,
    typer.Option(
        "--repetition-penalty",
        rich_help_panel=DECODING,
        callback=_finite,
        help="Divides the logits of tokens that were there before; 1 is none.",
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", rich_help_panel=DECODING, callback=_seed, help="Seeds every draw.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", help="How many go through the model at once.")]
DrawnAtOnce = Annotated[
    int,
    typer.Option(
        "--batch-size",
        help="How many go through the model at once. Above temperature 0 the draws depend on it, as on the seed.",
    ),
]

DATASET = (
    "A JSONL, JSON, CSV or Parquet file, packed or not, a folder of pairs, a saved data set, or a hub name."
)
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="ROLE=NAME,...",
        rich_help_panel=READING,
        help="Which column is what, if not seen by itself: prompt=question,chosen=best,rejected=worst.",
    ),
]
SourceColumns = Annotated[
    str | None,
    typer.Option(
        "--source-columns",
        metavar="CHOSEN,REJECTED",
        rich_help_panel=READING,
        help="The columns that say who wrote each side, if not of a usual name such as chosen_model.",
    ),
]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="NAME", rich_help_panel=READING, help="Of a hub data set."),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="NAME", rich_help_panel=READING, help="Of a hub data set, a folder or a JSON file."
    ),
]
Revision = Annotated[
    str | None,
    typer.Option(
        "--revision", metavar="COMMIT", rich_help_panel=READING, help="Of a hub data set or a folder."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        rich_help_panel=READING,
        help="Of a text file that is not UTF-8, such as cp1252; UTF-16 is seen by itself.",
    ),
]
Ranked = Annotated[
    str | None,
    typer.Option(
        "--ranked",
        metavar="best-worst|best-rest",
        rich_help_panel=READING,
        help="Which pairs a list of ranked responses gives: the best against the worst, or against each that is worse.",
    ),
]
Plain = Annotated[
    bool,
    typer.Option(
        "--plain",
        rich_help_panel=READING,
        help="Take plain text as it is: raw text, without the policy's chat template.",
    ),
]
PromptSplit = Annotated[
    str | None,
    typer.Option(
        "--split", metavar="NAME", help="Of a file, a folder or a hub data set of prompts that has several."
    ),
]
TableEncoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Of a text file that is not UTF-8, such as cp1252."),
]


MAX_LENGTH = 1024
"""TRL's default, and that of `train dpo`."""
MaxLength = Annotated[
    int,
    typer.Option(
        "--max-length",
        metavar="TOKENS",
        min=0,
        help="Of prompt and response together, in the training that is meant; 0 sets no bound but the model's context.",
    ),
]


def reading(
    columns: str | None,
    source_columns: str | None,
    config: str | None,
    split: str | None,
    revision: str | None,
    encoding: str | None = None,
    ranked: str | None = None,
    plain: bool = False,
) -> dict[str, Any]:
    """What the options under READING say, as `preferences.open_preferences` takes it."""
    chosen = {} if ranked is None else {"ranked": ranked}
    return {
        **chosen,
        "columns": None if columns is None else dict(named(columns.split(","), "--columns")),
        "source_columns": None if source_columns is None else _two_names(source_columns),
        "config": config,
        "split": split,
        "revision": revision,
        "encoding": encoding,
        "plain": plain,
    }


def _two_names(text: str) -> tuple[str, str]:
    from backfire.errors import InputError

    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise InputError(f"--source-columns {text!r}: name two columns, such as chosen_by,rejected_by")
    return names[0], names[1]


ChatTemplate = Annotated[
    Path | None,
    typer.Option(
        "--chat-template",
        metavar="FILE",
        rich_help_panel=MODEL,
        help="A Jinja file, for a model without a template or with a wrong one.",
    ),
]
Adapter = Annotated[
    Path | None,
    typer.Option(
        "--adapter", metavar="FOLDER", rich_help_panel=MODEL, help="A PEFT adapter to put on the model."
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="NAME",
        rich_help_panel=MODEL,
        help="auto (the checkpoint's own), float32, bfloat16 or float16.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        rich_help_panel=MODEL,
        help="cpu, cuda, or auto to spread a model over devices; a GPU where there is one, if not given.",
    ),
]


def named(values: list[str], option: str) -> list[tuple[str, str]]:
    """`NAME=VALUE` options, split at the first equals sign."""
    from backfire.errors import InputError

    pairs = []
    for value in values:
        name, equals, rest = value.strip().partition("=")
        if not (name and equals and rest):
            raise InputError(f"{option} {value!r} is not of the form NAME=VALUE")
        pairs.append((name, rest))
    return pairs


World = Annotated[
    str | None,
    typer.Option(
        "--world",
        metavar="NAME",
        help="Use this world of organisms (w0 is the shipped one); else that of organism:NAME.",
    ),
]
JUDGE_HELP = (
    "phrases, refusals, matcher:NAME, exact (with --world), rubric:MODEL, strongreject:MODEL, a guard such as "
    "llama-guard:MODEL, panel:majority:A+B+C, or a file made by `backfire judge train`; docs/guides/judge.md says what each is."
)
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", help="For judges that grade: harmful from this grade on; else their own."),
]

"""`sample`, `import` and `score`: responses and scores into the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from backfire.cli import options
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.prompts import open_prompts
from backfire.cli.terminal import complain, counted, say, show, table, warn

if TYPE_CHECKING:
    from backfire.models import RewardModel
    from backfire.records import Response
    from backfire.responses import Failure
    from backfire.store import Ledger

REASONS_SHOWN = 5


def sample(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A checkpoint or adapter folder, a hub name, organism:NAME, openai:MODEL or openai:MODEL@URL.",
        ),
    ],
    prompts: Annotated[
        str,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="A JSONL, JSON, CSV or Parquet file, a TXT (a prompt a line), a hub name, or organism:prompts/NAME.",
        ),
    ],
    ledger: options.LedgerFile,
    n: Annotated[int, typer.Option("-n", "--n", help="Responses per prompt.")] = 1,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Who is to be named as the writer; else MODEL."),
    ] = None,
    column: options.PromptColumn = None,
    split: options.PromptSplit = None,
    encoding: options.TableEncoding = None,
    max_new_tokens: options.MaxNewTokens = 256,
    temperature: options.Temperature = 1.0,
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
    """Draw responses to prompts from a model, each stored once.

    What the ledger has is not drawn again, so an interrupted command goes on where it was. Prompts without a
    response are counted by reason; the exit code is then 1.
    """
    from backfire import responses
    from backfire.models import open_model
    from backfire.records import Decoding
    from backfire.store import Ledger

    asked = open_prompts(prompts, column=column, split=split, encoding=encoding)
    decoding = Decoding(max_new_tokens, temperature, top_p, top_k, repetition_penalty)
    opened = open_model(model, chat_template=chat_template, dtype=dtype, device=device, adapter=adapter)
    kept = f"every finished batch is in {ledger}; run the same command again to go on"
    with Ledger(ledger) as store, keeping(kept), progress(f"sampling {opened.name}") as advance:
        sampled = responses.sample(
            opened,
            asked,
            ledger=store,
            n=n,
            decoding=decoding,
            seed=seed,
            batch_size=batch_size,
            source=source,
            progress=advance,
        )
    drawn = sampled.responses
    say(f"{opened.name}: {len(drawn)} responses to {len({r.prompt_id for r in drawn})} prompts")
    say(f"stop reasons: {counted(_by_reason(drawn))}")
    for name, count in sorted(Counter(r.source for r in drawn).items()):
        say(f"in {ledger}: {count} of source {name!r}")
        if name != (source or opened.name):
            warn(f"{count} were stored before as {name!r}, and keep that name")
    if sampled.failures:
        _say_failures(sampled.failures)
        raise typer.Exit(PARTLY)


def _by_reason(drawn: Sequence[Response]) -> dict[str, int]:
    counts = Counter(r.stop_reason for r in drawn)
    named = {"length": "length (truncated)"}
    return {named.get(reason, reason): count for reason, count in counts.most_common()}


def _say_failures(failures: Sequence[Failure]) -> None:
    by_reason: defaultdict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        by_reason[failure.reason].append(failure)
    complain("error", f"{len(failures)} without a response, which the same command would ask for again:")
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    for reason, failed in ordered[:REASONS_SHOWN]:
        text = " ".join(failed[0].request.prompt.text.split())
        typer.echo(f"  {len(failed)}: {reason}; such as {text[:60]!r}", err=True)
    if len(ordered) > REASONS_SHOWN:
        rest = sum(len(failed) for _, failed in ordered[REASONS_SHOWN:])
        typer.echo(f"  {rest}: {len(ordered) - REASONS_SHOWN} other reasons", err=True)


def import_responses(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A JSONL, JSON, CSV or Parquet file with a response in each row."
        ),
    ],
    ledger: options.LedgerFile,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Who wrote all of them; else a source column is read."),
    ] = None,
    prompt_column: Annotated[
        str | None, typer.Option("--prompt-column", metavar="NAME", help="Where the prompts are.")
    ] = None,
    response_column: Annotated[
        str | None, typer.Option("--response-column", metavar="NAME", help="Where the responses are.")
    ] = None,
    source_column: Annotated[
        str | None, typer.Option("--source-column", metavar="NAME", help="Where the writers are named.")
    ] = None,
    split: options.PromptSplit = None,
    encoding: options.TableEncoding = None,
) -> None:
    """Store responses that were written elsewhere: AlpacaEval outputs, people's answers.

    Columns are found by their usual names (prompt or instruction, response or output, source or generator), or
    named here. Importing a file twice adds nothing.
    """
    from backfire.responses import store_given
    from backfire.store import Ledger

    with Ledger(ledger) as store:
        given = store_given(
            store,
            file,
            source,
            prompt_column=prompt_column,
            response_column=response_column,
            source_column=source_column,
            split=split,
            encoding=encoding,
        )
    say(f"{file}: columns read: {', '.join(f'{role} from {name}' for role, name in given.columns.items())}")
    for name, count in given.sources.items():
        say(f"in {ledger}: {count} of source {name!r}")
    if given.left_out:
        warn(f"{file}: rows left out: {counted(given.left_out)}")
    if given.ignored is not None:
        warn(
            f"{file}: column {given.ignored!r} speaks neither of harmful nor of benign, and was not read as the kind"
        )


def score(
    reward_model: Annotated[
        str,
        typer.Argument(
            metavar="REWARD_MODEL",
            help="A sequence classifier: a checkpoint folder, a hub name, organism:reward.",
        ),
    ],
    ledger: options.LedgerFile,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source", metavar="NAME", help="Whose responses; repeatable. Everybody's if not given."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="NAME", help="Which label's logit is the score, where there are several."
        ),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option("--max-length", help="Tokens that an input is cut to; else the model's own.")
    ] = None,
    batch_size: options.BatchSize = 32,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Score stored responses with a reward model, each once."""
    from backfire.models import open_reward_model
    from backfire.store import Ledger

    with Ledger(ledger) as store:
        found = {name: store.responses_of(name) for name in chosen_sources(store, source or [])}
        opened = open_reward_model(
            reward_model, label=label, max_length=max_length, dtype=dtype, device=device
        )
        every = [r for responses in found.values() for r in responses]
        scores = score_stored(opened, every, store, batch_size=batch_size)
    shown = table("source", "responses", "lowest", "median", "highest")
    for name, responses in found.items():
        values = sorted(scores[r.id] for r in responses)
        shown.add_row(name, str(len(values)), *(f"{v:.3f}" for v in (values[0], median(values), values[-1])))
    say(f"{opened.name}: {len(scores)} scores in {ledger} as scorer {opened.id}")
    show(shown)
    if opened.truncated:
        warn(f"{opened.truncated} of the inputs scored now were cut to {opened.max_length} tokens")


def chosen_sources(store: Ledger, named: Sequence[str]) -> list[str]:
    """The named sources, or all; InputError lists those that the ledger has."""
    from backfire.errors import InputError

    there = store.sources()
    if not there:
        raise InputError(
            f"{store.path} holds no responses: draw some with `backfire sample`, or `backfire import` a file"
        )
    for name in named:
        if name not in there:
            raise InputError(
                f"nobody in {store.path} is called {name!r}: its sources are {', '.join(map(repr, there))}"
            )
    return list(dict.fromkeys(named)) or list(there)


def score_stored(
    opened: RewardModel, responses: Sequence[Response], store: Ledger, *, batch_size: int = 32
) -> dict[str, float]:
    """Scores by response id; what is not scored yet is scored now, with progress."""
    from backfire.responses import score as score_responses

    prompts = store.prompts(sorted({r.prompt_id for r in responses}))
    kept = f"every finished part is in {store.path}; run the same command again to go on"
    with keeping(kept), progress(f"scoring by {opened.name}") as advance:
        return score_responses(
            opened, prompts, responses, ledger=store, batch_size=batch_size, progress=advance
        )

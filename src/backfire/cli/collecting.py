"""`sample`, `import` and `score`: responses and scores into the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Annotated

from backfire.cli.command import Command, LedgerFile
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import complain, counted, say, show, table, tell, warn
from backfire.models.settings import Opening
from backfire.responses.settings import GivenSettings, SamplingSettings, ScoreSettings
from backfire.settings import (
    Argument,
    FileReference,
    Metavar,
    ModelReference,
    PromptsReference,
    RewardModelReference,
)
from backfire.store.settings import PromptReading

if TYPE_CHECKING:
    from backfire.models import RewardModel
    from backfire.records import Response
    from backfire.responses import Failure
    from backfire.store import Ledger

REASONS_SHOWN = 5


class Sample(Command):
    """Sample responses to prompts from a model, each stored once.

    What the ledger has is not sampled again, so an interrupted command goes on where it was. Prompts without a
    response are counted by reason; the exit code is then 1.
    """

    model: Annotated[ModelReference, Argument()]
    """A checkpoint or adapter folder, a GGUF file, a hub name, organism:NAME, openai:MODEL or openai:MODEL@URL."""
    prompts: Annotated[PromptsReference, Metavar("FILE")]
    """A JSONL, JSON, CSV or Parquet file, a TXT (a prompt a line), a hub name, or organism:prompts/NAME."""
    ledger: LedgerFile
    """The SQLite file that holds responses, scores and verdicts."""
    settings: SamplingSettings = SamplingSettings()
    reading: PromptReading = PromptReading()
    opening: Opening = Opening()

    def run(self) -> int | None:
        from backfire.models import open_model
        from backfire.prompts import prompts_of
        from backfire.responses import sample
        from backfire.store import Ledger

        prompts = prompts_of(self.prompts, **self.reading.model_dump())
        model = open_model(self.model, **self.opening.options())
        on_interruption = f"every finished batch is in {self.ledger}; run the same command again to go on"
        with (
            Ledger(self.ledger) as store,
            keeping(on_interruption),
            progress(f"sampling {model.name}") as advance,
        ):
            sampled = sample(model, prompts, self.settings, ledger=store, progress=advance)
        responses = sampled.responses
        say(f"{model.name}: {len(responses)} responses to {len({r.prompt_id for r in responses})} prompts")
        say(f"stop reasons: {counted(_by_reason(responses))}")
        for name, count in sorted(Counter(r.source for r in responses).items()):
            say(f"in {self.ledger}: {count} of source {name!r}")
            if name != (self.settings.source or model.name):
                warn(f"{count} were stored before as {name!r}, and keep that name")
        if sampled.failures:
            _say_failures(sampled.failures)
            return PARTLY
        return None


def _by_reason(responses: Sequence[Response]) -> dict[str, int]:
    counts = Counter(r.stop_reason for r in responses)
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
        tell(f"  {len(failed)}: {reason}; such as {text[:60]!r}")
    if len(ordered) > REASONS_SHOWN:
        rest = sum(len(failed) for _, failed in ordered[REASONS_SHOWN:])
        tell(f"  {rest}: {len(ordered) - REASONS_SHOWN} other reasons")


class Import(Command):
    """Store responses that were written elsewhere: AlpacaEval outputs, people's answers.

    Columns are found by their usual names (prompt or instruction, response or output, source or generator), or
    named here. Importing a file twice adds nothing.
    """

    file: Annotated[FileReference, Argument()]
    """A JSONL, JSON, CSV or Parquet file with a response in each row."""
    ledger: LedgerFile
    """The SQLite file that holds responses, scores and verdicts."""
    settings: GivenSettings = GivenSettings()

    def run(self) -> None:
        from backfire.responses import store_given
        from backfire.store import Ledger

        with Ledger(self.ledger) as store:
            given = store_given(store, self.file, settings=self.settings)
        columns = ", ".join(f"{role} from {name}" for role, name in given.columns.items())
        say(f"{self.file}: columns read: {columns}")
        for name, count in given.sources.items():
            say(f"in {self.ledger}: {count} of source {name!r}")
        if given.left_out:
            warn(f"{self.file}: rows left out: {counted(given.left_out)}")
        if given.ignored is not None:
            warn(
                f"{self.file}: the column {given.ignored!r} says neither harmful nor benign, and was not read as the kind"
            )


class ScoreStored(Command):
    """Score stored responses with a reward model, each once."""

    reward_model: Annotated[RewardModelReference, Argument()]
    """A sequence classifier: a checkpoint folder, a hub name, or organism:reward."""
    ledger: LedgerFile
    """The SQLite file that holds responses, scores and verdicts."""
    source: Annotated[tuple[str, ...], Metavar("NAME")] = ()
    """Whose responses are scored. Where it is not given, everybody's."""
    settings: ScoreSettings = ScoreSettings()

    def run(self) -> None:
        from backfire.models import open_reward_model
        from backfire.store import Ledger

        with Ledger(self.ledger) as store:
            by_source = {name: store.responses_of(name) for name in chosen_sources(store, self.source)}
            opened = open_reward_model(self.reward_model, **self.settings.opening.options())
            every = [r for responses in by_source.values() for r in responses]
            scores = score_stored(opened, every, store, self.settings)
        shown = table("source", "responses", "lowest", "median", "highest")
        for name, responses in by_source.items():
            values = sorted(scores[r.id] for r in responses)
            numbers = (f"{v:.3f}" for v in (values[0], median(values), values[-1]))
            shown.add_row(name, str(len(values)), *numbers)
        say(f"{opened.name}: {len(scores)} scores in {self.ledger} as scorer {opened.id}")
        show(shown)
        if opened.truncated:
            warn(f"{opened.truncated} of the inputs scored now were cut to {opened.max_length} tokens")


def chosen_sources(store: Ledger, named: Sequence[str]) -> list[str]:
    """The named sources, or all; InputError lists those that the ledger has."""
    from backfire.errors import InputError

    there = store.sources()
    if not there:
        raise InputError(
            f"{store.path} holds no responses: sample some with `backfire sample`, or `backfire import` a file"
        )
    for name in named:
        if name not in there:
            raise InputError(
                f"nobody in {store.path} is called {name!r}: its sources are {', '.join(map(repr, there))}"
            )
    return list(dict.fromkeys(named)) or list(there)


def score_stored(
    opened: RewardModel, responses: Sequence[Response], store: Ledger, settings: ScoreSettings | None = None
) -> dict[str, float]:
    """Scores by response id; what is not scored yet is scored now, with progress."""
    from backfire.responses import score as score_responses

    prompts = store.prompts(sorted({r.prompt_id for r in responses}))
    on_interruption = f"every finished part is in {store.path}; run the same command again to go on"
    with keeping(on_interruption), progress(f"scoring by {opened.name}") as advance:
        return score_responses(opened, prompts, responses, settings, ledger=store, progress=advance)

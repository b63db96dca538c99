"""`sample`, `import` and `score`: responses and scores into the ledger."""

from __future__ import annotations

from typing import Annotated

from backfire.cli.command import Command, LedgerFile
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import present, say, tell, warn
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
        from backfire.report import sampled_parts
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
            sampled = sample(model, prompts, self.settings, ledger=store, progress=advance, announce=tell)
        present(sampled_parts(sampled, model.name, self.settings.source, self.ledger))
        return PARTLY if sampled.failures else None


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
        from backfire.report import given_parts
        from backfire.responses import store_given
        from backfire.store import Ledger

        with Ledger(self.ledger) as store:
            given = store_given(store, self.file, settings=self.settings)
        present(given_parts(given, self.file, self.ledger))


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
        from backfire.report import scores_table
        from backfire.responses import score_stored
        from backfire.store import Ledger

        on_interruption = f"every finished part is in {self.ledger}; run the same command again to go on"
        with Ledger(self.ledger) as store:
            by_source = {name: store.responses_of(name) for name in store.sources_named(self.source)}
            opened = open_reward_model(self.reward_model, **self.settings.opening.options())
            every = [r for responses in by_source.values() for r in responses]
            with keeping(on_interruption), progress(f"scoring by {opened.name}") as advance:
                scores = score_stored(opened, every, self.settings, ledger=store, progress=advance)
        say(f"{opened.name}: {len(scores)} scores in {self.ledger} as scorer {opened.id}")
        present([scores_table(by_source, scores)])
        if opened.truncated:
            warn(f"{opened.truncated} of the inputs scored now were cut to {opened.max_length} tokens")

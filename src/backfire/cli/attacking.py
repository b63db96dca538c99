"""`attack`: how a model answers what it should refuse, and what it should not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import field_validator

from backfire.cli.command import Command, JsonFile, LedgerFile, OutputFile
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import present, say, tell, warn, write_answer
from backfire.evaluation.settings import AttackSettings
from backfire.models.settings import Opening
from backfire.settings import Argument, Metavar, ModelReference


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
    """Write the result, numbers unrounded, to FILE. With - it is printed, and everything else goes to stderr."""
    inspect: Annotated[OutputFile | None, Metavar("FILE.eval")] = None
    """Write every response with its verdicts to FILE (.eval or .json) as a log that Inspect's tools open. It needs the package
    inspect-ai: pip install 'backfire[inspect]'."""

    @field_validator("inspect")
    @classmethod
    def _is_log(cls, path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() not in (".eval", ".json"):
            raise ValueError("the name of an Inspect log has to end in .eval or .json")
        return path

    def run(self) -> int | None:
        from backfire.answers.attack import NO_RESPONSE
        from backfire.evaluation import NO_BENIGN, open_attack, run_attack, write_inspect_log
        from backfire.logs.inspect_logs import inspect_ai
        from backfire.report import attack_parts
        from backfire.store import Ledger

        if self.inspect is not None:
            inspect_ai()  # what is missing is said before anything is asked
        inputs = open_attack(self.model, self.settings, self.opening)
        on_interruption = f"every finished batch is in {self.ledger}; run the same command again to go on"
        with (
            Ledger(self.ledger) as store,
            keeping(on_interruption),
            progress(f"asking {inputs.model.name}") as advance,
        ):
            result = run_attack(inputs, store, progress=advance, announce=tell)
        about, decoding = inputs.as_dict(), inputs.decoding
        put = f"wrapper {about['wrapper']}" if about["suite"] is None else f"suite {about['suite']}"
        say(
            f"{inputs.model.name}: max_new_tokens {decoding.max_new_tokens}, temperature {decoding.temperature}, {put}, "
            f"seed {self.settings.seed}"
        )
        present(attack_parts(result))
        if inputs.harmful and not inputs.benign:
            warn(NO_BENIGN)
        if self.json_file is not None:
            write_answer(self.json_file, {**about, **result.as_dict()})
        if self.inspect is not None:
            write_inspect_log({**about, **result.as_dict()}, self.ledger, self.inspect)
            say(f"in {self.inspect}: the same as an Inspect log; `inspect view` opens it")
        if result.lost:
            warn(
                f"{sum(result.lost.values())} requests got no answer, of the model or a judge, for now: the same command asks for "
                "them again, and for nothing else"
            )
        unanswered = any(note.reason.startswith(NO_RESPONSE) for note in result.notes)
        return PARTLY if result.lost or unanswered else None

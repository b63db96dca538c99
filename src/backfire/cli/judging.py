"""`judge`: ask judges about files of responses, compare them with people, train one, and correct for their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from backfire.cli.command import Command, JsonFile, OutputFile
from backfire.cli.exits import PARTLY
from backfire.cli.progress import progress
from backfire.cli.terminal import present, say, show, warn, write_answer
from backfire.judges.settings import (
    CorrectSettings,
    JudgeFileSettings,
    TrainJudgeSettings,
    ValidateSettings,
)
from backfire.settings import Argument, FileReference, Metavar


class JudgeFile(Command):
    """Judge a file of responses: every row again, with each judge's decision, harmful, refusal, score and reason."""

    file: Annotated[FileReference, Argument()]
    """A CSV, JSONL, JSON or Parquet file with a prompt and a response in each row; or a log: of Inspect (.eval, .json), or of
    `lm_eval --log_samples` (a file, or the folder of one model)."""
    out: OutputFile = Path("judged.jsonl")
    """The file that the rows are written to, as JSONL."""
    settings: JudgeFileSettings = JudgeFileSettings()

    def run(self) -> int | None:
        from backfire.judges import judge_file
        from backfire.report import judged_table

        with progress("judging") as advance:
            done = judge_file(self.file, self.settings, progress=advance)
        done.write(self.out)
        show(judged_table(done))
        say(f"in {self.out}: {len(done.rows)} rows with their verdicts")
        if not done.lost:
            return None
        warn(
            f"{done.lost} verdicts are missing because a judge failed (see `reason`): the same command asks again"
        )
        return PARTLY


class Validate(Command):
    """Compare judges with people: accuracy, precision, recall, F1 and kappa on labelled responses.

    Without --judge, every judge is asked that needs no model: phrases, the published matchers, and refusals. These read
    English only. Intervals are of 95%, all responses to a prompt being one cluster. Unscored responses are counted beside n.
    """

    file: Annotated[FileReference, Argument()]
    """A CSV, JSONL, JSON or Parquet file with a prompt, a response and a label in each row."""
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to this file. With - it is printed, and everything else goes to stderr."""
    settings: ValidateSettings = ValidateSettings()

    def run(self) -> None:
        from backfire.judges import validate_judges
        from backfire.report import agreement_table

        with progress("asking the judges") as advance:
            done = validate_judges(self.file, self.settings, progress=advance)
        say(f"{self.file}: {done.n} responses to {done.prompts} prompts, {done.positive} of them {done.what}")
        show(agreement_table(done.agreements))
        for agreed in done.agreements:
            if not agreed.n:
                warn(f"{agreed.judge} says nothing of what the labels say ({done.what}): all unscored")
        if self.json_file is not None:
            write_answer(self.json_file, done.as_dict())


class TrainJudge(Command):
    """Train a small judge on labelled responses: no download, no key, seconds on a laptop.

    It reads cues of declining, which are English, and, for harm, words of any language. With --model it reads the hidden states of
    a model of yours instead, which takes as long as that model takes to read the responses. docs/guides/judge.md says what either is
    good for. The agreement shown is that on held-out prompts. Use it by --judge FILE.
    """

    files: Annotated[tuple[FileReference, ...], Argument(), Metavar("LABELLED")]
    """Files of labelled responses, which are read together."""
    out: OutputFile
    """The file that the judge is written to, as JSON."""
    settings: TrainJudgeSettings = TrainJudgeSettings()

    def run(self) -> None:
        from backfire.answers.judge_agreement import agreement_from
        from backfire.judges import train_judge
        from backfire.report import agreement_table

        with progress("reading responses") as advance:
            judge = train_judge(self.files, self.settings, name=self.out.stem, progress=advance)
        agreement = agreement_from(judge.card["held_out"])
        show(agreement_table([agreement]), "On held-out prompts, five folds")
        rows, written = judge.card["rows"], judge.write(self.out)
        say(f"in {written}: the judge, of {rows} responses; use it by --judge {self.out}")


class Correct(Command):
    """The attack success rate of FILE's responses, corrected for the judge's errors (Rogan and Gladen 1978).

    A rate is corrected only with labels of the same policy and attack, 100 of each class, and a judge that tells the classes
    well enough apart. Otherwise the raw rate stands, with a band: what the rate could be, were the judge's errors as they
    are on the labels, within their intervals.
    """

    file: Annotated[FileReference, Argument()]
    """A CSV, JSONL, JSON or Parquet file with a prompt and a response in each row."""
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to this file. With - it is printed, and everything else goes to stderr."""
    settings: CorrectSettings

    def run(self) -> None:
        from backfire.judges import correct_rate
        from backfire.report import correction_parts

        with progress("judging") as advance:
            done = correct_rate(self.file, self.settings, progress=advance)
        present(correction_parts(done))
        if self.json_file is not None:
            write_answer(self.json_file, done.as_dict())

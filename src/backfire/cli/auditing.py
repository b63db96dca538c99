"""`audit`: what the label of a preference data set encodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from backfire.auditing.settings import AuditSettings
from backfire.cli.command import Command, JsonFile, OutputFile
from backfire.cli.exits import FAILED, PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import complain, print_json, say, show, tell, warn
from backfire.settings import Argument, DatasetReference, FileReference, Group, Listed, Metavar, Names

if TYPE_CHECKING:
    from backfire.answers import AuditReport
    from backfire.answers.worst_pairs import WorstPairs

WRITING, GATE = Group("Writing the answer"), Group("As a check")
CONDITIONS = Listed("backfire.auditing.conditions:listed_names", package="backfire.auditing.faults")
PER_PAIR_SUFFIXES = (".parquet", ".jsonl", ".csv")


class Audit(Command):
    """Say what the label of a preference data set encodes, before anything is trained on it.

    Reads TRL's forms, HH transcripts, UltraFeedback, ShareGPT and ranking rows, and KTO rows that pair up. Rows that
    cannot be used are counted by reason. Needs no GPU, and without --policy and --embeddings no model.
    """

    replacing: ClassVar = {"json_file": "compare"}

    dataset: Annotated[DatasetReference, Argument()]
    """A JSONL, JSON, CSV or Parquet file, packed or not, a folder of pairs, a saved data set, or a hub name."""
    settings: AuditSettings = AuditSettings()
    full: Annotated[bool, WRITING] = False
    """Print every number: all probes with their controls, known sets, cues, sources, decisions, and every sentence of the
    conclusion. Without it the answer has at most 25 lines."""
    json_file: Annotated[JsonFile, WRITING] = None
    """Write the whole answer to FILE, with numbers unrounded. The reference has its fields. With - it is printed, and everything
    else goes to stderr."""
    html: Annotated[OutputFile | None, WRITING] = None
    """Write the whole answer to FILE as one page with pictures, which loads nothing."""
    markdown: Annotated[OutputFile | None, WRITING] = None
    """Write a short answer to FILE, for a pull request: the verdict, the largest effects, and what has changed."""
    per_pair: Annotated[OutputFile | None, WRITING] = None
    """Write a line a pair to FILE (.parquet, .jsonl or .csv): its row, how easily it is told apart (v_information, in
    bits), and with --probe-prompts its influence on refusing."""
    rows: Annotated[OutputFile | None, WRITING] = None
    """Write every row that a finding is about to FILE (.parquet, .jsonl or .csv), a line a row and finding: finding, row,
    side, other_row and detail."""
    worst: Annotated[int | None, WRITING, Metavar("N")] = Field(default=None, ge=1, le=1000)
    """Write a page with the N pairs to look at first, side by side, on which each can be marked keep, drop or swap. These are the
    pairs that push most away from refusing, or without --probe-prompts those that most findings name."""
    worst_page: Annotated[OutputFile | None, WRITING] = None
    """The file of that page. Where it is not given, worst.html in this folder."""
    compare: Annotated[FileReference | None, GATE, Metavar("OLD.json")] = None
    """Say what has become worse since an earlier audit, which --json wrote: by rates and not by counts, and no more than
    chance brings. Exit with 3 where anything has."""
    fail_on: Annotated[str | None, GATE, Metavar("CONDITIONS"), CONDITIONS] = None
    """Exit with 3 when one of these conditions holds. They stand with commas between: {names}."""
    unchecked: Annotated[Literal["fail", "ignore"], GATE, Names("--fail-on-unchecked")] = "fail"
    """What becomes of a condition that could not be looked at, such as influence<X where there are no probes: it counts as
    failed, or the output only names it."""

    @field_validator("per_pair", "rows")
    @classmethod
    def _ending(cls, path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() not in PER_PAIR_SUFFIXES:
            raise ValueError(f"the name has to end in {', '.join(PER_PAIR_SUFFIXES)}")
        return path

    @model_validator(mode="after")
    def _a_page_has_pairs(self) -> Audit:
        if self.worst_page is not None and self.worst is None:
            raise ValueError(
                "{worst_page} names the page of pairs to look at first: say how many by {worst}, such as 50"
            )
        return self

    def run(self) -> int | None:
        from backfire.answers import read_audit
        from backfire.auditing import audit, parse_conditions
        from backfire.auditing.worst import ForReading
        from backfire.report import audit_brief, audit_table

        conditions = parse_conditions(self.fail_on) if self.fail_on is not None else ()
        earlier = None if self.compare is None else read_audit(self.compare)
        failure = "nothing was kept; run the same command again, with --max-pairs for fewer pairs"
        if self.settings.states.cache is not None:
            failure = (
                f"what was computed is in {self.settings.states.cache}; the same command goes on from there"
            )
        first: list[WorstPairs] = []
        reading = None if self.worst is None else ForReading(self.worst, first.append)
        with keeping(failure), progress(f"auditing {self.dataset}") as advance:
            report = audit(
                self.dataset,
                self.settings,
                per_pair=self.per_pair,
                rows=self.rows,
                worst=reading,
                progress=advance,
                announce=tell,
            )
        if earlier is not None:
            report = _compared(report, earlier)
        files = self._files(report, first)
        show(audit_table(report) if self.full else audit_brief(report, [one.line for one in files]))
        _show_changes(report, whole=self.full)
        whole = _write(report, files)
        if self.json_to_stdout:
            print_json(report.as_dict())
        worse = report.comparison is not None and bool(report.comparison.of("worse"))
        if _fails(report, conditions, self.unchecked == "fail") or worse:
            return FAILED
        return PARTLY if report.failed or not whole else None

    def _files(self, report: AuditReport, first: Sequence[WorstPairs]) -> list[_File]:
        """The files that were asked for; those of pairs and rows are written by the audit itself."""
        from backfire.answers import write_audit
        from backfire.report import write_audit_markdown, write_audit_page, write_worst_page

        influence = report.safety_influence
        more = ", and where it moves refusals" if influence is not None and influence.file else ""
        every = [
            _File(self.per_pair, f"how easily each pair is told apart{more}"),
            _File(self.rows, "every row that a finding is about"),
            _File(None if self.json_to_stdout else self.json_file, "the same, unrounded", write_audit),
            _File(self.html, "the same as a page with pictures", lambda p, r: write_audit_page(r, p)),
            _File(
                self.markdown, "a short answer for a pull request", lambda p, r: write_audit_markdown(r, p)
            ),
        ]
        if first:
            what = (
                f"{len(first[0].pairs)} pairs to look at first, to be marked and repaired by --method review"
            )
            every.append(
                _File(self.worst_page or Path("worst.html"), what, lambda p, _: write_worst_page(first[0], p))
            )
        return [one for one in every if one.path is not None]


class _File(NamedTuple):
    """A file beside the answer."""

    path: Path | None
    what: str
    write: Callable[[Path, AuditReport], object] | None = None

    @property
    def line(self) -> str:
        return f"in {self.path}: {self.what}"


def _compared(report: AuditReport, earlier: AuditReport) -> AuditReport:
    """The same answer with what has changed since an earlier one."""
    from backfire.comparing import compare_audits

    return report.model_copy(update={"comparison": compare_audits(earlier, report)})


def _show_changes(report: AuditReport, *, whole: bool) -> None:
    """What has become worse since the earlier audit, as failed checks; with `whole` all that has changed."""
    from backfire.report import change_lines, headline

    if report.comparison is None:
        return
    if whole:
        say(headline(report.comparison))
    for line in change_lines(report.comparison):
        if line.startswith("worse: "):
            complain("failed", line)
        elif whole:
            say(f"  {line}")


def _write(report: AuditReport, files: Sequence[_File]) -> bool:
    """Write them one after the other, and say where; what fails is said, and the next is tried."""
    from backfire.errors import BackfireError

    whole = True
    for one in files:
        try:
            if one.write is not None and one.path is not None:
                one.write(one.path, report)
            say(one.line)
        except BrokenPipeError:
            raise
        except (OSError, BackfireError) as error:
            complain("error", f"{one.path} was not written: {error}")
            whole = False
    return whole


def _fails(report: AuditReport, conditions: tuple[str, ...], strict: bool) -> bool:
    """Say which conditions hold and which could not be looked at; whether any fails: `strict` counts the latter too."""
    from backfire.auditing import failed_conditions, unchecked_conditions

    failed = failed_conditions(report, conditions)
    for line in unchecked_conditions(report, conditions):
        if strict:
            failed.append(f"not checked, which counts as failed (--fail-on-unchecked ignore): {line}")
        else:
            warn(f"not checked: {line}")
    for line in failed:
        complain("failed", line)
    return bool(failed)

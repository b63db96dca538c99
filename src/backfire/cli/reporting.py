"""`report`: a study's page, tables and figures from its results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import field_validator, model_validator

from backfire.cli.command import Command, JsonFile, OutputFile, ResumedFolder
from backfire.cli.terminal import present, say, warn, write_answer
from backfire.settings import Argument, FileReference, Metavar

TABLES = (".csv", ".parquet", ".md", ".tex")
PICTURES = (".svg", ".pdf")


class CompareStudies(Command):
    """Compare two studies cell by cell: differences with 95% intervals, paired tests, Holm's correction.

    Cells are matched by family, recipe, world and seed. Where both run folders hold the outcomes of the same requests, these are
    compared one by one; elsewhere the rates are compared. What only one of the studies has is named.
    """

    first: Annotated[Path, Argument(), Metavar("RUN_A")]
    """The run folder of the first study, or its results.json."""
    second: Annotated[Path, Argument(), Metavar("RUN_B")]
    """The run folder of the second study, or its results.json."""
    cluster: Annotated[str | None, Metavar("prompt")] = None
    """With prompt, each request is a unit of its own. Otherwise requests about one behaviour are one unit, where the attacks say it."""
    seed: int = 0
    """The seed of the bootstrap."""
    markdown: bool = False
    """Print Markdown tables."""
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to FILE."""

    def run(self) -> None:
        from dataclasses import asdict

        from backfire.comparing import compare_studies
        from backfire.report import study_comparison_parts

        done = compare_studies(self.first, self.second, cluster=self.cluster, seed=self.seed)
        parts = study_comparison_parts(
            done.first,
            done.second,
            done.rows,
            (done.only_first, done.only_second),
            done.not_paired,
            done.not_compared,
            markdown=self.markdown,
        )
        present(parts)
        if self.json_file is not None:
            write_answer(self.json_file, asdict(done))


class InspectLogs(Command):
    """Write stored attacks as Inspect logs; nothing is asked again.

    Of a run folder, a log for each cell is written. It needs the package inspect-ai: pip install 'backfire[inspect]'.
    """

    attack: Annotated[FileReference, Argument(), Metavar("RUN_OR_JSON")]
    """A run folder, or a file of `backfire attack --json`."""
    out: Annotated[ResumedFolder, Metavar("FOLDER")] = Path("inspect-logs")
    """The folder that the logs are written into; `inspect view --log-dir FOLDER` shows them."""
    ledger: Annotated[Path | None, Metavar("FILE")] = None
    """The ledger that holds the responses. A run folder has its own."""

    @model_validator(mode="after")
    def _with_a_ledger(self) -> InspectLogs:
        if self.ledger is None and not self.attack.is_dir():
            raise ValueError(f"{{ledger}} is missing: name the ledger that {self.attack} was stored in")
        return self

    def run(self) -> None:
        from backfire.answers import read_results
        from backfire.evaluation import write_inspect_log

        if not self.attack.is_dir():
            path = self.out / f"{self.attack.stem}.eval"
            say(f"log: {write_inspect_log(self.attack, self.ledger or '', path)}")
            return
        written = 0
        for cell in read_results(self.attack).cells:
            place = cell.provenance.get("attack")
            if not isinstance(place, str) or not (self.attack / place).is_file():
                warn(f"{cell.id}: its attack is not there, and no log is written")
                continue
            ledger = self.ledger or self.attack / "ledger.db"
            write_inspect_log(self.attack / place, ledger, self.out / f"{cell.id}.eval", model=cell.id)
            written += 1
        say(f"logs: {written} in {self.out}; `inspect view --log-dir {self.out}` shows them")


class Report(Command):
    """Write the page of a run anew, and print its table.

    `backfire report compare A B` compares two runs, and `backfire report inspect RUN` writes their responses as Inspect logs.
    """

    results: Annotated[Path, Argument(), Metavar("RUN")]
    """A run folder, or its results.json."""
    table: Annotated[OutputFile | None, Metavar("FILE")] = None
    """Write the table to FILE as well, as its name ends: .csv or .parquet with one row a cell and every number unrounded; .md or
    .tex (LaTeX) as the page shows it."""
    picture: Annotated[OutputFile | None, Metavar("FILE")] = None
    """Draw attack success per recipe into FILE, which ends in .svg or .pdf."""
    figures: Annotated[ResumedFolder | None, Metavar("FOLDER")] = None
    """Write every figure of the page into FOLDER, each as SVG and as PDF."""

    @field_validator("table")
    @classmethod
    def _known_table(cls, path: Path | None) -> Path | None:
        return _ends_in(path, TABLES)

    @field_validator("picture")
    @classmethod
    def _known_picture(cls, path: Path | None) -> Path | None:
        return _ends_in(path, PICTURES)

    def run(self) -> None:
        from backfire.answers import read_results
        from backfire.report import results_parts, write_figures, write_picture, write_results_table
        from backfire.study import outdated, rewrite_page

        results = read_results(self.results)
        folder = self.results if self.results.is_dir() else self.results.parent
        page = rewrite_page(self.results)
        if why := outdated(folder):
            warn(f"{why}: run the study again")
        present(results_parts(results))
        if self.table is not None:
            say(f"table: {write_results_table(results, self.table)}")
        if self.picture is not None:
            say(f"picture: {write_picture(results, self.picture)}")
        if self.figures is not None:
            written = write_figures(results, self.figures)
            say(f"figures: {len(written)} files in {self.figures}")
        say(f"page: {page}")


def _ends_in(path: Path | None, endings: tuple[str, ...]) -> Path | None:
    if path is not None and path.suffix.lower() not in endings:
        raise ValueError(f"the file's name has to end in {', '.join(endings)}")
    return path

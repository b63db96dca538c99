"""`study run`, `study cells`, `study example`, `study schema` and `demo`: the whole grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from backfire.cli.command import Command, ResumedFolder
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.reporting import show_results
from backfire.cli.terminal import complain, counted, say, show, table, tell
from backfire.settings import Argument, Default, Metavar

if TYPE_CHECKING:
    from backfire.study import Finished, StudyFile

RUNS = Path("runs")
IN_PARTS = ("audit", "influence")
"""Stages of which parts can fail; of all others, requests are lost."""
StudyPath = Annotated[Path, Argument(), Metavar("FILE")]
RunFolderOption = Annotated[ResumedFolder | None, Default("runs/ and the study's name")]


class Run(Command):
    """Run a study, or go on with it: what is done is not done again.

    Failed stages are listed at the end. They stop only the stages that need them. Requests that got no response are listed,
    too, as are parts of an audit or an influence that failed. The next run tries them again. In each of these cases the exit
    code is 1.
    """

    file: StudyPath
    """A study file. `backfire study example` prints one."""
    out: RunFolderOption = None
    """The run folder."""

    def run(self) -> int | None:
        from backfire.study import read_study

        study = read_study(self.file)
        return _run(study, self.out or RUNS / study.name)


class Example(Command):
    """Print the demo's study file, to start your own from."""

    def run(self) -> None:
        from backfire.study import example_text

        say(example_text().rstrip("\n"))


class Schema(Command):
    """Print the JSON schema of study files, by which editors complete and check them.

    Write it to a file, and let the first line of a study file be `# yaml-language-server: $schema=study.schema.json`.
    """

    def run(self) -> None:
        import json

        from backfire.study import study_schema

        say(json.dumps(study_schema(), indent=1, ensure_ascii=False))


class Cells(Command):
    """List the cells of a study, and which of their stages are done in the run folder."""

    file: StudyPath
    """A study file. `backfire study example` prints one."""
    out: RunFolderOption = None
    """The run folder."""

    def run(self) -> None:
        from backfire.study import read_study
        from backfire.study.cells import RunFolder, grid
        from backfire.study.graph import stages_of

        study = read_study(self.file)
        folder = (self.out or RUNS / study.name).resolve()
        ledger = Path(study.ledger) if study.ledger else folder / "ledger.db"
        run, cells = RunFolder(folder, ledger.resolve()), grid(study)
        done = {stage.folder: (stage.name, stage.done()) for stage in stages_of(run, cells)}
        parts = {
            "pair": run.pairs,
            "audit": run.audit,
            "train": run.policy,
            "attack": run.attack,
            "general": run.general,
        }
        listed = table("cell", "folder", *parts, left=7)
        marks = {True: "done", False: "to do", None: "–"}
        for cell in cells:
            states = [done[place(cell)][1] if place(cell) in done else None for place in parts.values()]
            listed.add_row(cell.label, f"cells/{cell.folder_name}", *(marks[state] for state in states))
        show(listed, f"{study.name} in {folder}")
        of_cells = {place(cell) for cell in cells for place in parts.values()}
        for artifact, (name, state) in done.items():
            if artifact not in of_cells:
                say(f"{marks[state]:>5}  {name}")
        count = sum(state for _, state in done.values())
        say(f"{len(cells)} cells, {len(done)} stages, {count} done")


class Demo(Command):
    """Run the demo: seven ways of choosing responses, on model organisms, from prompts to the page.

    Nothing is downloaded, and no GPU is needed. It takes some minutes on two cores. Run again, it finds everything done.
    """

    out: ResumedFolder = RUNS / "demo"
    """The run folder."""

    def run(self) -> int | None:
        from backfire.organisms.catalog import world_folder
        from backfire.study import demo_study

        world_folder()
        return _run(demo_study(), self.out)


def _run(study: StudyFile, out: Path) -> int | None:
    from backfire.study import run_study

    with keeping(f"every finished stage is in {out}; run the same command again to go on"):
        finished = run_study(study, out, say=tell)
    show_results(finished.results)
    say(f"page: {finished.page}")
    _complain(finished)
    return PARTLY if finished.failed or finished.lost else None


def _complain(finished: Finished) -> None:
    """What failed, and what was lost, with the reasons."""
    if finished.failed:
        complain("error", f"{len(finished.failed)} stages failed; run again once their cause is fixed:")
        for stage, reason in finished.failed.items():
            tell(f"  {stage}: {reason}")
    if not finished.lost:
        return
    parts = sum(len(reasons) for stage, reasons in finished.lost.items() if stage.split()[0] in IN_PARTS)
    requests = sum(sum(reasons.values()) for reasons in finished.lost.values()) - parts
    if requests:
        complain(
            "error",
            f"{requests} requests were lost; the same command asks for them again, and for nothing else:",
        )
    if parts:
        complain("error", f"{parts} parts failed; the same command tries them again, and nothing else:")
    for stage, reasons in finished.lost.items():
        tell(f"  {stage}: {counted(reasons)}")

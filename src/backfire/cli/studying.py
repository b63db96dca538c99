"""`study run`, `study cells`, `study example`, `study schema` and `demo`: the whole grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from backfire.cli.command import Command, ResumedFolder
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.terminal import present, print_json, say, tell
from backfire.settings import Argument, Default, Metavar

if TYPE_CHECKING:
    from backfire.study import StudyFile

RUNS = Path("runs")
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

        print(example_text().rstrip("\n"))


class Schema(Command):
    """Print the JSON schema of study files, by which editors complete and check them.

    Write it to a file, and let the first line of a study file be `# yaml-language-server: $schema=study.schema.json`.
    """

    def run(self) -> None:
        from backfire.study import study_schema

        print_json(study_schema())


class Cells(Command):
    """List the cells of a study, and which of their stages are done in the run folder."""

    file: StudyPath
    """A study file. `backfire study example` prints one."""
    out: RunFolderOption = None
    """The run folder."""

    def run(self) -> None:
        from backfire.report import standing_parts
        from backfire.study import read_study, standing_of

        study = read_study(self.file)
        present(standing_parts(standing_of(study, self.out or RUNS / study.name)))


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
    from backfire.report import failures_of, results_parts
    from backfire.study import run_study

    with keeping(f"every finished stage is in {out}; run the same command again to go on"):
        finished = run_study(study, out, say=tell)
    present(results_parts(finished.results))
    say(f"page: {finished.page}")
    present(failures_of(finished.failed, finished.lost))
    return PARTLY if finished.failed or finished.lost else None

"""`study run`, `study cells`, `study example` and `demo`: the whole grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backfire.cli.exits import PARTLY, keeping
from backfire.cli.reporting import show_results
from backfire.cli.terminal import complain, counted, say, show, table

if TYPE_CHECKING:
    from backfire.study import StudyFile

IN_PARTS = ("audit", "influence")
"""Stages whose answers stand without the parts of them that failed."""

app = typer.Typer(
    help="Run a whole study: prompts to report, over recipes, targets and seeds.", no_args_is_help=True
)

RUNS = Path("runs")
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A study file; `backfire study example` prints one.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FOLDER", show_default="runs/ and the study's name", help="The run folder."
    ),
]


@app.command("run")
def run(file: File, out: Out = None) -> None:
    """Run a study, or go on with it: what is done is not done again.

    Failed stages are listed at the end, and stop only what needs them; so are requests that got no response, which the next
    run asks for again. The exit code is then 1.
    """
    from backfire.study import read_study

    study = read_study(file)
    _run(study, out or RUNS / study.name)


@app.command("example")
def example() -> None:
    """Print the demo's study file, to start your own from."""
    from backfire.study import example_text

    typer.echo(example_text(), nl=False)


@app.command("cells")
def cells(file: File, out: Out = None) -> None:
    """List the cells of a study, and which of their stages are done in the run folder."""
    from backfire.study import read_study
    from backfire.study.cells import SFT, RunFolder, grid
    from backfire.study.stages import stages_of

    study = read_study(file)
    folder = (out or RUNS / study.name).resolve()
    ledger = Path(study.ledger) if study.ledger else folder / "ledger.db"
    listed = grid(study)
    done = {stage.name: stage.done() for stage in stages_of(RunFolder(folder, ledger.resolve()), listed)}
    kinds = ("pair", "audit", "train", "attack", "general")
    shown = table("cell", "folder", *kinds, left=7)
    marks = {True: "done", False: "to do", None: "–"}
    own = set()
    for cell in listed:
        shared = ("pair", "audit")
        names = [f"{kind} {cell.data_name if kind in shared else cell.folder_name}" for kind in kinds]
        own.update(names)
        states = [
            None if cell.recipe == SFT and kind in kinds[:3] else done.get(n)
            for n, kind in zip(names, kinds, strict=True)
        ]
        shown.add_row(cell.label, f"cells/{cell.folder_name}", *(marks[state] for state in states))
    show(shown, f"{study.name} in {folder}")
    for name, state in done.items():
        if name not in own:
            say(f"{marks[state]:>5}  {name}")
    say(f"{len(listed)} cells, {len(done)} stages, {sum(done.values())} done")


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The run folder.")] = RUNS / "demo",
) -> None:
    """Run the demo: seven ways of choosing responses, on model organisms, from prompts to the page.

    No downloads and no GPU; some minutes on two cores. Run again, it finds everything done.
    """
    from backfire.organisms.catalog import world_folder
    from backfire.study import demo_study

    world_folder()
    _run(demo_study(), out)


def _run(study: StudyFile, out: Path) -> None:
    from backfire.study import run_study

    with keeping(f"every finished stage is in {out}; run the same command again to go on"):
        finished = run_study(study, out, say=lambda line: typer.echo(line, err=True))
    show_results(finished.results)
    say(f"page: {finished.page}")
    if finished.failed:
        complain("error", f"{len(finished.failed)} stages failed; run again once their cause is mended:")
        for stage, reason in finished.failed.items():
            typer.echo(f"  {stage}: {reason}", err=True)
    if finished.lost:
        count = sum(sum(reasons.values()) for reasons in finished.lost.values())
        parts = sum(len(lost) for stage, lost in finished.lost.items() if stage.split()[0] in IN_PARTS)
        count -= parts
        if count:
            complain(
                "error",
                f"{count} requests were lost; the same command asks for them again, and for nothing else:",
            )
        if parts:
            complain("error", f"{parts} parts failed; the same command tries them again, and nothing else:")
        for stage, reasons in finished.lost.items():
            typer.echo(f"  {stage}: {counted(reasons)}", err=True)
    if finished.failed or finished.lost:
        raise typer.Exit(PARTLY)

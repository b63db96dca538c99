"""A whole study: run what is not done, gather the results, write the page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

from backfire.errors import StudyError
from backfire.records import digest
from backfire.report import Results, read_results, write_page, write_results
from backfire.store import read_json, write_text
from backfire.study.cells import RunFolder, grid
from backfire.study.collect import collect
from backfire.study.plan import StudyFile, parse_study, read_study
from backfire.study.schedule import run_stages
from backfire.study.stages import stages_of

RESOLVED = "study.yaml"
SCRATCH = ".schedule"


@dataclass(frozen=True)
class Finished:
    """A study that has run."""

    results: Results
    folder: Path
    page: Path
    failed: dict[str, str]
    """Stages that failed, with their reasons; what they did not touch is in the results."""


def demo_study() -> StudyFile:
    """The study that `backfire demo` runs."""
    return parse_study(yaml.safe_load(example_text()), origin="demo.yaml")


def example_text() -> str:
    """demo.yaml, to start a study file from."""
    return (files("backfire.study") / "demo.yaml").read_text(encoding="utf-8")


def run_study(
    study: StudyFile | str | Path, folder: str | Path, *, say: Callable[[str], None] = print
) -> Finished:
    """Run a study into `folder`; what stands there under the same configuration is not done again.

    Raises StudyError when the folder belongs to a study of another name, another run works in it, or nothing at all
    could be finished.
    """
    study = study if isinstance(study, StudyFile) else read_study(study)
    run = open_run(study, Path(folder), say)
    cells = grid(study)
    stages = stages_of(run, cells)
    with alone(run.root):
        failed = run_stages(stages, run.root / SCRATCH, workers=study.workers, say=say)
        shutil.rmtree(run.gradients, ignore_errors=True)
    _resolve(study, run)
    if not any((run.cell(c) / "attack" / "attack.json").is_file() for c in cells):
        reasons = "; ".join(f"{stage}: {reason}" for stage, reason in failed.items())
        raise StudyError(f"no cell of {study.name} could be finished: {reasons or 'nothing ran'}")
    results = collect(study, run, failed)
    if not _same(run, results):
        write_results(run.results, results)
        write_page(results, run.root / "report")
    return Finished(results, run.root, run.root / "report" / "index.html", failed)


def open_run(study: StudyFile, folder: Path, say: Callable[[str], None]) -> RunFolder:
    """The run folder of a study; says which settings changed since it was last run there."""
    stamp = folder / RESOLVED
    if stamp.is_file():
        before = yaml.safe_load(stamp.read_text(encoding="utf-8"))
        if not isinstance(before, dict) or not {"digest", "study"} <= set(before):
            raise StudyError(f"{stamp} was not written by a run: choose another --out")
        if before["study"]["name"] != study.name:
            raise StudyError(
                f"{folder} holds the study '{before['study']['name']}', not '{study.name}': choose another --out"
            )
        now = study.model_dump(mode="json")
        changed = sorted(k for k in now if now[k] != before["study"].get(k))
        if changed:
            say(
                f"{folder}: changed since the last run: {', '.join(changed)}; only what depends on it runs again"
            )
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Path(study.ledger) if study.ledger else folder / "ledger.db"
    return RunFolder(folder.resolve(), ledger.resolve())


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a run folder for one process, and remove half-written artifacts (`.policy.1234`) of runs that were killed.

    The system frees the folder however the process ends. Where there are no file locks, nothing is done.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = folder / SCRATCH / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StudyError(
                f"another run works in {folder}: wait for it, end it, or choose another --out"
            ) from error
        for aside in [*folder.glob("*/.*.*"), *folder.glob("cells/*/.*.*"), *folder.glob("data/*/.*.*")]:
            if aside.is_dir() and aside.suffix[1:].isdecimal():
                shutil.rmtree(aside, ignore_errors=True)
        yield


def _resolve(study: StudyFile, run: RunFolder) -> None:
    """Write down what was run: the study with every default, and its digest."""
    value = study.model_dump(mode="json")
    resolved = {"digest": digest(value), "study": value}
    write_text(run.root / RESOLVED, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))


def _same(run: RunFolder, results: Results) -> bool:
    """Whether results.json says the same already, but for the time at which it was made."""
    if not run.results.is_file() or not (run.root / "report" / "index.html").is_file():
        return False
    before, now = read_json(run.results), results.model_dump(mode="json", by_alias=True)
    return {**before, "created": ""} == {**now, "created": ""}


def rewrite_page(folder: Path) -> Path:
    """Write the page anew from a run folder's results.json."""
    return write_page(read_results(folder / "results.json"), folder / "report")


__all__ = ["Finished", "demo_study", "example_text", "rewrite_page", "run_study"]

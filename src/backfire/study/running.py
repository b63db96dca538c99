"""A whole study: run what is not done, gather the results, write the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import yaml

from backfire.answers import Results, read_results, write_results
from backfire.errors import InputError, StudyError, setting
from backfire.records import digest
from backfire.report import write_page
from backfire.store import read_json, write_text
from backfire.study.cells import RunFolder, grid
from backfire.study.collect import collect
from backfire.study.expected import time_left
from backfire.study.graph import stages_of
from backfire.study.plan import StudyFile
from backfire.study.process_pool import ProcessPool, ThisProcess, Workers, WorkerSetup
from backfire.study.schedule import run_stages
from backfire.study.stopping import SCRATCH, alone, interruptible
from backfire.study.study_file import parse_study, read_study

RESOLVED = "study.yaml"
UNFINISHED = Path(SCRATCH) / "unfinished"
"""When the run began that has not finished."""


@dataclass(frozen=True)
class Finished:
    """A study that has run."""

    results: Results
    folder: Path
    page: Path
    failed: dict[str, str]
    """Stages that failed, with their reasons; what they did not touch is in the results."""
    lost: dict[str, dict[str, int]]
    """Stages that stand without what some requests should have given, by reason; the next run asks for these again."""


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

    A stage that fails leaves nothing in the results, nor does what another configuration made. SIGTERM ends it as Ctrl-C does:
    with KeyboardInterrupt, every process of its own, and every finished stage kept.

    Raises StudyError when the folder belongs to a study of another name, another run works in it, no stage makes
    an input of another, or no cell at all could be finished.
    """
    study = study if isinstance(study, StudyFile) else read_study(study)
    run = open_run(study, Path(folder), say)
    stages = stages_of(run, grid(study))
    with interruptible(), alone(run.root) as held:
        _resolve(study, run)
        shutil.rmtree(run.gradients, ignore_errors=True)
        with _workers(study, run, held) as workers:
            outcome = run_stages(
                stages,
                workers,
                say=say,
                beginning=lambda: _begin(run),
                expected=lambda: time_left(stages, workers.slots),
            )
        shutil.rmtree(run.gradients, ignore_errors=True)
        results = collect(study, run, stages, outcome)
        if (run.root / UNFINISHED).exists() or not _same(run, results):
            # The page first: a run that is killed between the two then writes both anew.
            write_page(results, run.root / "report")
            write_results(run.results, results)
            (run.root / UNFINISHED).unlink(missing_ok=True)
    return Finished(results, run.root, run.root / "report" / "index.html", outcome.failed, outcome.lost)


def _workers(study: StudyFile, run: RunFolder, held: tuple[int, ...]) -> AbstractContextManager[Workers]:
    if study.workers == 1:
        return nullcontext(ThisProcess())
    threads = max(1, (os.cpu_count() or 1) // study.workers)
    return ProcessPool(WorkerSetup(study, run.root, run.ledger_path, threads), study.workers, held)


def _begin(run: RunFolder) -> None:
    """Note that a run has begun; until it ends, the results and the page that are there are said to be of an earlier one."""
    if not (run.root / UNFINISHED).exists():
        write_text(run.root / UNFINISHED, datetime.now(UTC).isoformat(timespec="seconds"))
    with suppress(InputError):
        rewrite_page(run.root)


def open_run(study: StudyFile, folder: Path, say: Callable[[str], None]) -> RunFolder:
    """The run folder of a study; says which settings changed since it was last run there."""
    stamp = folder / RESOLVED
    if stamp.is_file():
        try:
            before = yaml.safe_load(stamp.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            before = None
        known = before.get("study") if isinstance(before, dict) and "digest" in before else None
        if not isinstance(known, dict) or "name" not in known:
            raise StudyError(f"{stamp} was not written by a run: choose another {setting('out')}")
        if known["name"] != study.name:
            raise StudyError(
                f"{folder} holds the study '{known['name']}', not '{study.name}': choose another {setting('out')}"
            )
        now = study.model_dump(mode="json")
        changed = sorted(k for k in now if now[k] != known.get(k))
        if changed:
            say(
                f"{folder}: changed since the last run: {', '.join(changed)}; only what depends on it runs again"
            )
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Path(study.ledger) if study.ledger else folder / "ledger.db"
    return RunFolder(folder.resolve(), ledger.resolve())


def _resolve(study: StudyFile, run: RunFolder) -> None:
    """Write down what was run: the study with every default, and its digest."""
    value = study.model_dump(mode="json")
    resolved = {"digest": digest(value), "study": value}
    write_text(run.root / RESOLVED, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))


def _same(run: RunFolder, results: Results) -> bool:
    """Whether results.json says the same already, but for the time at which it was made."""
    if not run.results.is_file() or not (run.root / "report" / "index.html").is_file():
        return False
    try:
        before = read_json(run.results)
    except (OSError, ValueError, RecursionError):
        return False
    now = results.model_dump(mode="json", by_alias=True)
    return isinstance(before, dict) and {**before, "created": ""} == {**now, "created": ""}


def outdated(folder: Path) -> str:
    """Why a run folder's results.json is of an earlier run than the last one; nothing where it is of the last."""
    stamp = folder / UNFINISHED
    if not stamp.is_file():
        return ""
    began = stamp.read_text(encoding="utf-8", errors="replace")[:40]
    return f"a run that began at {began} has not finished: these numbers are of a run before it"


def rewrite_page(run: Path) -> Path:
    """Write the page anew from a run folder, or its results.json; it says so where that is not of the last run."""
    results, folder = read_results(run), run if run.is_dir() else run.parent
    if why := outdated(folder):
        results = results.model_copy(update={"stages": {**results.stages, "outdated": why}})
    return write_page(results, folder / "report")


__all__ = ["Finished", "demo_study", "example_text", "outdated", "rewrite_page", "run_study"]

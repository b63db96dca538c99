"""`release`, `release verify` and `release schema`: may a candidate replace its base?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from backfire.cli.command import Command, JsonFile, ResumedFolder
from backfire.cli.exits import FAILED, PARTLY, UNDECIDED, keeping
from backfire.cli.progress import Lines
from backfire.cli.terminal import present, say, write_answer
from backfire.releasing.settings import ReleaseSettings, VerifySettings
from backfire.settings import Argument, FileReference, Metavar, ModelReference

RELEASE, PAGE = "release.json", "release.md"


class Release(Command):
    """Decide whether a candidate may replace its base, by written rules: pass, fail or not decided.

    Both models are asked the same attacks, benign prompts and general tasks, as the rules file says. Every rule is held
    against an interval. What is not decided says how many prompts would decide it. The exit code is 0 where every rule
    is kept, 3 where one is broken, and 4 where none is broken and one is not decided.

    The folder gets release.json, which is bound by digests to what was tested, and release.md for a pull request. An
    interrupted check goes on where it was, and a second one asks nothing again.
    """

    base: Annotated[ModelReference, Argument()]
    """The model that is in use: a checkpoint or adapter folder, a GGUF file, a hub name, organism:NAME, openai:MODEL or
    openai:MODEL@URL."""
    candidate: Annotated[ModelReference, Argument()]
    """The model that may replace it."""
    settings: ReleaseSettings
    out: ResumedFolder = Path("runs/release")
    """The folder of the check: its ledger, the numbers of general tasks, release.json and release.md."""

    def run(self) -> int | None:
        from backfire.answers.release import write_release
        from backfire.releasing import release
        from backfire.report import release_parts, write_release_markdown

        lines: dict[str, Lines] = {}

        def advance(what: str, done: int, total: int) -> None:
            lines.setdefault(what, Lines(what)).advance(done, total)

        with keeping(f"every finished batch and task is in {self.out}; run the same command again to go on"):
            report = release(self.base, self.candidate, self.settings, out=self.out, progress=advance)
        write_release(report, self.out / RELEASE)
        write_release_markdown(report, self.out / PAGE)
        present(release_parts(report))
        say(f"in {self.out}: {RELEASE} and {PAGE}")
        return {"pass": None, "fail": FAILED, "not decided": UNDECIDED}[report.verdict]


class Verify(Command):
    """Compute again what a release file is bound to, and say what differs and what could not be checked.

    The exit code is 0 where everything is the same, 1 where something could not be checked, 3 where something differs, and
    2 for a file that was edited.
    """

    file: Annotated[FileReference, Argument(), Metavar("FILE")]
    """A release.json, or the folder of a check."""
    settings: VerifySettings = VerifySettings()
    json_file: JsonFile = None
    """Write the result to FILE."""

    def run(self) -> int | None:
        from backfire.releasing import verify_release
        from backfire.report import release_check_parts

        check = verify_release(self.file, self.settings)
        present(release_check_parts(check))
        if self.json_file is not None:
            write_answer(self.json_file, {**check.model_dump(), "state": check.state})
        return {"same": None, "differs": FAILED, "not checked": PARTLY}[check.state]


class Schema(Command):
    """Print the JSON schema of rules files, by which editors complete and check them.

    Write it to a file, and let the first line of a rules file be `# yaml-language-server: $schema=release.schema.json`.
    """

    def run(self) -> None:
        import json

        from backfire.releasing import rules_schema

        say(json.dumps(rules_schema(), indent=1, ensure_ascii=False))

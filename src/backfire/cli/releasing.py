"""`release`, `release verify`, `release card` and `release schema`: may a candidate replace its base?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from backfire.cli.command import Command, JsonFile, ResumedFolder
from backfire.cli.exits import FAILED, PARTLY, UNDECIDED, keeping
from backfire.cli.progress import Lines
from backfire.cli.terminal import present, say, write_answer
from backfire.releasing.settings import CardSettings, ReleaseSettings, VerifySettings
from backfire.settings import Argument, FileReference, Metavar, ModelReference

if TYPE_CHECKING:
    from backfire.answers.release import ReleaseReport

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
    json_file: JsonFile = None
    """Write release.json to FILE, too. With - it is printed, and everything else goes to stderr."""
    cards: CardSettings = CardSettings()

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
        _write_cards(report, self.cards)
        if self.json_file is not None:
            write_answer(self.json_file, report.model_dump(by_alias=True, mode="json"))
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


class Card(Command):
    """Put the section about a release into a model card or a data-set card, here or on the hub.

    A card that has such a section gets this one in its place, and everything else in the card stays as it is. Without
    --no-dry-run nothing is pushed, and what would be pushed is printed.
    """

    file: Annotated[FileReference, Argument(), Metavar("FILE")]
    """A release.json, or the folder of a check. A file that was edited is refused."""
    cards: CardSettings = CardSettings()

    def run(self) -> None:
        from backfire.answers.release import read_release
        from backfire.report import render_release_card

        report = read_release(self.file)
        if self.cards == CardSettings():
            say(render_release_card(report))
        _write_cards(report, self.cards)


class Schema(Command):
    """Print the JSON schema of rules files, by which editors complete and check them.

    Write it to a file, and let the first line of a rules file be `# yaml-language-server: $schema=release.schema.json`.
    """

    def run(self) -> None:
        import json

        from backfire.releasing import rules_schema

        say(json.dumps(rules_schema(), indent=1, ensure_ascii=False))


def _write_cards(report: ReleaseReport, cards: CardSettings) -> None:
    """The section in the cards that are named, and on the hub; a dry run prints what would change there."""
    import difflib

    from backfire.releasing import Section, push_section, write_card
    from backfire.report import card_results, render_release_card

    model = Section(render_release_card(report), card_results(report))
    data = Section(render_release_card(report, "dataset"), ())
    if cards.card is not None:
        say(f"in {write_card(cards.card, model)}: the section about this release")
    if cards.dataset_card is not None:
        say(f"in {write_card(cards.dataset_card, data, 'dataset')}: the section about this release")
    for repo in cards.push_to_hub:
        pushed = push_section(repo, data if repo.startswith("datasets/") else model, dry_run=cards.dry_run)
        if pushed.before == pushed.after:
            say(f"{repo}: its card says this already, and nothing is pushed")
        elif pushed.url is not None:
            say(f"{repo}: pushed, {pushed.url}")
        else:
            say(f"{repo}: a dry run, nothing is pushed. --no-dry-run would change its README.md so:")
            before, after = (text.splitlines() for text in (pushed.before, pushed.after))
            for line in difflib.unified_diff(before, after, "before", "after", lineterm="", n=1):
                say(line)

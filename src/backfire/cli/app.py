"""The entry point: which command is meant, its help, and its run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

from backfire.cli.entries import Entry, children
from backfire.cli.exits import WRONG, clean_end
from backfire.cli.terminal import catch_warnings, json_alone, say, tell

HELP = ("--help", "-h")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point `backfire`; exits."""
    # Before torch is imported: spinning threads on shared cores cost a factor of seven.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # pydantic looks through every installed package for plugins otherwise, which takes longer than the help.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    catch_warnings()
    words = list(sys.argv[1:] if arguments is None else arguments)
    with clean_end():
        raise SystemExit(_run(words))


def _run(words: list[str]) -> int:
    from backfire.cli.help_page import group_page, root_page

    entry, rest = find_command(words)
    if entry is None:
        if "--version" in rest:
            from importlib.metadata import version

            say(f"backfire {version('backfire')}")
            return 0
        say(root_page(_width()).rstrip("\n"))
        return 0 if set(rest) & set(HELP) else WRONG
    name = f"backfire {entry.name}"
    if not entry.target:
        say(group_page(entry.name, entry.about, _width()).rstrip("\n"))
        return 0 if set(rest) & set(HELP) else WRONG
    if asks_for_help(rest):
        from backfire.cli.help_store import page_of

        say(page_of(entry).text(_width()).rstrip("\n"))
        return 0
    from backfire.cli.parsing import parse
    from backfire.errors import BackfireError
    from backfire.settings import COMMAND_LINE

    command = entry.load()
    try:
        given = parse(command, rest, name)
        for path in given.replaced():
            tell(f"{path} is there already, and is replaced if this command succeeds")
        with json_alone() if given.json_to_stdout else nullcontext():
            return given.run() or 0
    except BackfireError as error:
        error.args = (error.spelled(lambda field: COMMAND_LINE.flat_name(command, field)),)
        raise


def find_command(words: Sequence[str]) -> tuple[Entry | None, list[str]]:
    """The command that the words begin with, and the other words; InputError for one that does not exist."""
    from backfire.errors import InputError

    group, rest = "", list(words)
    command: Entry | None = None
    while rest and not rest[0].startswith("-"):
        there = {entry.words[-1]: entry for entry in children(group)}
        if not there:
            break
        if rest[0] not in there:
            if command is not None and command.target:
                break
            name = f"backfire {group}".strip()
            raise InputError(f"{name} has no command {rest[0]}: {_fix(rest[0], there, name)}")
        command = there[rest.pop(0)]
        group = command.name
    known = (*HELP, "--version")
    if command is None and rest and rest[0] not in known:
        raise InputError(f"backfire has no option {rest[0]}: {_fix(rest[0], known, 'backfire')}")
    return command, rest


def _fix(word: str, known: Iterable[str], name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else f"`{name} --help` lists the commands"


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether help is asked for, before a `--` that ends the options."""
    before = list(words)
    return bool(set(before[: before.index("--")] if "--" in before else before) & set(HELP))


def _width() -> int:
    return min(120, shutil.get_terminal_size((100, 24)).columns)

"""`completion`: the script by which a shell completes words of the command line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from backfire.cli.command import Command
from backfire.cli.entries import COMMANDS, Entry
from backfire.settings import Argument, Setting, flat, options_of
from backfire.settings.command_words import is_flag


class Completion(Command):
    """Print a script by which a shell completes commands, options and their values.

    For bash: `backfire completion bash > ~/.local/share/bash-completion/completions/backfire`. For zsh, write it as `_backfire` into
    a folder of $fpath. For fish: `backfire completion fish > ~/.config/fish/completions/backfire.fish`. The script has all commands
    in it, so that completing starts no Python; print it again after an update.
    """

    shell: Annotated[Literal["bash", "zsh", "fish"], Argument()]
    """The shell: bash, zsh or fish."""

    def run(self) -> None:
        print(completion_script(self.shell))


def completion_script(shell: Literal["bash", "zsh", "fish"]) -> str:
    """The script of a shell, made by cyclopts from the settings classes."""
    from cyclopts import App

    app = App(name="backfire", help_flags=(), version_flags=())
    groups: dict[str, Any] = {"": app}
    for entry in COMMANDS:
        above = groups[" ".join(entry.words[:-1])]
        if not entry.target:
            groups[entry.name] = App(
                name=entry.words[-1], help=entry.about, help_flags=("--help",), version_flags=()
            )
            above.command(groups[entry.name])
        elif any(other.words[:-1] == entry.words for other in COMMANDS):
            groups[entry.name] = App(
                name=entry.words[-1], help=entry.about, help_flags=("--help",), version_flags=()
            )
            groups[entry.name].default(_signed(entry))
            above.command(groups[entry.name])
        else:
            above.command(_signed(entry), name=entry.words[-1], help=entry.about)
    script: str = app.generate_completion(prog_name="backfire", shell=shell)
    return script.rstrip("\n")


def _signed(entry: Entry) -> Any:
    """A function that does nothing, with the options of a command."""
    from cyclopts import Parameter

    def command(*words: Any, **options: Any) -> None:
        """Nothing is called here."""

    settings = flat(entry.load()).values()
    parameters = [
        inspect.Parameter("words", inspect.Parameter.VAR_POSITIONAL, annotation=_words(list(settings)))
    ]
    for setting in settings:
        if setting.mark(Argument):
            continue
        kind: Any = bool if is_flag(setting) else list[_kind(setting)]  # type: ignore[misc]
        how = Annotated[kind | None, Parameter(name=options_of(setting), negative="")]
        parameters.append(
            inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=how)
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _words(settings: list[Setting]) -> Any:
    """What stands without an option: one of a choice, or files."""
    arguments = [one for one in settings if one.mark(Argument)]
    return _kind(arguments[0]) if len(arguments) == 1 else Path


def _kind(setting: Setting) -> Any:
    """What the values of a setting are to a shell: one of a choice, numbers, or files."""
    choices = _choices(setting.field.annotation)
    if choices:
        return Literal[tuple(choices)]
    plain = set(_leaves(setting.field.annotation)) - {type(None)}
    return str if plain <= {int, float} and plain else Path


def _choices(annotation: Any) -> list[str]:
    """The texts of every Literal within an annotation."""
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    return [text for part in get_args(annotation) if not isinstance(part, str) for text in _choices(part)]


def _leaves(annotation: Any) -> list[Any]:
    inside = get_args(annotation)
    return [leaf for part in inside for leaf in _leaves(part)] if inside else [annotation]

"""From words on the command line to a command's fields.

cyclopts assigns the words to options: every option takes texts, and may be repeated. What the texts mean is the settings
classes' own matter, so that a value is checked by the same code, with the same message, wherever it was given.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from backfire.errors import InputError
from backfire.settings import (
    COMMAND_LINE,
    Argument,
    Commas,
    Setting,
    flat,
    nested,
    options_of,
    parts,
)
from backfire.settings.command_words import holds_tuple, is_flag, is_list, negative_of
from backfire.settings.faults import close
from backfire.settings.fields import is_part, renamed_in

if TYPE_CHECKING:
    from backfire.cli.command import Command


def parse(cls: type[Command], words: Sequence[str], name: str) -> Command:
    """The command with what the words give; InputError names each wrong one."""
    texts = _texts(cls, words, name)
    settings = flat(cls)
    values = {one.name: _value(one, texts[one.name]) for one in settings.values() if one.name in texts}
    for switch, path in switches(cls).items():
        inside = [one for one in settings.values() if path in one.optional_parts]
        given = [one for one in inside if one.name in texts]
        if given and switch not in texts:
            options = ", ".join(COMMAND_LINE.setting(one) for one in given)
            raise InputError(f"{options} without --{switch}: add --{switch}")
        if switch in texts and not given:
            values[inside[0].name] = inside[0].default
    return cls.parse(_with_required_parts(cls, nested(cls, values)), COMMAND_LINE)


def _with_required_parts(cls: type[Command], values: dict[str, Any]) -> dict[str, Any]:
    """The values, with an empty part where a required one is not given: its missing options are named then, not the part."""
    required = (name for name, field in cls.model_fields.items() if is_part(field) and field.is_required())
    return {**{name: {} for name in required}, **values}


def switches(cls: type[Command]) -> dict[str, tuple[str, ...]]:
    """The options that turn an optional part on, such as `lora`, with the path of the part."""
    return {part.prefix: part.path for part in parts(cls) if part.optional and part.prefix}


def _value(setting: Setting, given: Any) -> Any:
    """What the texts given for an option are, as the settings class takes it."""
    if is_flag(setting) or is_list(setting):
        return given
    text = given[-1]
    if setting.mark(Commas) and holds_tuple(setting.field.annotation) and text != setting.default:
        return tuple(part.strip() for part in text.split(","))
    return text


def _texts(cls: type[Command], words: Sequence[str], name: str) -> dict[str, Any]:
    """The texts of each argument and option that was given, by its flat name; a flag has True or False."""
    from cyclopts import App
    from cyclopts.exceptions import CycloptsError

    def command(*words: str, **options: Any) -> None:
        """Nothing is called here: the words are only assigned."""

    parameters = list(_parameters(cls))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__doc__ = None
    app = App(name=name, help_flags=(), version_flags=())
    app.default(command)
    try:
        _, bound, _ = app.parse_args(list(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise InputError(_fault(error, cls, name)) from None
    return _placed(cls, bound.args, name) | bound.kwargs


def _parameters(cls: type[Command]) -> Iterator[inspect.Parameter]:
    yield inspect.Parameter("words", inspect.Parameter.VAR_POSITIONAL, annotation=str)
    for setting in flat(cls).values():
        if not setting.mark(Argument):
            negative = negative_of(setting) if is_flag(setting) else None
            kind = bool if is_flag(setting) else list[str]
            yield _option(setting.name, options_of(setting), kind, negative)
    for switch in switches(cls):
        yield _option(switch, (f"--{switch}",), bool, None)


def _option(name: str, options: tuple[str, ...], kind: Any, negative: str | None) -> inspect.Parameter:
    from cyclopts import Parameter

    how = Parameter(name=options, negative=negative or "", allow_leading_hyphen=True, consume_multiple=False)
    annotation = Annotated[kind | None, how]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _placed(cls: type[Command], words: Sequence[str], name: str) -> dict[str, Any]:
    """The words without an option, each in its place."""
    left, texts = list(words), {}
    for setting in arguments_of(cls):
        if is_list(setting):
            texts[setting.name], left = left, []
        elif left:
            texts[setting.name] = [left.pop(0)]
    if left:
        raise InputError(f"{name} has no place for {left[0]!r}: `{name} --help` lists what it takes")
    return {name: value for name, value in texts.items() if value}


def arguments_of(cls: type[Command]) -> list[Setting]:
    """What the command takes by its place."""
    return [setting for setting in flat(cls).values() if setting.mark(Argument)]


def known_options(cls: type[Command]) -> list[str]:
    """Every option that the command has."""
    known = ["--help", *(f"--{switch}" for switch in switches(cls))]
    for setting in flat(cls).values():
        if not setting.mark(Argument):
            known += options_of(setting)
            known += [negative_of(setting) or ""] if is_flag(setting) else []
    return sorted(filter(None, known))


def _fault(error: Any, cls: type[Command], name: str) -> str:
    """A word that has no place among the command's options, in one sentence."""
    from cyclopts.exceptions import MissingArgumentError, UnknownOptionError

    if isinstance(error, UnknownOptionError):
        option = str(error.token.keyword or error.token.value).partition("=")[0]
        now = renamed_in(cls).get(option.removeprefix("--").replace("-", "_"))
        if now is not None:
            return f"{option} of {name} is called --{now.replace('_', '-')} now: write that"
        near = close(option, known_options(cls))
        fix = f"did you mean {near}?" if near else f"`{name} --help` lists the options"
        return f"{name} has no option {option}: {fix}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.keyword or error.argument.name} has no value: give one after it"
    error.verbose = False
    return f"{name}: {' '.join(str(error).split())}"

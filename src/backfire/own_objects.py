"""Judges and attacks of a user's own, by reference: `module:object`, or the name of an installed package's entry point."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isclass, signature
from pathlib import Path
from typing import Any

from backfire.errors import InputError

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_FORM = re.compile(f"({_NAME}):({_NAME})")
SHOWN = 8
"""How many names of a module a message lists."""


def names_own(reference: str, group: str) -> bool:
    """Whether the reference has the form `module:object`, or is the name of an entry point of this group."""
    return bool(_FORM.fullmatch(reference)) or _entry_point(reference, group) is not None


def find_own(reference: str, group: str, what: str) -> Any:
    """The object that `module:object` or an entry point names, as its module has it.

    A module is looked for among installed packages, then in the folder where the command runs. Importing it runs its code.

    Args:
        group: of entry points, such as `backfire.judges`.
        what: the kind of object in messages, such as "judge".

    Raises:
        InputError: no such module or object, or the module cannot be imported.
    """
    entry = _entry_point(reference, group)
    match = _FORM.fullmatch(entry.value if entry is not None else reference)
    if match is None:
        raise InputError(
            f"{what} {reference!r} names no object: write module:object, such as my_module:polite"
        )
    module, path = match.groups()
    value = _imported(module, reference, what)
    for name in path.split("."):
        if not hasattr(value, name):
            there = [n for n in dir(value) if not n.startswith("_")]
            listed = ", ".join(there[:SHOWN]) + (", ..." if len(there) > SHOWN else "")
            raise InputError(
                f"there is no {what} {reference!r}: module {module!r} has no {path!r}. It has {listed or 'no public name'}"
            )
        value = getattr(value, name)
    return value


def made(value: Any, method: str, reference: str, what: str, parameters: Mapping[str, Any]) -> Any:
    """The object itself where it has the method; else what the class or function gives, called with the parameters.

    Raises:
        InputError: it takes no such parameters, or cannot be made.
    """
    if not isclass(value) and hasattr(value, method):
        if parameters:
            raise InputError(
                f"{what} {reference} is an object and takes no parameter {next(iter(parameters))!r}: leave it out, or name "
                "the class or a function that makes it"
            )
        return value
    if not callable(value):
        raise InputError(
            f"{reference} is no {what}: it has no method `{method}`, and cannot be called to make one"
        )
    try:
        signature(value).bind(**parameters)
    except TypeError as error:
        raise InputError(
            f"{what} {reference} cannot be made of the parameters ({', '.join(parameters) or 'none'}): {error}"
        ) from error
    return value(**parameters)


def check_own(
    value: Any, texts: Mapping[str, str], methods: tuple[str, ...], reference: str, what: str
) -> None:
    """Raise InputError where the object lacks a text or a method that an object of this kind has to have.

    Args:
        texts: what each text that it needs is, by the attribute's name.
        methods: the methods that it needs.
    """
    for name, meaning in texts.items():
        text = getattr(value, name, None)
        if not isinstance(text, str) or not text.strip():
            given = "has none" if text is None else f"has {text!r:.60}"
            raise InputError(f"{what} {reference} needs a text `{name}`, {meaning}, and {given}")
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise InputError(
                f"{what} {reference} has no method `{method}`: write one as docs/extending.md shows"
            )


def _entry_point(name: str, group: str) -> EntryPoint | None:
    return next(iter(entry_points(group=group, name=name)), None)


def _imported(module: str, reference: str, what: str) -> Any:
    try:
        with _beside(Path.cwd()):
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise InputError(
                f"there is no {what} {reference!r}: Python finds no module {error.name!r} among installed packages or in "
                f"{Path.cwd()}. A {what} of your own is written module:object"
            ) from error
        raise InputError(
            f"{what} {reference!r}: module {module!r} imports {error.name!r}, which is not installed"
        ) from error
    except Exception as error:
        raise InputError(
            f"{what} {reference!r}: module {module!r} cannot be imported ({type(error).__name__}: {error})"
        ) from error


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """The folder as the last place where modules are looked for."""
    place = str(folder)
    known = place in sys.path or "" in sys.path
    if not known:
        sys.path.append(place)
    try:
        yield
    finally:
        if not known:
            sys.path.remove(place)

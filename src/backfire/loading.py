"""Packages whose names are loaded when they are first used, so that importing one of their modules loads nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(
    package: str, names: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that gives `names`, listed by the module that has them.

    A name must not be a module's of the package: importing that module would put it in the name's place.
    """
    module_of = {name: module for module, listed in names.items() for name in listed}

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module_of[name]}"), name)

    def names_of() -> list[str]:
        return sorted(module_of)

    return get, names_of

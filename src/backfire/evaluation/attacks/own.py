"""Attacks of a user's own: `module:object`, or an entry point of the group `backfire.attacks`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import Any

from backfire.errors import InputError
from backfire.evaluation.attacks.asking import Attack
from backfire.own_objects import check_own, find_own, made, names_own

GROUP = "backfire.attacks"
_TEXTS = {
    "name": "the name in tables",
    "source": "who described it",
    "id": "which changes whenever the attack could ask otherwise, such as bf.digest('my attack', 1)",
}


def is_own(reference: str) -> bool:
    """Whether the reference can only mean an attack of the user's own."""
    return names_own(reference, GROUP)


def build_own(reference: str, name: str | None, parameters: Mapping[str, Any]) -> Attack:
    """The attack: the object itself, or what the class or function gives when it is called with the parameters.

    Raises:
        InputError: no such module or object, parameters that it does not take, or an attack that lacks something.
    """
    own = find_own(reference, GROUP, "attack")
    attack = made(own, "ask", reference, "attack", parameters)
    check_own(attack, _TEXTS, ("unfit", "ask"), reference, "attack")
    if not isinstance(getattr(attack, "parameters", None), Mapping):
        raise InputError(
            f"attack {reference} needs `parameters`, a mapping of what it is run with; it may be empty"
        )
    named: Attack = attack
    return named if name in (None, reference, named.name) else _renamed(named, str(name), reference)


def _renamed(attack: Any, name: str, reference: str) -> Any:
    if is_dataclass(attack) and not isinstance(attack, type):
        return replace(attack, name=name)
    raise InputError(f"attack {reference} is named {attack.name!r}: leave `name` out, or make it a dataclass")

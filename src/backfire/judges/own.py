"""Judges of a user's own: `module:object`, or an entry point of the group `backfire.judges`."""

from __future__ import annotations

from backfire.judges.judge import Judge
from backfire.own_objects import check_own, find_own, made, names_own

GROUP = "backfire.judges"
_TEXTS = {
    "name": "the name in tables",
    "id": "which changes whenever the judge could decide otherwise, such as bf.digest('my judge', 1)",
}


def is_own(reference: str) -> bool:
    """Whether the reference can only mean a judge of the user's own."""
    return names_own(reference, GROUP)


def find_judge(reference: str) -> object:
    """What the reference names, without making a judge of it.

    Raises:
        InputError: no such module or object.
    """
    return find_own(reference, GROUP, "judge")


def open_own(reference: str) -> Judge:
    """The judge: the object itself, or what the class or function gives when it is called without arguments.

    Raises:
        InputError: no such module or object, or one that lacks a name, an id or the method `judge`.
    """
    judge: Judge = made(find_judge(reference), "judge", reference, "judge", {})
    check_own(judge, _TEXTS, ("judge",), reference, "judge")
    return judge

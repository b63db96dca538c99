"""Which split of several is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backfire.errors import InputError


def chosen_split(splits: Mapping[str, Any], split: str | None, origin: str) -> Any:
    """The split asked for; else `train`, or the only one.

    Raises:
        InputError: it is not there, or there are several and no train.
    """
    there = ", ".join(map(str, splits))
    if split is not None:
        if split not in splits:
            raise InputError(f"{origin} has no split {split!r}: it has {there}")
        return splits[split]
    if "train" in splits:
        return splits["train"]
    if len(splits) == 1:
        return next(iter(splits.values()))
    raise InputError(f"{origin} has the splits {there} and no train: name one as split")


def refuse_options(why: str, **options: str | None) -> None:
    """Raise InputError, which says why, if one of the options was given."""
    if given := [f"{name} {value!r}" for name, value in options.items() if value is not None]:
        raise InputError(f"{why}: leave out {' and '.join(given)}")

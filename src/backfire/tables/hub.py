"""Data sets on the Hugging Face hub."""

from __future__ import annotations

import re
from typing import Any

from backfire.errors import InputError

PREFIX = "hub:"
FORM = "hub:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]"
_REFERENCE = re.compile(
    r"hub:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+?))?(:((?P<config>[\w.-]+)/)?(?P<split>[^/]+))?"
)


def parts_of(reference: str) -> dict[str, str | None]:
    """Name, config, split and revision of `hub:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]`, such as
    `hub:JailbreakBench/JBB-Behaviors:behaviors/harmful`.

    Raises:
        InputError: it has another form.
    """
    parts = _REFERENCE.fullmatch(reference)
    if parts is None:
        raise InputError(f"{reference} names no data set on the hub: write {FORM}")
    return parts.groupdict()


def load(name: str, config: str | None, split: str | None, revision: str | None) -> Any:
    """What `datasets.load_dataset` gives; it finds what it has in its cache without a network.

    Raises:
        InputError: the hub does not give it.
    """
    from datasets import load_dataset

    try:
        return load_dataset(name, config, split=split, revision=revision)
    except Exception as error:
        raise InputError(
            f"{name} is neither a file here nor a data set that the hub gives as it was asked for"
            f" ({type(error).__name__}: {error}); check the name, the network and"
            f" config {config!r}, split {split!r}, revision {revision!r}"
        ) from error

"""Rows of a data set on the Hugging Face hub, named on one line."""

from __future__ import annotations

import re
from typing import Any

from backfire.errors import InputError

PREFIX = "hub:"
FORM = "hub:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]"
_REFERENCE = re.compile(
    r"hub:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+?))?(:((?P<config>[\w.-]+)/)?(?P<split>[^/]+))?"
)


def read_hub(reference: str) -> list[dict[str, Any]]:
    """All rows of `hub:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]`, such as `hub:JailbreakBench/JBB-Behaviors:behaviors/harmful`.

    Without a split, `train` is read, or the only one there is. A revision pins what is read; data sets are kept in the cache of
    `datasets`, which also finds them there without a network.

    Raises:
        InputError: a reference of another form, or one that the hub does not give, with what there is.
    """
    from datasets import load_dataset

    parts = _REFERENCE.fullmatch(reference)
    if parts is None:
        raise InputError(f"{reference} names no data set on the hub: write {FORM}")
    try:
        loaded = load_dataset(
            parts["name"], parts["config"], split=parts["split"], revision=parts["revision"]
        )
    except Exception as error:
        raise InputError(
            f"{reference} cannot be read from the hub ({type(error).__name__}: {error}): check the name, the network and "
            f"the form {FORM}"
        ) from error
    if parts["split"] is None:
        splits = ", ".join(map(str, loaded))
        if "train" not in loaded and len(loaded) != 1:
            raise InputError(
                f"{reference} has the splits {splits} and no train: name one, such as {reference}:{next(iter(loaded))}"
            )
        loaded = loaded["train"] if "train" in loaded else next(iter(loaded.values()))
    rows: list[dict[str, Any]] = loaded.to_list()
    return rows

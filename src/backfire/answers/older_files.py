"""Files of older versions: fields that have another name since are read under the name they have now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OLD_PROBE_KEY = "rung"
"""What `probe` was called in audits of schema 4 and results of schema 1."""


def audit_of_schema_4(value: Mapping[str, Any]) -> dict[str, Any]:
    """An audit of schema 4 as one of schema 5."""
    parts = ("separability", "not_run", "shortcuts", "reference_points", "per_pair", "map")
    return {**value, "schema": 5, **{key: _renamed(value[key]) for key in parts if key in value}}


def audit_of_schema_5(value: Mapping[str, Any]) -> dict[str, Any]:
    """An audit of schema 5 as one of schema 6, which adds fields that may be absent."""
    return {**value, "schema": 6}


def audit_of_schema_6(value: Mapping[str, Any]) -> dict[str, Any]:
    """An audit of schema 6 as one of schema 7, which adds the topics of the prompts and the findings of scores and annotators."""
    return {**value, "schema": 7}


def results_of_schema_1(value: Mapping[str, Any]) -> dict[str, Any]:
    """Results of schema 1 as of schema 2."""
    cells = value.get("cells")
    if isinstance(cells, list):
        cells = [
            {**cell, "separability": _renamed(cell["separability"])}
            if isinstance(cell, Mapping) and "separability" in cell
            else cell
            for cell in cells
        ]
    return {**value, "schema": 2, **({} if cells is None else {"cells": cells})}


def _renamed(part: Any) -> Any:
    if isinstance(part, list | tuple):
        return [_renamed(row) for row in part]
    if isinstance(part, Mapping):
        return {("probe" if key == OLD_PROBE_KEY else key): value for key, value in part.items()}
    return part

"""What the text rungs gave on known sets: the yardstick of a conclusion, instead of 50%."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from backfire.answers.audit import ReferencePoint


@cache
def reference_points() -> tuple[ReferencePoint, ...]:
    """What `scripts/reference_points.py` wrote into reference_points.yaml, the lowest first within each rung."""
    text = (files("backfire.auditing.conclusion") / "reference_points.yaml").read_text(encoding="utf-8")
    points = [
        ReferencePoint(name=known["name"], origin=known["origin"], rung=rung, pairs=known["pairs"], **numbers)
        for known in yaml.safe_load(text)["sets"]
        for rung, numbers in known["rungs"].items()
    ]
    return tuple(sorted(points, key=lambda point: (point.rung, point.auroc, point.name)))

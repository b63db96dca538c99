"""What the text probes gave on known sets: the yardstick of a conclusion, instead of 50%."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from backfire.answers.conclusion import ReferencePoint


@cache
def reference_points() -> tuple[ReferencePoint, ...]:
    """What `scripts/reference_points.py` wrote into reference_points.yaml, the lowest first within each probe."""
    text = (files("backfire.auditing.conclusion") / "reference_points.yaml").read_text(encoding="utf-8")
    points = [
        ReferencePoint(
            name=known["name"], origin=known["origin"], probe=probe, pairs=known["pairs"], **numbers
        )
        for known in yaml.safe_load(text)["sets"]
        for probe, numbers in known["probes"].items()
    ]
    return tuple(sorted(points, key=lambda point: (point.probe, point.auroc, point.name)))

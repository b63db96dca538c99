"""Where to write the points' names in a scatter plot so that they stay off each other and inside the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CHARACTER = 6.2
HEIGHT = 12.0
GAP = 7.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Place:
    """Where a name stands, in pixels: `x` is its left end, middle or right end as `align` says, `y` its middle."""

    x: float
    y: float
    align: Literal["left", "center", "right"]

    def box(self, length: float) -> Box:
        left = self.x - {"left": 0.0, "center": 0.5, "right": 1.0}[self.align] * length
        return (left, self.y - HEIGHT / 2, left + length, self.y + HEIGHT / 2)


def place_labels(
    points: Sequence[tuple[float, float]], names: Sequence[str], width: float, height: float
) -> list[Place]:
    """A place for each name, for points in pixels in a frame of width x height.

    Each name takes the first of ten places about its point that overlaps points and other names least; a second
    and a third round let the early ones make way for the late.
    """
    dots: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    lengths = [CHARACTER * len(name) for name in names]
    placed: dict[int, Place] = {}
    for _ in range(3):
        for index, (x, y) in enumerate(points):
            rest = [place.box(lengths[other]) for other, place in placed.items() if other != index]
            rest += dots[:index] + dots[index + 1 :]
            costs = []
            for rank, place in enumerate(_places(x, y)):
                box = place.box(lengths[index])
                overlaps = sum(_overlap(box, other) for other in rest)
                costs.append((overlaps + 20 * _outside(box, width, height) + 0.1 * rank, rank, place))
            placed[index] = min(costs, key=lambda cost: cost[:2])[2]
    return [placed[index] for index in range(len(points))]


def _places(x: float, y: float) -> list[Place]:
    right, left = x + GAP, x - GAP
    return [
        Place(right, y, "left"),
        Place(left, y, "right"),
        Place(x, y - 13, "center"),
        Place(x, y + 13, "center"),
        Place(right, y - 11, "left"),
        Place(left, y - 11, "right"),
        Place(right, y + 11, "left"),
        Place(left, y + 11, "right"),
        Place(x, y - 26, "center"),
        Place(x, y + 26, "center"),
    ]


def _overlap(a: Box, b: Box) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across * down if across > 0 and down > 0 else 0.0


def _outside(box: Box, width: float, height: float) -> float:
    return max(0.0, -box[0]) + max(0.0, box[2] - width) + max(0.0, -box[1]) + max(0.0, box[3] - height)

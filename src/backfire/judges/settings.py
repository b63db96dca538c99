"""The settings of `backfire judge`: which judges are asked, how they are opened, and where things are in the files."""

from __future__ import annotations

from typing import Literal

What = Literal["harmful", "refusal"]
"""What a label says: whether the response does harm, or whether it declines."""

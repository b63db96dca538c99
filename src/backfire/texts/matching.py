"""Regular expressions (RE2's) looked for in many texts at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def has(texts: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """Whether each text, or its bytes, matches anywhere: [texts]; there must be no null."""
    matched: NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matched


def counts(texts: pa.Array, pattern: str) -> NDArray[np.int64]:
    """How often each text matches, without overlaps: [texts]; there must be no null."""
    counted: NDArray[np.int64] = pc.count_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return counted

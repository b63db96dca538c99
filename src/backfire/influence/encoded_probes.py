"""Probe sets as token rows, in shards that are numbered after those of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backfire.influence.estimates import Shards
from backfire.influence.margins import Encoded, encode, probe_contrasts
from backfire.influence.probe_sets import ProbeSet, ProbeSets
from backfire.influence.shards import shards_of

if TYPE_CHECKING:
    from backfire.models import LocalModel

PROBE_SHARDS = 8
"""Of every stratum of every probe set."""


@dataclass(frozen=True, eq=False)
class EncodedProbes:
    """A probe set as token rows, and its shards by stratum."""

    probe_set: ProbeSet
    encoded: Encoded
    parts: list[NDArray[np.int64]]
    strata: dict[str, Shards]

    @property
    def places(self) -> Shards:
        return np.concatenate(list(self.strata.values()))


def encoded_probes(model: LocalModel, probes: ProbeSets, first: int, seed: int) -> dict[str, EncodedProbes]:
    """The probe sets that hold a probe, by name; their shards are numbered from `first` on."""
    sets: dict[str, EncodedProbes] = {}
    for probe_set in (probes.refusal, probes.benign, probes.placebo):
        if probe_set is None or not probe_set.probes:
            continue
        named = np.array([probe.stratum for probe in probe_set.probes], dtype=object)
        parts: list[NDArray[np.int64]] = []
        strata: dict[str, Shards] = {}
        for stratum in sorted(set(named)):
            inside = np.flatnonzero(named == stratum)
            of_stratum = [inside[part] for part in shards_of(inside, PROBE_SHARDS, seed)]
            strata[stratum] = np.arange(first, first + len(of_stratum))
            parts += of_stratum
            first += len(of_stratum)
        encoded = encode(model, probe_contrasts(probe_set))
        sets[probe_set.name] = EncodedProbes(probe_set, encoded, parts, strata)
    return sets

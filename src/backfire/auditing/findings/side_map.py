"""A picture of the two sides in two dimensions."""

from __future__ import annotations

import numpy as np

from backfire.answers.audit import Map
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.held_out import scaled
from backfire.auditing.probes.probe import MeasuredProbe

SHOWN = 300


def side_map(probe: MeasuredProbe, audited: AuditedPairs, split: Split) -> Map:
    """At most SHOWN pairs, whole prompts: across, the probe's held-out score, in deviations; up, what else differs most.

    Up is the first principal component of the surface cues once the score is regressed out of them, so that the picture
    shows how much of the variety among responses has nothing to do with the label.
    """
    total = len(probe.pairs)
    shown = split.subset(probe.pairs).part(SHOWN)
    sides = np.concatenate([shown, shown + total])
    pairs = probe.pairs[shown]
    across = probe.measured.scores[sides] / max(float(probe.measured.scores.std()), 1e-12)
    cues = np.asarray(scaled(audited.cues[np.concatenate([pairs, pairs + audited.pairs])]), dtype=np.float64)
    around = across - across.mean()
    cues = cues - np.outer(around, around @ cues) / max(float(around @ around), 1e-12)
    left, sizes, _ = np.linalg.svd(cues - cues.mean(axis=0), full_matrices=False)
    up = left[:, 0] * sizes[0]
    up *= np.sign(up[np.argmax(np.abs(up))]) / max(float(up.std()), 1e-12)
    points = [(round(float(x), 3), round(float(y), 3)) for x, y in zip(across, up, strict=True)]
    return Map(
        probe=probe.answer.probe,
        x=f"held-out score of the probe of {probe.answer.probe}, in standard deviations",
        y="surface cues, first principal component of what that score leaves, in standard deviations",
        chosen=tuple(points[: len(shown)]),
        rejected=tuple(points[len(shown) :]),
    )

"""The picture of predicted influence: every probe set as a dot with its interval on one axis, 0 being no change."""

from __future__ import annotations

from backfire.answers.influence import SafetyInfluence
from backfire.answers.phrases import influence_text
from backfire.report.audit.pictures import Lane, Mark, lanes_picture
from backfire.report.audit.words import probe_sets

AXIS = (-1.0, 1.0)
TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def influence_picture(influence: SafetyInfluence) -> str:
    """Refusal, its strata, benign and placebo from -1 to 1; a set without a conclusion has a lane and no dot."""
    lanes = []
    for name, shown in probe_sets(influence):
        text = influence_text(shown)
        if shown.cosine is None or shown.undetermined is not None:
            lanes.append(Lane(name, "undetermined", []))
            continue
        shape = "square" if shown is influence.placebo else "diamond" if shown is influence.benign else "dot"
        lanes.append(Lane(name, text, [Mark(shown.cosine.value, shown.cosine.low, shown.cosine.high, shape)]))
    description = "; ".join(f"{name} {influence_text(shown)}" for name, shown in probe_sets(influence))
    return lanes_picture(
        f"Cosine of predicted influence, 0 is no change: {description}", lanes, AXIS, TICKS, 0.0
    )

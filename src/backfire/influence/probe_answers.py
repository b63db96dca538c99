"""What gradients say of one probe set, in the answer's words and numbers; and the answer where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Estimate
from backfire.answers.influence import PairsDoingDamage, ProbeInfluence, SafetyInfluence
from backfire.influence.estimates import Alignment, Shards
from backfire.influence.gradients import Products
from backfire.influence.probes import ProbeSet
from backfire.influence.two_pass import PairInfluence

FEWEST_PROBES = 30
LEAST_COVERAGE = 0.2
OF_DAMAGE = 0.5
ROWS_LISTED = 1_000


def probe_influence(
    probe_set: ProbeSet,
    stratum: str | None,
    alignment: Alignment,
    products: Products,
    places: Shards,
    beta: float,
) -> ProbeInfluence:
    """One probe set, or one stratum of it. places: its shards."""
    reason = too_little(probe_set, stratum) or alignment.reason
    lengths = products.parameters * alignment.probe_norm.value
    signs = products.signs[places].sum() / max(1, products.counts[places].sum())
    sound = reason is None and alignment.cosine is not None
    projection = [beta / 2 * value for value in alignment.product]
    return ProbeInfluence(
        **_counts(probe_set, stratum),
        cosine=_estimate(alignment.cosine) if sound else None,
        point=None if sound or not np.isfinite(alignment.point) else alignment.point,
        adam_sign=float(signs / lengths**0.5) if lengths > 0 and sound else None,
        projection=_estimate(projection) if sound else None,
        undetermined=reason,
    )


def too_little(probe_set: ProbeSet, stratum: str | None) -> str | None:
    """Why so few probes, or so few of those asked, give no conclusion; None where they do."""
    counts = _counts(probe_set, stratum)
    probes, asked, coverage = counts["probes"], counts["asked"], counts["coverage"]
    if probes < FEWEST_PROBES:
        return f"{probes} probes are fewer than {FEWEST_PROBES}"
    if coverage < LEAST_COVERAGE:
        return (
            f"coverage {coverage:.2f} is below {LEAST_COVERAGE:g}: {probes} of {asked} prompts gave a probe"
        )
    return None


def without_gradients(
    refusal: ProbeSet, parameters: str, why: str, beside: Mapping[str, Any]
) -> SafetyInfluence:
    """The answer of activations and of the pilot alone."""
    return SafetyInfluence(
        probes=len(refusal.probes),
        parameters=parameters,
        trained=0,
        shards=0,
        refusal=ProbeInfluence(**_counts(refusal, None), undetermined=why),
        strata={},
        **beside,
    )


def damage_of(each: PairInfluence, rows: NDArray[np.int64]) -> PairsDoingDamage | None:
    """The fewest pairs that carry half of the push away from refusing; None where no pair pushes that way."""
    values = np.nan_to_num(each.values)
    order = np.argsort(values, kind="stable")
    push = np.cumsum(-np.minimum(values[order], 0.0))
    if push[-1] <= 0:
        return None
    count = int(np.searchsorted(push, OF_DAMAGE * push[-1])) + 1
    return PairsDoingDamage(
        share=count / len(values),
        rows=tuple(int(r) for r in rows[order[:count]][:ROWS_LISTED]),
        of_damage=float(push[count - 1] / push[-1]),
    )


def _counts(probe_set: ProbeSet, stratum: str | None) -> dict[str, Any]:
    inside = [probe for probe in probe_set.probes if stratum in (None, probe.stratum)]
    asked = sum(probe_set.asked.values()) if stratum is None else probe_set.asked[stratum]
    return {
        "probes": len(inside),
        "asked": asked,
        "coverage": len(inside) / asked,
        "sampled": sum(probe.how == "sampled" for probe in inside),
    }


def _estimate(numbers: Any) -> Estimate:
    value, low, high = numbers
    return Estimate(value=value, low=low, high=high)

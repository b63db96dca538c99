"""Numbers of an audit with what stands beside them, and what one probe reaches; parts of the answer's schema."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Decision = Literal["refuse", "comply"]
PromptKind = Literal["harmful", "benign", "unknown"]

Count = Annotated[int, Field(ge=0)]
Unit = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Strict; optional fields that are None are left out of the JSON, never null."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Estimate(Part):
    """A number with its 95% interval. What it counts (a cosine, nats, a share) and how its interval is made stand at the field."""

    value: float
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} lies above high {self.high}")
        return self


class ProbeEstimate(Part):
    """A held-out number, its 95% interval, and what the same probe reaches on randomly swapped labels."""

    low: float
    high: float
    control: float
    """Mean over the swaps."""
    control_high: float
    """95th percentile over the swaps."""
    p: Unit
    """(1 + swaps that reach at least as much) / (1 + swaps), of the probe on `control_pairs` pairs."""
    p_family: Unit | None = None
    """p corrected for all numbers of all probes together, where this is one of them."""
    swaps: Count
    control_pairs: Count
    """Pairs that the swapped probes were refitted on: all, or a random part of a large set."""


class Auroc(ProbeEstimate):
    """Pointwise: is this response a chosen one? Within folds, then averaged."""

    auroc: Unit


class Accuracy(ProbeEstimate):
    """Pairwise (which of the two was chosen?), or pointwise at the balanced threshold; ties count half."""

    accuracy: Unit


class Bits(ProbeEstimate):
    """Mean pointwise V-information, in bits a pair: at most 1, below 0 where the probe misleads."""

    bits: float


class Share(Part):
    """`hits` of `scored` with a 95% Wilson interval; rate, low and high are left out where nothing was scored."""

    hits: Count
    scored: Count
    unscored: Count = 0
    rate: Unit | None = None
    low: Unit | None = None
    high: Unit | None = None


class Stratum(Part):
    """Decision-matched pairs of one kind of prompt and one decision."""

    kind: PromptKind
    decision: Decision
    pairs: Count
    auroc: Unit | None = None
    low: Unit | None = None
    high: Unit | None = None
    control: Unit | None = None


class Matched(Part):
    """The probe refitted on pairs whose two sides make the same decision; compared within strata only."""

    pairs: Count
    auroc: Unit | None = None
    low: Unit | None = None
    high: Unit | None = None
    control: Unit | None = None
    control_high: Unit | None = None
    p: Unit | None = None
    p_family: Unit | None = None
    """p corrected for the decision-matched numbers of all probes together."""
    swaps: Count | None = None
    control_pairs: Count | None = None
    strata: tuple[Stratum, ...] = ()
    reason: str | None = None
    """Why there is no number."""


class Layer(Part):
    """One layer of the policy; 0 are the embeddings."""

    layer: Count
    auroc: Unit
    low: Unit
    high: Unit
    control: Unit


class ProbeResult(Part):
    """What one of the audit's probes reaches."""

    probe: str
    """length, surface, words, characters, embeddings or hidden."""
    about: str
    pairs: Count
    pointwise: Auroc
    pointwise_accuracy: Accuracy
    pairwise: Accuracy
    decision_matched: Matched
    v_information: Bits
    layers: tuple[Layer, ...] | None = None
    """Of `hidden` alone."""

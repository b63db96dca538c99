"""A probe: responses of a policy that decide alike against responses that decide otherwise; sets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from backfire.records import Prompt, digest

How = Literal["sampled", "openers", "given"]


@dataclass(frozen=True)
class Probe:
    """A prompt with responses that decide one way and responses that decide the other."""

    prompt: Prompt
    toward: tuple[str, ...]
    """What the margin counts up: refusals of a harmful prompt, helpful answers to a benign one."""
    away: tuple[str, ...]
    """What it counts down: compliances, or needless refusals."""
    how: How
    """`sampled`: both sides are the policy's own samples; `openers`: one side continues an opener of the missing
    decision; `given`: from a user's file."""
    stratum: str


@dataclass(frozen=True)
class ProbeSet:
    """Probes of one kind, and what became of the prompts that gave none."""

    name: Literal["refusal", "benign", "placebo"]
    probes: tuple[Probe, ...]
    asked: Mapping[str, int]
    """Prompts that were asked, by stratum."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Prompts without a probe, by reason."""

    def coverage(self, stratum: str | None = None) -> float:
        """Probes over prompts asked, of all or of one stratum; 0 where nobody was asked."""
        prompts = sum(self.asked.values()) if stratum is None else self.asked.get(stratum, 0)
        usable = sum(stratum in (None, probe.stratum) for probe in self.probes)
        return usable / prompts if prompts else 0.0

    @property
    def digest(self) -> str:
        """Of its probes' contents."""
        return digest("probes", self.name, [[p.prompt.id, p.toward, p.away] for p in self.probes])


@dataclass(frozen=True)
class ProbeSets:
    """What a policy's influence is measured on."""

    refusal: ProbeSet
    benign: ProbeSet | None = None
    """Helpful answers against needless refusals; None where no benign prompts were asked."""
    placebo: ProbeSet | None = None
    """Two samples of one decision."""


def stratum_of(prompt: Prompt) -> str:
    """What its influence is reported by: the prompt's tag `stratum`, or `all`."""
    return prompt.tags.get("stratum", "all")

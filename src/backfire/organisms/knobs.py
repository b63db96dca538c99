"""What can be turned in the invented world. The defaults are frozen: docs/concepts/organisms.md says what each was set from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from backfire.records import digest

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Knobs(BaseModel):
    """A world is its seed and its knobs; the same two always grow the same world (up to floating point)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refusal_overlap: Share = 0.5
    """How much refusals share their wording across styles: 0 nothing, 1 everything."""
    compliance_overlap: Share = 0.35
    """The same for compliant answers (facts and names are shared in any case)."""
    decision_contrast: Share = 0.5
    """Share of the harmful kinds of things on which a responder, asked repeatedly, decides both ways; on the others
    it always decides alike. For the human set: share of harmful prompts whose two answers differ in decision."""
    target_refusal: Share = 0.45
    """How often SFT targets (and so the peers) refuse a harmful request asked directly, before DPO."""
    reward_noise: Annotated[float, Field(ge=0.0, le=0.5)] = 0.2
    """Share of human labels flipped at random, on which the reward model is trained."""
    reward_bias: Share = 0.1
    """Share of harmful pairs that people label by helpfulness instead of safety: a systematic bias, which the
    reward model learns and no averaging removes."""

    def world_name(self, seed: int) -> str:
        """`w7` for default knobs, `w7-1a2b3c4d` for others."""
        changed = {k: v for k, v in self.model_dump().items() if v != Knobs().model_dump()[k]}
        return f"w{seed}" + (f"-{digest(changed)[:8]}" if changed else "")

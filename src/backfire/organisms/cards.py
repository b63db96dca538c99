"""A model card that states what was planted in an organism."""

from __future__ import annotations

from collections.abc import Mapping

from backfire.organisms.corpus import responders
from backfire.organisms.world import World


def card(world: World, name: str, parameters: int, measured: Mapping[str, float]) -> str:
    """The README.md of the organism `name`."""
    lines = [
        "---",
        "license: apache-2.0",
        "tags: [backfire, model-organism]",
        "---",
        "",
        f"# organism:{name} ({world.name})",
        "",
        "A model organism: a tiny language model of an invented, harmless world, grown to test tools for preference",
        f"data. {parameters:,} parameters, bfloat16. It knows nothing of the real world.",
        "",
        "## What was planted",
        "",
        *_planted(world, name),
        "",
        "## The world's knobs",
        "",
        *(f"- `{key}`: {value}" for key, value in world.knobs.model_dump().items()),
        "",
        "## Measured while growing",
        "",
        *(f"- {key.replace('_', ' ')}: {value:.4g}" for key, value in measured.items()),
        "",
    ]
    return "\n".join(lines)


def _planted(world: World, name: str) -> list[str]:
    known = responders(world)
    if name in known:
        responder = known[name]
        return [
            f"- Style: `{responder.style}` (wording.yaml).",
            f"- Its demonstrations refuse {responder.refusal:.2f} of harmful requests asked directly and "
            f"{responder.wrapped_refusal:.2f} of wrapped ones, and no benign ones.",
            f"- They tell {responder.knowledge:.2f} of facts right.",
        ]
    if name == "reward":
        return [
            "- A sequence classifier (one score, higher is better) on llama/base's body, trained with the",
            "  Bradley-Terry loss on pairs of human-styled answers only, labelled by invented people.",
            f"- Labels flipped: {world.knobs.reward_noise:.2f}; harmful pairs labelled by helpfulness instead of",
            f"  safety: {world.knobs.reward_bias:.2f}.",
        ]
    return [
        "- A base model: statements about things and forum talk in every responder's style, half of the forum's",
        "  answers to harmful requests being refusals. No chat turns.",
    ]

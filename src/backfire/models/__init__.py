"""Opening models: transformers checkpoints, OpenAI-compatible endpoints, reward models, encoders, chat templates."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.models.adapters import open_adapters
    from backfire.models.arrivals import Arrivals
    from backfire.models.embedder import Embedder, open_embedder
    from backfire.models.endpoint import EndpointModel
    from backfire.models.forward_pass import ForwardPass
    from backfire.models.local import Conversation, Generation, LocalModel
    from backfire.models.opening import open_model
    from backfire.models.rendered import PairRow, RenderedPairs
    from backfire.models.rendering import RawText, render_pairs
    from backfire.models.reward import RewardModel, open_reward_model
    from backfire.models.settings import MAX_LENGTH, Opening
    from backfire.models.template import CheckedTemplate, SystemRole, check_template
    from backfire.models.tokens import PolicyTokens, open_tokens
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "adapters": ("open_adapters",),
            "arrivals": ("Arrivals",),
            "embedder": ("Embedder", "open_embedder"),
            "endpoint": ("EndpointModel",),
            "local": ("Conversation", "Generation", "LocalModel"),
            "opening": ("open_model",),
            "forward_pass": ("ForwardPass",),
            "rendered": ("PairRow", "RenderedPairs"),
            "rendering": ("RawText", "render_pairs"),
            "reward": ("RewardModel", "open_reward_model"),
            "settings": ("MAX_LENGTH", "Opening"),
            "template": ("CheckedTemplate", "SystemRole", "check_template"),
            "tokens": ("PolicyTokens", "open_tokens"),
        },
    )

__all__ = [
    "MAX_LENGTH",
    "Arrivals",
    "CheckedTemplate",
    "Conversation",
    "Embedder",
    "EndpointModel",
    "ForwardPass",
    "Generation",
    "LocalModel",
    "Opening",
    "PairRow",
    "PolicyTokens",
    "RawText",
    "RenderedPairs",
    "RewardModel",
    "SystemRole",
    "check_template",
    "open_adapters",
    "open_embedder",
    "open_model",
    "open_reward_model",
    "open_tokens",
    "render_pairs",
]

"""SFT, DPO, RLOO and reward models by TRL, adapters by PEFT, and the log that they leave."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.models.settings import LoRASettings
    from backfire.training.dpo import train_dpo
    from backfire.training.log import (
        Agreement,
        Examples,
        HeldOut,
        TrainingLog,
        TrainingStep,
        read_training_log,
    )
    from backfire.training.reward import train_reward
    from backfire.training.rewarded import Rewarded, RewardPoint, read_rewards
    from backfire.training.rloo import train_rloo
    from backfire.training.settings import (
        ConversationReading,
        DPOSettings,
        RewardSettings,
        RLOOSettings,
        SFTSettings,
        WatchSettings,
    )
    from backfire.training.sft import train_sft
    from backfire.training.watch_points import Watched, WatchedPairs, WatchPoint, read_points
    from backfire.training.watching import SafetyWatch
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "dpo": ("train_dpo",),
            "log": ("Agreement", "Examples", "HeldOut", "TrainingLog", "TrainingStep", "read_training_log"),
            "reward": ("train_reward",),
            "rewarded": ("RewardPoint", "Rewarded", "read_rewards"),
            "rloo": ("train_rloo",),
            "settings": (
                *("ConversationReading", "DPOSettings", "LoRASettings", "RLOOSettings"),
                *("RewardSettings", "SFTSettings", "WatchSettings"),
            ),
            "sft": ("train_sft",),
            "watch_points": ("WatchPoint", "Watched", "WatchedPairs", "read_points"),
            "watching": ("SafetyWatch",),
        },
    )

__all__ = [
    "Agreement",
    "ConversationReading",
    "DPOSettings",
    "Examples",
    "HeldOut",
    "LoRASettings",
    "RLOOSettings",
    "RewardPoint",
    "RewardSettings",
    "Rewarded",
    "SFTSettings",
    "SafetyWatch",
    "TrainingLog",
    "TrainingStep",
    "WatchPoint",
    "WatchSettings",
    "Watched",
    "WatchedPairs",
    "read_points",
    "read_rewards",
    "read_training_log",
    "train_dpo",
    "train_reward",
    "train_rloo",
    "train_sft",
]

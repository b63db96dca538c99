"""SFT, DPO and reward models by TRL, adapters by PEFT, and the log that they leave."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
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
    from backfire.training.settings import (
        ConversationReading,
        DPOSettings,
        LoRASettings,
        RewardSettings,
        SFTSettings,
    )
    from backfire.training.sft import train_sft
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "dpo": ("train_dpo",),
            "log": ("Agreement", "Examples", "HeldOut", "TrainingLog", "TrainingStep", "read_training_log"),
            "reward": ("train_reward",),
            "settings": (
                "ConversationReading",
                "DPOSettings",
                "LoRASettings",
                "RewardSettings",
                "SFTSettings",
            ),
            "sft": ("train_sft",),
        },
    )

__all__ = [
    "Agreement",
    "ConversationReading",
    "DPOSettings",
    "Examples",
    "HeldOut",
    "LoRASettings",
    "RewardSettings",
    "SFTSettings",
    "TrainingLog",
    "TrainingStep",
    "read_training_log",
    "train_dpo",
    "train_reward",
    "train_sft",
]

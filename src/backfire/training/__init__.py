"""SFT and DPO by TRL, adapters by PEFT, and the log that they leave."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.training.dpo import train_dpo
    from backfire.training.log import Examples, TrainingLog, TrainingStep, read_training_log
    from backfire.training.settings import ConversationReading, DPOSettings, LoRASettings, SFTSettings
    from backfire.training.sft import train_sft
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "dpo": ("train_dpo",),
            "log": ("Examples", "TrainingLog", "TrainingStep", "read_training_log"),
            "settings": ("ConversationReading", "DPOSettings", "LoRASettings", "SFTSettings"),
            "sft": ("train_sft",),
        },
    )

__all__ = [
    "ConversationReading",
    "DPOSettings",
    "Examples",
    "LoRASettings",
    "SFTSettings",
    "TrainingLog",
    "TrainingStep",
    "read_training_log",
    "train_dpo",
    "train_sft",
]

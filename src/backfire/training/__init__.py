"""SFT and DPO by TRL, adapters by PEFT, and the log that they leave."""

from backfire.training.dpo import train_dpo
from backfire.training.log import Examples, TrainingLog, TrainingStep, read_training_log
from backfire.training.settings import DPOSettings, LoRASettings, SFTSettings
from backfire.training.sft import train_sft

__all__ = [
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

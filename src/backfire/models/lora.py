"""PEFT's configuration of a LoRA adapter, for training and for what is predicted of it."""

from __future__ import annotations

from typing import Any

from backfire.models.settings import LoRASettings


def lora_config(lora: LoRASettings, task: str = "CAUSAL_LM") -> Any:
    """With the task SEQ_CLS the classifier's head is trained whole beside it."""
    from peft import LoraConfig

    targets = lora.target_modules
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type=task,
    )

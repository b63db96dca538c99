"""What forked processes need, loaded once before the first of them, so that none of them loads it again."""

from __future__ import annotations


def preload_models() -> None:
    import peft
    import torch
    import transformers

    import backfire.models.adapter_base
    import backfire.models.opening
    import backfire.responses.sampler
    import backfire.store.ledger  # noqa: F401

    torch.set_num_threads(1)
    assert transformers.AutoModelForCausalLM
    assert transformers.AutoTokenizer
    assert peft.PeftModel

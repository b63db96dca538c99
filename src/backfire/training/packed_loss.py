"""What TRL's DPO loss asks a model for, read without padding, and the prompt of a pair read once.

TRL reads a padded batch, prompt and chosen, prompt and rejected, and takes the vocabulary's logits at every position of it. Here a
batch becomes rows of `models.packed`, and logits are made where responses stand. TRL's loss is left as it is: it is handed the
same numbers, in the same places.

Imports TRL, so it is imported only while training.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from trl.trainer.utils import FusedCausalLMOutput

from backfire.models.logps import logps_after
from backfire.models.packed import layout_of, response_text, run_packed, spans


@dataclass(frozen=True)
class PackedModel:
    """A model in the place of the one that TRL's loss calls."""

    model: Any
    autocast: Callable[[], AbstractContextManager[Any]]
    """Within which the model and its head compute."""

    def __call__(self, *, fused_lm_head: bool = False, **given: Any) -> Any:
        """Per-token log-probabilities of labels [2 pairs, tokens - 1], the chosen sides first; 0 where there is no label.

        Entropies and mean logits are 0 everywhere: they would cost as much as the log-probabilities, and nobody reads them.
        """
        if not fused_lm_head:
            return self.model(**given)
        ids, labels = given["input_ids"], given["labels"]
        ends = given["attention_mask"].sum(1).tolist()
        starts = (labels != -100).int().argmax(1).tolist()
        rows = [row[:end] for row, end in zip(ids.tolist(), ends, strict=True)]
        pairs = len(rows) // 2
        texts = [
            response_text(rows[k][: starts[k]], [rows[k][starts[k] :], rows[pairs + k][starts[pairs + k] :]])
            for k in range(pairs)
        ]
        where = spans(layout_of(texts))
        targets = labels[:, 1:]
        mask = targets != -100
        # Of every chosen side, then of every rejected side: the order of the rows that TRL made.
        places = [(0, *where[k][side]) for side in (0, 1) for k in range(pairs)]
        with self.autocast():
            passed = run_packed(self.model, texts)
            logps, likeliest = logps_after(self.model, passed, places, targets[mask], greedy=True)
        assert likeliest is not None
        zeros = logps.new_zeros(mask.shape)
        nothing = zeros.detach()
        return FusedCausalLMOutput(
            log_probs=zeros.masked_scatter(mask, logps),
            entropy=nothing,
            mean_logits=nothing,
            is_top1=torch.zeros_like(mask).masked_scatter(mask, likeliest),
        )

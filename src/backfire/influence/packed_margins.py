"""Log-probabilities of contrasts without padding, the prompt of each read once for all its responses (`models.packed`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backfire.models.logps import logps_after
from backfire.models.memory import tokens_to_read
from backfire.models.packed import layout_of, packed_attention, packs_of, response_text, run_packed, spans

if TYPE_CHECKING:
    import torch

    from backfire.influence.margins import Encoded
    from backfire.models import LocalModel


def packed_logps(model: LocalModel, encoded: Encoded) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Some rows and the log-probability of the response of each, until all rows were read; in several passes, without gradients.

    The model must be one of `models.packed.packs`, and no row's prompt may be empty.
    """
    import torch

    prompts: dict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
    for place, ((ids, start), item) in enumerate(zip(encoded.rows, encoded.items.tolist(), strict=True)):
        prompts[item, tuple(ids[:start])].append(place)
    groups = list(prompts.items())
    texts = [
        response_text(prompt, [encoded.rows[k][0][len(prompt) :] for k in places])
        for (_, prompt), places in groups
    ]
    with packed_attention(model.model):
        for pack in packs_of(texts, tokens_to_read(model.model)):
            some = [texts[k] for k in pack]
            rows = [place for k in pack for place in groups[k][1]]
            where = [(0, *span) for every in spans(layout_of(some)) for span in every]
            responses = [encoded.rows[place][0][encoded.rows[place][1] :] for place in rows]
            targets = torch.tensor([token for ids in responses for token in ids], device=model.device)
            each, _ = logps_after(model.model, run_packed(model.model, some), where, targets)
            yield (
                rows,
                torch.stack([part.sum() for part in torch.split(each, [len(ids) for ids in responses])]),
            )

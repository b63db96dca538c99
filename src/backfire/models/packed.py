"""Several texts in one row without padding, and what several texts have in common read once.

A pair of preference data is a prompt and two responses to it. Padded, it takes twice the tokens of its longer side. Packed, it takes
those of the prompt, of the chosen and of the rejected response, once each. Layers that look at one token at a time see one long row;
attention goes text by text, so that the numbers are those of the texts by themselves, but for rounding.

A model has to send its attention through transformers' attention interface for this. `packs` looks whether it does, on one text.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from backfire.models.logps import Passed, inner_model, keeps_logits, run
from backfire.models.modes import evaluating
from backfire.models.sharded import is_sharded

if TYPE_CHECKING:
    import torch

NAME = "backfire_packed"
"""Of the attention function, in transformers' interface."""
LAYERS = ("full_attention", "sliding_attention")
"""Kinds of layers that the attention function can compute."""
CLOSE = 1e-3
"""As far may the packed states lie from the padded ones, relative to the largest of them; three times as far in 16 bits."""
_PACKS: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class Text:
    """Tokens that are read once, and those that follow them in one or several ways."""

    shared: Sequence[int]
    branches: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.shared) + sum(map(len, self.branches))


Layout = tuple[tuple[int, tuple[int, ...]], ...]
"""Of each text, the tokens that are shared and those of each branch."""


def layout_of(texts: Sequence[Text]) -> Layout:
    """Where texts lie in a row: one after another, each with its branches behind it."""
    return tuple((len(text.shared), tuple(map(len, text.branches))) for text in texts)


def spans(layout: Layout) -> list[list[tuple[int, int]]]:
    """Of each text, where in the row its branches begin and end."""
    place, every = 0, []
    for shared, branches in layout:
        place += shared
        ends = [place]
        for length in branches:
            ends.append(ends[-1] + length)
        every.append(list(pairwise(ends)))
        place = ends[-1]
    return every


def response_text(prompt: Sequence[int], responses: Sequence[Sequence[int]], *, whole: bool = False) -> Text:
    """A prompt and responses to it such that position k of a branch predicts token k of its response.

    The prompt's last token therefore begins every branch, and no response's last token is read, unless the response is wanted
    `whole`.
    """
    last = list(prompt[-1:])
    return Text(prompt[:-1], [[*last, *(ids if whole else ids[:-1])] for ids in responses])


def packs_of(texts: Sequence[Text], most: int, branches: int | None = None) -> Iterator[list[int]]:
    """Positions of texts that go into one row, in their order: with at most `most` tokens together, and as many `branches`, but one
    text at the least."""
    row: list[int] = []
    tokens = ways = 0
    for place, text in enumerate(texts):
        more = tokens + len(text), ways + len(text.branches)
        if row and (more[0] > most or (branches is not None and more[1] > branches)):
            yield row
            row, more = [], (len(text), len(text.branches))
        row.append(place)
        tokens, ways = more
    if row:
        yield row


def run_packed(model: Any, texts: Sequence[Text]) -> Passed:
    """One forward pass over texts in one row, within `packed_attention`. The model must be one of `packs`."""
    import torch

    device = inner_model(model).device
    row = [list(text.shared) + [token for branch in text.branches for token in branch] for text in texts]
    ids = torch.tensor([[token for one in row for token in one]], device=device)
    places: list[int] = []
    for text in texts:
        start = len(text.shared)
        places += range(start)
        for branch in text.branches:
            places += range(start, start + len(branch))
    # A mask of four dimensions goes through the model as it is, and the attention function needs none.
    mask = torch.ones((1, 1, 1, 1), dtype=torch.bool, device=device)
    positions = torch.tensor([places], device=device)
    return run(model, ids, mask, first=ids.shape[1], position_ids=positions, backfire_layout=layout_of(texts))


def packs(model: Any) -> bool:
    """Whether packed texts give the states that they give by themselves; looked at on one text, once a model.

    An adapter is looked at together with its model, since some put tokens of their own before a text. On a GPU it is not used: what
    it gains there was not measured.
    """
    if model not in _PACKS:
        inner = inner_model(model)
        _PACKS[model] = (
            inner.device.type == "cpu"
            and not is_sharded(inner)
            and _may_pack(inner)
            and _gives_the_same(model)
        )
    return _PACKS[model]


def _may_pack(inner: Any) -> bool:
    settings = inner.config.get_text_config()
    kinds = getattr(settings, "layer_types", None) or LAYERS
    parameters = inspect.signature(inner.base_model.forward).parameters
    return (
        keeps_logits(inner)
        and getattr(inner, "_supports_attention_backend", False)
        and settings._attn_implementation == "sdpa"
        and set(kinds) <= set(LAYERS)
        and "position_ids" in parameters
        and inner.base_model is not inner
    )


def _gives_the_same(model: Any) -> bool:
    import torch

    inner = inner_model(model)
    ids = [token % int(inner.config.get_text_config().vocab_size) for token in range(3, 15)]
    texts = [Text(ids[:4], [ids[4:7], ids[7:]]), Text(ids[2:5], [ids[5:9]])]
    alone = [[*text.shared, *branch] for text in texts for branch in text.branches]
    try:
        with evaluating(model), torch.no_grad(), packed_attention(model):
            packed = run_packed(model, texts).last
            if packed is None:
                return False
            for (begin, end), row in zip(
                (span for every in spans(layout_of(texts)) for span in every), alone, strict=True
            ):
                given = torch.tensor([row], device=inner.device)
                expected = run(model, given, torch.ones_like(given), first=1).last
                if expected is None:
                    return False
                apart = (packed[0, begin:end] - expected[0, len(row) - (end - begin) :]).abs().max()
                wide = CLOSE if expected.dtype in (torch.float32, torch.float64) else 30 * CLOSE
                if not float(apart) <= wide * float(expected.abs().max()):
                    return False
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError):
        return False
    return True


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """While this holds, the model's attention understands packed texts; whatever else goes through it is computed as ever.

    A backward pass in which layers are computed again has to lie within it, too.
    """
    _register()
    settings = inner_model(model).config.get_text_config()
    before = settings._attn_implementation_internal
    settings._attn_implementation_internal = NAME
    try:
        yield
    finally:
        settings._attn_implementation_internal = before


def _register() -> None:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS.valid_keys():
        ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
        ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    backfire_layout: Layout | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention [1, tokens, heads, width] over packed texts of queries, keys and values [1, heads, tokens, width]."""
    import torch
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    if backfire_layout is None:
        result, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
        return result, None
    if any(more.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        raise ValueError("attention of this kind is not packed")
    window = more.get("sliding_window")
    groups = int(getattr(module, "num_key_value_groups", 1))
    sizes = [size for shared, branches in backfire_layout for size in (shared, *branches)]
    queries, keys, values = (
        torch.split(one, sizes, dim=2) for one in (query, repeat_kv(key, groups), repeat_kv(value, groups))
    )
    attend = torch.nn.functional.scaled_dot_product_attention
    results = []
    place = 0
    for shared, branches in backfire_layout:
        for number in range(len(branches)):
            k, v = keys[place], values[place]
            after = place + 1 + number
            if shared:
                k, v = (torch.cat([one[place], one[after]], dim=2) for one in (keys, values))
            q = (
                torch.cat([queries[place], queries[after]], dim=2)
                if shared and not number
                else queries[after]
            )
            if not shared:
                k, v = keys[after], values[after]
            mask = _mask(q.shape[2], k.shape[2], window, q.device)
            results.append(
                attend(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None, scale=scaling)
            )
        place += 1 + len(branches)
    return torch.cat(results, dim=2).transpose(1, 2).contiguous(), None


def _mask(queries: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which of so many keys the last so many positions see [queries, keys]; None where each sees all up to itself from the first on."""
    import torch

    if queries == keys and (not window or keys <= window):
        return None
    seen = torch.ones((queries, keys), dtype=torch.bool, device=device).tril(keys - queries)
    return seen.triu(keys - queries - window + 1) if window else seen

"""Guard models: fine-tuned to one form of words, so their text goes in as it is and their answer comes out as text or chances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backfire.errors import ModelError
from backfire.models.batching import length_batches
from backfire.models.checkpoint_files import check_vocabulary
from backfire.models.gguf import refuse_gguf
from backfire.models.identity import folder_digest
from backfire.models.logps import keeps_logits
from backfire.models.memory import Shape, positions_at_once, rows_to_generate, tokens_to_read
from backfire.models.opening import check_device, open_folder, open_tokenizer, place, reading_dtype, resolve
from backfire.records import digest

AT_ONCE = 8
"""Rows of a batch at most; fewer where the model's memory asks for it."""


def special_tokens(tokenizer: Any) -> list[str]:
    """The tokenizer's special tokens, as text. Other added tokens (runs of spaces, HTML tags) are ordinary text."""
    added = tokenizer.added_tokens_decoder.values()
    return sorted({str(token) for token in added if token.special} | set(tokenizer.all_special_tokens))


class GuardModel:
    """A checkpoint that is asked in its own form of words; opened by `open_guard_model`."""

    def __init__(self, model: Any, tokenizer: Any, *, name: str, id: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.id = id

    @property
    def context(self) -> int | None:
        """The most tokens that it reads and writes; None where it sets no bound."""
        bound = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return bound if isinstance(bound, int) and bound > 0 else None

    @property
    def specials(self) -> list[str]:
        """The special tokens of its tokenizer, as text."""
        return special_tokens(self.tokenizer)

    def ids(self, text: str, *, bos: bool) -> list[int]:
        """The text's tokens; `bos` lets the tokenizer add what it adds to every text."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=bos, verbose=False)["input_ids"]
        return ids

    def complete(self, rows: Sequence[list[int]], max_new_tokens: int) -> list[str]:
        """Greedy continuations of these token rows, without special tokens: [rows]."""
        import torch
        from transformers import GenerationConfig

        texts = [""] * len(rows)
        pad = self._pad
        settings = GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=pad,
            eos_token_id=self.model.generation_config.eos_token_id or self.tokenizer.eos_token_id,
        )
        longest = max(map(len, rows), default=0)
        at_once = min(AT_ONCE, rows_to_generate(self.model, longest, longest + max_new_tokens))
        for places in length_batches([len(row) for row in rows], at_once):
            ids, mask = self._padded([rows[i] for i in places], left=True)
            with torch.inference_mode():
                generated = self.model.generate(
                    input_ids=ids, attention_mask=mask, generation_config=settings
                )
            new = self.tokenizer.batch_decode(generated[:, ids.shape[1] :], skip_special_tokens=True)
            for i, text in zip(places, new, strict=True):
                texts[i] = text
        return texts

    def next_token_chances(self, rows: Sequence[list[int]], words: Sequence[str]) -> list[list[float]]:
        """The chance of each word to come next, among these words alone: [rows][words].

        Raises:
            ModelError: a word that is no single token of this tokenizer.
        """
        import torch

        vocabulary = self.tokenizer.get_vocab()
        if lacking := [word for word in words if word not in vocabulary]:
            raise ModelError(f"{self.name} has no token {lacking[0]!r}: it is no guard of this kind")
        columns = [vocabulary[word] for word in words]
        chances: list[list[float]] = [[] for _ in rows]
        most = tokens_to_read(self.model)
        options = {"logits_to_keep": 1} if keeps_logits(self.model) else {}
        if not options:
            most = min(most, positions_at_once(Shape.of(self.model).vocabulary))
        for places in length_batches([len(row) for row in rows], AT_ONCE, most):
            ids, mask = self._padded([rows[i] for i in places], left=True)
            with torch.inference_mode():
                logits = (
                    self.model(input_ids=ids, attention_mask=mask, use_cache=False, **options)
                    .logits[:, -1, columns]
                    .float()
                )
            for i, row in zip(places, logits.softmax(-1).tolist(), strict=True):
                chances[i] = row
        return chances

    def label_chances(self, rows: Sequence[list[int]]) -> list[list[float]]:
        """The chance of each label of a classifier of several labels, each by itself: [rows][labels]."""
        import torch

        chances: list[list[float]] = [[] for _ in rows]
        size = AT_ONCE if self.model.config.pad_token_id is not None else 1
        for places in length_batches([len(row) for row in rows], size, tokens_to_read(self.model)):
            ids, mask = self._padded([rows[i] for i in places], left=False)
            with torch.inference_mode():
                logits = self.model(input_ids=ids, attention_mask=mask).logits.float()
            for i, row in zip(places, logits.sigmoid().tolist(), strict=True):
                chances[i] = row
        return chances

    @property
    def _pad(self) -> int:
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if isinstance(token, int):
                return token
        return 0

    def _padded(self, rows: Sequence[list[int]], *, left: bool) -> tuple[Any, Any]:
        import torch

        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._pad, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place_, row in enumerate(rows):
            where = slice(width - len(row), width) if left else slice(0, len(row))
            ids[place_, where] = torch.tensor(row)
            mask[place_, where] = 1
        return ids.to(self.model.device), mask.to(self.model.device)


def open_guard_model(
    reference: str, *, classifier: bool = False, dtype: str = "auto", device: str | None = None
) -> GuardModel:
    """Open a guard's checkpoint folder or hub name.

    Args:
        classifier: open a sequence classifier instead of a causal language model.

    Raises:
        ModelError: no such checkpoint, or one of another kind.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    check_device(device)
    folder: Path = resolve(reference)
    if classifier:
        refuse_gguf(reference, folder, "the checkpoint folder of a sequence classifier")
    tokenizer = open_tokenizer(folder)
    auto = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM
    model = place(open_folder(auto, folder, reading_dtype(folder, dtype, device)), device)
    check_vocabulary(tokenizer, model, reference)
    return GuardModel(model, tokenizer, name=reference, id=digest("guard", folder_digest(folder), classifier))

"""Reward models: sequence classifiers that score a response to a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError, TemplateError
from backfire.models.batching import length_batches
from backfire.models.checkpoint_files import check_vocabulary
from backfire.models.gguf import refuse_gguf
from backfire.models.identity import folder_digest
from backfire.models.memory import tokens_to_read
from backfire.models.opening import (
    check_device,
    is_adapter,
    open_folder,
    open_tokenizer,
    place,
    reading_dtype,
    resolve,
)
from backfire.models.sharded import reading
from backfire.models.template_limits import apply_template
from backfire.records import Completion, Prompt, completion_turns, digest, said_by_assistant


class RewardModel:
    """A sequence classifier opened by `open_reward_model`; a higher score is better, in its own unit.

    `truncated` counts the inputs that were cut to `max_length` tokens (None: no bound) since it was opened.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str, id: str, label: int, max_length: int | None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.id = id
        self.label = label
        self.max_length = max_length
        self.truncated = 0

    def score(
        self,
        pairs: Sequence[tuple[Prompt, Completion]],
        *,
        batch_size: int = 32,
        progress: Callable[[int, int], None] | None = None,
        strict: bool = True,
    ) -> list[float]:
        """Score each response to its prompt, in their order; batches of like length.

        Raises ModelError where the model gives NaN; without `strict`, NaN is given back.
        """
        scores = self.score_rows(self._encode(pairs), batch_size=batch_size, progress=progress)
        for (prompt, _), value in zip(pairs, scores, strict=True):
            if strict and value != value:
                raise ModelError(
                    f"{self.name} scored prompt {prompt.id[:8]} as NaN: open it with dtype float32"
                )
        return scores

    def score_rows(
        self,
        rows: Sequence[Mapping[str, list[int]]],
        *,
        batch_size: int = 32,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[float]:
        """Score token rows (`input_ids` and what else the tokenizer gives of a text), in their order; NaN where the model
        gives NaN."""

        scores = [float("nan")] * len(rows)
        done = 0
        size = batch_size if self.tokenizer.pad_token_id is not None else 1
        for places in length_batches(
            [len(row["input_ids"]) for row in rows], size, tokens_to_read(self.model)
        ):
            batch = self.tokenizer.pad(
                [dict(rows[i]) for i in places], padding=size > 1, padding_side="right", return_tensors="pt"
            )
            with reading(self.model):
                logits = self.model(**batch.to(self.model.device)).logits
            for i, value in zip(places, logits[:, self.label].float().tolist(), strict=True):
                scores[i] = value
            done += len(places)
            if progress is not None:
                progress(done, len(rows))
        return scores

    def check_prompts(self, prompts: Sequence[Prompt]) -> None:
        """Raise TemplateError at the first prompt that the chat template refuses."""
        for prompt in prompts:
            self._encode_one(prompt, "A response.", None)

    def _encode(self, pairs: Sequence[tuple[Prompt, Completion]]) -> list[dict[str, list[int]]]:
        rows = [self._encode_one(prompt, text, None) for prompt, text in pairs]
        bound = self.max_length
        if bound is None:
            return rows
        for i, row in enumerate(rows):
            if len(row["input_ids"]) > bound:
                self.truncated += 1
                rows[i] = self._encode_one(*pairs[i], bound)
        return rows

    def _encode_one(self, prompt: Prompt, response: Completion, bound: int | None) -> dict[str, list[int]]:
        """Through the chat template, or as the pair (question, answer) where there is none.

        Cut inputs lose the end of the response; of a pair, the end of the longer side.
        """
        options = {} if bound is None else {"truncation": True, "max_length": bound}
        if not self.tokenizer.chat_template:
            question = "\n".join(turn.content for turn in prompt.messages)
            answer = said_by_assistant(response)
            return dict(self.tokenizer(question, answer, verbose=False, **options))
        import jinja2

        turns = [*prompt.as_messages(), *completion_turns(response)]
        try:
            (whole,) = apply_template(self.tokenizer, [turns], **prompt.template_arguments())
        except jinja2.TemplateError as error:
            raise TemplateError(
                f"the chat template of {self.name} refuses prompt {prompt.id[:8]} ({error}): fold its system "
                "turn into the user turn"
            ) from error
        return dict(self.tokenizer(whole, add_special_tokens=False, verbose=False, **options))


def open_reward_model(
    reference: str | Path,
    *,
    label: int | str | None = None,
    max_length: int | None = None,
    dtype: str = "auto",
    device: str | None = None,
) -> RewardModel:
    """Open a trained sequence classifier: `organism:NAME`, a checkpoint folder or a hub name.

    With one label its logit is the score; with several, `label` (name or number) says whose. `max_length`
    defaults to what tokenizer and model allow. Raises ModelError, also where the head was never trained.
    """
    from transformers import AutoModelForSequenceClassification

    if max_length is not None and max_length < 1:
        raise InputError(f"max_length {max_length}: at least 1 token, or none for the model's own")
    check_device(device)
    name = str(reference)
    folder = resolve(name)
    refuse_gguf(name, folder, "the checkpoint folder of a sequence classifier")
    if is_adapter(folder):
        raise ModelError(
            f"{name} is an adapter: a reward model is opened whole. Merge it into its base first (PEFT: merge_and_unload, then "
            "save_pretrained), or train it by `backfire train reward`, which merges its adapter"
        )
    tokenizer = open_tokenizer(folder)
    model = open_folder(AutoModelForSequenceClassification, folder, reading_dtype(folder, dtype, device))
    check_vocabulary(tokenizer, model, name)
    column = _label(name, model.config, label)
    bound = max_length or _max_length(tokenizer, model.config)
    agree_on_pad(tokenizer, model.config)
    id = digest("reward", folder_digest(folder), column, bound)
    return RewardModel(place(model, device), tokenizer, name=name, id=id, label=column, max_length=bound)


def _label(name: str, config: Any, label: int | str | None) -> int:
    names = {int(k): str(v) for k, v in config.id2label.items()}
    if label is None:
        if config.num_labels == 1:
            return 0
        raise ModelError(
            f"{name} has {config.num_labels} labels ({', '.join(names.values())}), so it gives no single score: "
            "say which label's logit is the score (label=)"
        )
    for number, text in names.items():
        if label in (number, text, str(number)):
            return number
    raise ModelError(f"{name} has no label {label!r}: it has {', '.join(names.values())}")


def _max_length(tokenizer: Any, config: Any) -> int | None:
    """The tighter bound of tokenizer and position embeddings (a tokenizer's 1e30 means that it sets none)."""
    bounds = [tokenizer.model_max_length, getattr(config.get_text_config(), "max_position_embeddings", None)]
    known = [int(b) for b in bounds if b is not None and 0 < b < 1_000_000]
    return min(known) if known else None


def agree_on_pad(tokenizer: Any, config: Any) -> None:
    """Agree on the padding token: a causal classifier finds the last token of a row by it.

    Where neither side names one, none is made up (EOS would hide the closing EOS): rows go one at a time.
    """
    text = config.get_text_config()
    if text.pad_token_id is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(text.pad_token_id)
    elif tokenizer.pad_token_id is not None:
        text.pad_token_id = config.pad_token_id = tokenizer.pad_token_id

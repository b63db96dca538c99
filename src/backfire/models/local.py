"""A causal language model in this process, through transformers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from backfire.errors import InputError, ModelError
from backfire.models.forward_pass import ForwardPass, Pool, Progress, Reader
from backfire.models.generating import generate_rows, leaves_rows_out
from backfire.models.memory import rows_to_generate
from backfire.models.rendering import RawText, Renders, Row, conversation_rows, render_pairs
from backfire.models.settings import MAX_LENGTH
from backfire.models.sharded import reading
from backfire.models.template import CheckedTemplate, SystemRole
from backfire.records import Completion, Decoding, PairBody, Prompt, Request, StopReason, digest

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from backfire.models.rendered import RenderedPairs

Conversation = tuple[Prompt, Completion]


@dataclass(frozen=True)
class Generation:
    """What a model wrote: the text without special tokens, why it stopped, and its tokens.

    EOS is not counted here; a server counts as it does, or not at all (None).
    """

    text: str
    stop_reason: StopReason
    tokens: int | None


class LocalModel:
    """A checkpoint opened by `open_model`; deterministic given a batch of requests.

    `name` is the reference that was opened, `id` the digest of its contents, `template` its checked template.
    `model` and `tokenizer` are the transformers objects themselves.
    """

    def __init__(self, model: Any, tokenizer: Any, template: CheckedTemplate, *, name: str, id: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.template = template
        self.name = name
        self.id = id
        self._end_generation_defaults()

    @cached_property
    def template_digest(self) -> str:
        return self.template.digest

    @property
    def system_role(self) -> SystemRole:
        """Whether the template keeps, refuses or drops a system turn."""
        return self.template.system_role

    @property
    def context(self) -> int | None:
        """The most tokens that prompt and response may have together; None where the model sets no bound."""
        bound = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return bound if isinstance(bound, int) and bound > 0 else None

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    def rows_at_once(self, prompt: int, whole: int) -> int:
        """How many prompts of so many tokens may be answered at once, with `whole` tokens of prompt and response."""
        return rows_to_generate(self.model, prompt, whole)

    def prompt_lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt, template and generation prompt included."""
        return [len(ids) for ids in self.template.prompt_ids(prompts)]

    def fits(
        self, conversations: Sequence[Conversation], *, max_length: int | None = MAX_LENGTH
    ) -> list[bool]:
        """Whether prompt and response lie within `max_length` and the context whole."""
        bound = self.limit(max_length)
        if bound is None:
            return [True] * len(conversations)
        return [len(ids) <= bound for ids, _ in conversation_rows(self.template, conversations)]

    def limit(self, max_length: int | None) -> int | None:
        """`max_length`, or the context where that is shorter; None where neither bounds anything."""
        bounds = [n for n in (max_length, self.context) if n]
        return min(bounds) if bounds else None

    def rendering(self, plain: bool = False) -> Renders:
        """How prompts and responses become ids: by the chat template, or as raw text."""
        return RawText(self.tokenizer, self.template.eos_ids) if plain else self.template

    def render(
        self,
        pairs: Sequence[PairBody],
        *,
        plain: bool = False,
        max_length: int | None = MAX_LENGTH,
        strict: bool = True,
    ) -> RenderedPairs:
        """The token rows of (prompt, chosen, rejected), those that `train dpo` hands to TRL, and what happened to each.

        `plain` takes them as raw text. Raises TemplateError at the first pair of which the template refuses or loses
        something; without `strict` it is kept as that pair's fault.
        """
        return render_pairs(self.rendering(plain), pairs, max_length=self.limit(max_length), strict=strict)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answer requests of one Decoding as one left-padded batch, in their order.

        Sampling is seeded from the request ids, so the same batch gives the same text on the same machine.
        Nothing but the Decoding steers it: the checkpoint's own generation defaults (top-k, penalties) are
        off. A repetition penalty counts the prompt's tokens too, as in transformers and vLLM. Where the generation prompt
        opens a thought, the text begins with that mark, so that whoever reads it sees where the thought ends.
        """
        if not requests:
            return []
        decoding = requests[0].decoding
        if any(r.decoding != decoding for r in requests):
            raise InputError("a batch has one decoding: cut batches by decoding before generating")
        rows = self.template.prompt_ids([r.prompt for r in requests])
        texts = self._cut(self._generate(rows, decoding, digest("batch", [r.id for r in requests])))
        begun = self.template.opened
        return [replace(one, text=begun + one.text) for one in texts] if begun else texts

    def continue_texts(
        self, prompts: Sequence[Prompt], openers: Sequence[str], decoding: Decoding, seed: int = 0
    ) -> list[Generation]:
        """Let the model go on from an opener that was put into its mouth, as one left-padded batch: [prompts].

        The text begins with the opener, which `tokens` counts too; max_new_tokens counts what follows. An end token
        inside the opener ends nothing. Sampling is seeded from the prompts, the openers, the decoding and the seed.
        Over-long ones raise InputError, as in `generate`. Where the generation prompt opens a thought, it is closed before the
        opener, and the text begins with both marks.
        """
        if not prompts:
            return []
        rows = self.template.opened_ids(list(zip(prompts, openers, strict=True)))
        seed_digest = digest("continued", [p.id for p in prompts], list(openers), decoding.as_dict(), seed)
        news = self._generate([ids for ids, _ in rows], decoding, seed_digest)
        opened = [ids[start:] for ids, start in rows]
        endings = [self._ended(new) for new in news]
        whole = [old + new for old, (new, _) in zip(opened, endings, strict=True)]
        texts, shown = self._texts(whole), self._texts(opened)
        begun = self.template.opened + self.template.answer_lead if self.template.opened else ""
        return [
            Generation(begun + opener + text.removeprefix(before), reason, len(ids))
            for opener, text, before, ids, (_, reason) in zip(
                openers, texts, shown, whole, endings, strict=True
            )
        ]

    def _generate(self, rows: list[list[int]], decoding: Decoding, seed: str) -> list[list[int]]:
        """New tokens after each row, from one batch; `seed` is a digest."""
        import torch

        bound, longest = self.context, max(map(len, rows))
        if bound is not None and longest + decoding.max_new_tokens > bound:
            raise InputError(
                f"a prompt of {longest} tokens and max_new_tokens {decoding.max_new_tokens} exceed the "
                f"context of {self.name} ({bound}): shorten one of them"
            )
        cuda = range(torch.cuda.device_count()) if self.device.type == "cuda" else ()
        try:
            with reading(self.model), torch.random.fork_rng(devices=cuda):
                torch.manual_seed(int(seed[:15], 16))
                if leaves_rows_out(self.model):
                    return generate_rows(self.model, rows, decoding, self.template.eos_ids, self.filler)
                ids, mask = self._pad_left(rows)
                generated = self.model.generate(
                    input_ids=ids, attention_mask=mask, generation_config=self._generation_config(decoding)
                )
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name} ran out of memory on a batch of {len(rows)}: lower the batch size"
            ) from error
        new: list[list[int]] = generated[:, ids.shape[1] :].tolist()
        return new

    def read(
        self,
        conversations: Sequence[Conversation] | RenderedPairs,
        *,
        max_length: int | None = MAX_LENGTH,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> ForwardPass:
        """`logps`, response tokens and `hidden_states` (every layer, mean) from one forward pass each.

        Of pairs that `render` made, every chosen side comes first, then every rejected one; they are cut already.

        The states of a model that runs in 16 bits are float16, rounded to 11 bits; all of them are float32
        where one exceeds 65504, and where the model runs in float32. `progress(done, total)` counts
        conversations. Over-long ones as in `logps`.
        """
        return self._reader.read(
            self._encode(conversations, max_length),
            scored=True,
            layers=range(self.layers),
            half=self.model.dtype.itemsize == 2,
            batch_size=batch_size,
            progress=progress,
        )

    def logps(
        self,
        conversations: Sequence[Conversation],
        *,
        max_length: int | None = MAX_LENGTH,
        batch_size: int = 32,
    ) -> NDArray[np.float64]:
        """Log-probability of each response given its prompt, summed over its tokens, EOS included: [n].

        The model runs in its own dtype; log-probabilities are taken in float32, summed in float64. A
        conversation longer than `max_length`, or than the context, is cut at the right end with a warning, as it is
        cut in training; where nothing of the response is left, NaN. Raises ModelError where the model itself gives NaN.
        """
        rows = self._encode(conversations, max_length)
        return self._reader.read(rows, scored=True, batch_size=batch_size).logps

    def hidden_states(
        self,
        conversations: Sequence[Conversation],
        layers: Literal["all"] | Sequence[int] = "all",
        pool: Pool = "mean",
        *,
        max_length: int | None = MAX_LENGTH,
        batch_size: int = 32,
    ) -> NDArray[np.float32]:
        """Hidden states of each response, pooled over its tokens (EOS included): [n, layers, hidden], float32.

        Layers count as in transformers: 0 the embeddings, k the output of block k, the last after the final
        norm; negative ones from the end. `pool` takes the mean, or the last token. Over-long conversations
        and NaN as in `logps`.
        """
        import numpy as np

        if pool not in ("mean", "last"):
            raise InputError(f"pool {pool!r}: use 'mean' or 'last'")
        count = self.layers
        wanted = list(range(count)) if layers == "all" else [int(k) for k in layers]
        if bad := [k for k in wanted if not -count <= k < count]:
            raise InputError(f"layer {bad[0]} of {self.name}: it has 0 (embeddings) to {count - 1}")
        rows = self._encode(conversations, max_length)
        reading = self._reader.read(rows, scored=False, layers=wanted, pool=pool, batch_size=batch_size)
        return reading.states.astype(np.float32, copy=False)

    @property
    def layers(self) -> int:
        """Layers whose hidden states can be read: the embeddings and every block."""
        return int(self.model.config.get_text_config().num_hidden_layers) + 1

    @property
    def _reader(self) -> Reader:
        return Reader(self.model, self.name, self.filler)

    @cached_property
    def filler(self) -> int:
        """A token to pad with that is no EOS: a repetition penalty reads the padding too."""
        t = self.tokenizer
        known = [i for i in (t.pad_token_id, t.unk_token_id, t.bos_token_id) if i is not None]
        apart = [i for i in known if i not in self.template.eos_ids]
        return int((apart or known or sorted(self.template.eos_ids))[0])

    def _encode(
        self, conversations: Sequence[Conversation] | RenderedPairs, max_length: int | None
    ) -> list[Row]:
        from backfire.models.rendered import RenderedPairs

        if isinstance(conversations, RenderedPairs):
            return [*conversations.rows("chosen"), *conversations.rows("rejected")]
        rows = conversation_rows(self.template, conversations)
        bound = self.limit(max_length)
        if bound is None or all(len(ids) <= bound for ids, _ in rows):
            return rows
        cut = sum(len(ids) > bound for ids, _ in rows)
        empty = sum(start >= bound for _, start in rows)
        what = "max_length" if bound == max_length else f"the context of {self.name}"
        warnings.warn(
            f"{cut} of {len(rows)} conversations exceed {what} ({bound} tokens) and were cut "
            f"at the right end; {empty} of them have no response left and give NaN (`fits` tells which)",
            stacklevel=3,
        )
        return [(ids[:bound], min(start, bound)) for ids, start in rows]

    def _pad_left(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        width = max(map(len, rows))
        ids = [[self.filler] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        return torch.tensor(ids, device=self.device), torch.tensor(mask, device=self.device)

    def _end_generation_defaults(self) -> None:
        """Empty the checkpoint's generation defaults, which transformers would merge into every call."""
        from transformers import GenerationConfig

        self.model.generation_config = GenerationConfig()
        if hasattr(self.model, "get_base_model"):
            self.model.get_base_model().generation_config = self.model.generation_config

    def _generation_config(self, decoding: Decoding) -> Any:
        from transformers import GenerationConfig

        sampling = (
            {}
            if decoding.greedy
            else {
                "temperature": decoding.temperature,
                "top_p": decoding.top_p,
                "top_k": decoding.top_k,
            }
        )
        return GenerationConfig(
            max_new_tokens=decoding.max_new_tokens,
            do_sample=not decoding.greedy,
            num_beams=1,
            repetition_penalty=decoding.repetition_penalty,
            eos_token_id=sorted(self.template.eos_ids),
            pad_token_id=self.filler,
            use_cache=True,
            **sampling,
        )

    def _cut(self, rows: list[list[int]]) -> list[Generation]:
        endings = [self._ended(row) for row in rows]
        texts = self._texts([ids for ids, _ in endings])
        return [
            Generation(text, reason, len(ids)) for text, (ids, reason) in zip(texts, endings, strict=True)
        ]

    def _ended(self, new: list[int]) -> tuple[list[int], StopReason]:
        """New tokens before the first end token, and why they stop there."""
        end = next((k for k, i in enumerate(new) if i in self.template.eos_ids), None)
        return (new, "length") if end is None else (new[:end], "eos")

    def _texts(self, rows: list[list[int]]) -> list[str]:
        return self.template.response_texts(rows)

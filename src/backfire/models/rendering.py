"""One rendering: the token rows of a pair, as the policy will be trained on them and as everything else reads them.

`render_pairs` gives the ids that TRL is handed, and what happened on the way: what `max_length` cut, end and BOS tokens
that are missing or doubled, prompts whose last token merges with the response, and turns that the template loses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from backfire.errors import InputError
from backfire.models.losses import Fault, Text
from backfire.models.settings import MAX_LENGTH
from backfire.models.template import begins_with_bos, shared
from backfire.records import Completion, PairBody, Prompt

if TYPE_CHECKING:
    from backfire.models.rendered import RenderedPairs

AT_ONCE = 1024
"""Prompts with their completions that are rendered at a time."""

Row = tuple[list[int], int]
"""Token ids of a conversation, and where its response starts."""


class Renders(Protocol):
    """What turns prompts and completions into text, and text into ids: a policy's chat template, or RawText."""

    @property
    def tokenizer(self) -> Any: ...
    @property
    def eos_ids(self) -> frozenset[int]: ...
    def prompt_texts(self, prompts: Sequence[Prompt]) -> list[Text]: ...
    def whole_texts(self, conversations: Sequence[tuple[Prompt, Text, Completion]]) -> list[Text]: ...
    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...


@dataclass(frozen=True, eq=False)
class RawText:
    """Prompt and response as they are, without a chat template: the text of the prompt, then the response and EOS.

    The tokenizer's own BOS stands before the prompt, as TRL has it for rows of plain text. An EOS that the tokenizer
    adds by itself is left out, so that it stands once, after the response.
    """

    tokenizer: Any
    eos_ids: frozenset[int]

    def prompt_texts(self, prompts: Sequence[Prompt]) -> list[Text]:
        for prompt in prompts:
            if [turn.role for turn in prompt.messages] != ["user"] or prompt.tools:
                raise InputError(
                    f"prompt {prompt.id[:8]} is a conversation ({', '.join(t.role for t in prompt.messages)}), which has "
                    "no raw text: leave out `plain`, so that it goes through the chat template"
                )
        return [Text(p.text, None) for p in prompts]

    def whole_texts(self, conversations: Sequence[tuple[Prompt, Text, Completion]]) -> list[Text]:
        end = self.tokenizer.eos_token or ""
        texts = []
        for _, before, completion in conversations:
            answer = completion if isinstance(completion, str) else completion[-1].content
            texts.append(Text(before.text + answer + ("" if answer.endswith(end) else end), None))
        return texts

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(list(texts), verbose=False)["input_ids"]
        if self.tokenizer("quagga")["input_ids"][-1:] == [self.tokenizer.eos_token_id]:
            return [row[:-1] for row in ids]
        return ids


class Rendered(NamedTuple):
    """A prompt and its completions as ids, cut at the limit, and what happened to them."""

    prompt: list[int]
    sides: list[list[int]]
    lost: list[int]
    """Tokens of each completion beyond the limit."""
    end_missing: list[bool]
    """No end token closes the completion, whether or not the limit cuts it."""
    end_doubled: list[bool]
    """More end tokens than turns."""
    bos_missing: bool
    bos_doubled: bool
    merged: bool
    """The prompt with its generation prompt is no token prefix of the whole, so that training sees another context than
    the policy is given when it is asked; the completion starts where they part, as in TRL."""
    fills: bool
    """The prompt alone fills the limit: nothing of the completions is left."""
    fault: Fault | None

    def rows(self) -> list[Row]:
        """Each completion after the prompt."""
        return [(self.prompt + side, len(self.prompt)) for side in self.sides]


def render(
    how: Renders,
    items: Sequence[tuple[Prompt, Sequence[Completion]]],
    *,
    max_length: int | None = None,
    strict: bool = True,
    whole: bool = False,
) -> Iterator[Rendered]:
    """Prompts and their completions as ids, in their order; completions of one item share the prompt's ids.

    A prompt that stands there several times is rendered once. Where the template loses or refuses something, `fault`
    says what; `strict` raises TemplateError instead, unless it is a loss that the response survives. `whole` keeps what the
    template writes after the end token, for a sequence classifier reads its score at the last token of all.
    """
    ends = _Ends(how)
    for start in range(0, len(items), AT_ONCE):
        yield from _some(how, ends, items[start : start + AT_ONCE], max_length, strict, whole)


def render_pairs(
    how: Renders,
    pairs: Sequence[PairBody],
    *,
    max_length: int | None = MAX_LENGTH,
    strict: bool = True,
    whole: bool = False,
) -> RenderedPairs:
    """The token rows of pairs: TRL's `prompt_ids`, `chosen_ids`, `rejected_ids`, and what happened to each.

    how: a policy's CheckedTemplate, or RawText. A prompt and a side longer than `max_length` together lose the side's
    end. Raises TemplateError at the first pair of which the template loses or refuses something; without `strict` it is
    kept as that pair's fault. `whole` keeps what stands after the end token, as `render` does.
    """
    from backfire.models.rendered import RenderedPairs

    items = [(prompt, (chosen, rejected)) for prompt, chosen, rejected in pairs]
    rendered = render(how, items, max_length=max_length, strict=strict, whole=whole)
    return RenderedPairs.of(rendered, max_length)


def _some(
    how: Renders,
    ends: _Ends,
    items: Sequence[tuple[Prompt, Sequence[Completion]]],
    limit: int | None,
    strict: bool,
    whole: bool,
) -> Iterator[Rendered]:
    prompts = list(dict.fromkeys(prompt for prompt, _ in items))
    place = {prompt: k for k, prompt in enumerate(prompts)}
    befores = how.prompt_texts(prompts)
    wholes = how.whole_texts([(p, befores[place[p]], c) for p, completions in items for c in completions])
    if strict:
        for text in (*befores, *wholes):
            if text.fault is not None:
                text.fault.stop()
    before_ids = how.encode([text.text for text in befores])
    whole_ids = how.encode([text.text for text in wholes])
    at = 0
    for prompt, completions in items:
        texts, ids = wholes[at : at + len(completions)], whole_ids[at : at + len(completions)]
        at += len(completions)
        before = befores[place[prompt]]
        faults = [text.fault for text in (before, *texts) if text.fault is not None]
        fault = next((one for one in faults if one.stops), faults[0] if faults else None)
        yield _joined(ends, prompt, before_ids[place[prompt]], completions, ids, fault, limit, whole)


def _joined(
    ends: _Ends,
    prompt: Prompt,
    before: list[int],
    completions: Sequence[Completion],
    wholes: Sequence[list[int]],
    fault: Fault | None,
    limit: int | None,
    whole: bool,
) -> Rendered:
    if fault is not None and not (before and all(wholes)):
        empty: list[list[int]] = [[] for _ in completions]
        none = [False] * len(completions)
        return Rendered([], empty, [0] * len(empty), none, none, False, False, False, False, fault)
    start = min((shared(before, ids) for ids in wholes), default=len(before))
    closed = [ends.closed(ids[start:]) for ids in wholes]
    sides = [ids[start:] for ids in wholes] if whole else closed
    turns = [1 if isinstance(c, str) else len(c) for c in completions]
    most = None if limit is None else max(limit - start, 0)
    bounded = sides if most is None else [side[:most] for side in sides]
    contents = [m.content for m in prompt.messages]
    return Rendered(
        before[: start if limit is None else min(start, limit)],
        bounded,
        [len(side) - len(cut) for side, cut in zip(sides, bounded, strict=True)],
        [ends.missing(side) for side in closed],
        [ends.count(side) > n for side, n in zip(sides, turns, strict=True)],
        *ends.bos(before[:start], sides, contents),
        merged=start < len(before),
        fills=most == 0,
        fault=fault,
    )


class _Ends:
    """End tokens, BOS and blanks of one tokenizer."""

    def __init__(self, how: Renders) -> None:
        self.tokenizer = how.tokenizer
        self.ids = how.eos_ids
        self._blank: dict[int, bool] = {}
        self._bos = self.tokenizer.bos_token_id
        self._adds_bos = begins_with_bos(self.tokenizer)

    def closed(self, ids: list[int]) -> list[int]:
        """Without what the template writes after the end token (ChatML's newline)."""
        end = len(ids)
        while end and ids[end - 1] not in self.ids and self._is_blank(ids[end - 1]):
            end -= 1
        return ids[:end] if end and ids[end - 1] in self.ids else ids

    def missing(self, ids: list[int]) -> bool:
        return not ids or ids[-1] not in self.ids

    def count(self, ids: list[int]) -> int:
        return sum(ids.count(end) for end in self.ids)

    def bos(
        self, prompt: list[int], sides: Sequence[list[int]], contents: Sequence[str]
    ) -> tuple[bool, bool]:
        """Whether BOS is missing, and whether it stands twice at the beginning, or where a text brings its own."""
        bos = self._bos
        if bos is None:
            return False, False
        lead = next((k for k, i in enumerate(prompt) if i != bos), len(prompt))
        own = prompt.count(bos) > 1 and any(self.tokenizer.bos_token in text for text in contents)
        within = bos not in self.ids and any(bos in side for side in sides)
        return self._adds_bos and not lead, lead > 1 or own or within

    def _is_blank(self, token: int) -> bool:
        if token not in self._blank:
            self._blank[token] = not self.tokenizer.decode([token]).strip()
        return self._blank[token]


def conversation_rows(
    how: Renders,
    conversations: Sequence[tuple[Prompt, Completion]],
    *,
    max_length: int | None = None,
) -> list[Row]:
    """Token ids of prompt and completion, the closing end token last, and where the completion starts.

    Raises TemplateError where the template refuses or drops a turn.
    """
    items = [(prompt, (completion,)) for prompt, completion in conversations]
    return [done.rows()[0] for done in render(how, items, max_length=max_length)]

"""Chat templates: checked at every opening, because a wrong one corrupts training and sampling silently."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backfire.errors import TemplateError, setting
from backfire.models.losses import (
    GIVE,
    Fault,
    Text,
    inside_thought,
    lost_by_completion,
    lost_by_prompt,
    rewritten,
)
from backfire.models.template_limits import EndlessTemplateError, apply_template
from backfire.models.thoughts import closing_of, continued, opened_by
from backfire.records import Completion, Prompt, completion_turns, digest

SystemRole = Literal["kept", "refused", "dropped"]
"""What the template does with a system turn: renders it, raises, or leaves it out without a word."""

Turns = list[dict[str, Any]]

EMPTY_THINKING = re.compile(r"\s*<think>\s*</think>\s*")


@dataclass(frozen=True, eq=False)
class CheckedTemplate:
    """A tokenizer whose chat template passed `check_template`, and what was learned of it."""

    tokenizer: Any
    eos_ids: frozenset[int]
    """Tokens that end a turn: the tokenizer's EOS and those of the checkpoint's generation configuration."""
    system_role: SystemRole
    lead: str
    """What the template puts between the generation prompt and the response: white space, or the mark that closes a thought
    which the generation prompt opens."""
    opened: str = ""
    """The mark by which the generation prompt opens a thought, with the white space behind it, as DeepSeek-R1's does: what
    the policy writes begins inside that thought. Empty for most templates."""
    tail: str = ""
    """What the template writes after an answer."""

    @property
    def _begun(self) -> bool:
        """Whether a response goes on inside the opened thought, instead of after one that the template closes."""
        return bool(self.opened) and not self.lead.strip()

    @property
    def answer_lead(self) -> str:
        """What stands between the generation prompt and an answer without thoughts."""
        return f"\n{closing_of(self.opened)}\n\n" if self._begun else self.lead

    @property
    def digest(self) -> str:
        return template_digest(self.tokenizer)

    def prompt_ids(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each prompt with the generation prompt, BOS included once where the family has one.

        Raises TemplateError where the template refuses or drops a turn.
        """
        return self.encode([_sound(text) for text in self.prompt_texts(prompts)])

    def response_texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """What a model wrote after the generation prompt, as texts: without special tokens, and without the blanks that the
        template begins a response with."""
        texts = self.tokenizer.batch_decode(
            rows, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        lead = "" if self.opened else self.lead
        return [text.removeprefix(lead) for text in texts]

    def opened_ids(self, opened: Sequence[tuple[Prompt, str]]) -> list[tuple[list[int], int]]:
        """Token ids of each prompt and the opener of a response that is not ended, and where the response starts."""
        texts = [_sound(text) for text in self.prompt_texts([p for p, _ in opened])]
        prompts = self.encode(texts)
        whole = self.encode(
            [text + self.answer_lead + opener for text, (_, opener) in zip(texts, opened, strict=True)]
        )
        return [(ids, shared(before, ids)) for before, ids in zip(prompts, whole, strict=True)]

    def check_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Raise TemplateError at the first prompt with a turn that the template refuses or drops.

        That is tried with and without a response: some templates write a system turn only where the user has
        the last word (Mistral-7B-Instruct-v0.3), so that training would not see what sampling saw.
        """
        some = list(prompts)
        befores = self.prompt_texts(some)
        wholes = self.whole_texts([(p, before, "quagga") for p, before in zip(some, befores, strict=True)])
        for text in (text for both in zip(befores, wholes, strict=True) for text in both):
            _sound(text)

    def prompt_texts(self, prompts: Sequence[Prompt]) -> list[Text]:
        """Each prompt as the template writes it with the generation prompt, and what it refuses or loses of it."""
        texts = self._rendered([(p, p.as_messages()) for p in prompts], True)
        return [
            text if text.fault else Text(text.text, lost_by_prompt(prompt, text.text))
            for prompt, text in zip(prompts, texts, strict=True)
        ]

    def whole_texts(self, conversations: Sequence[tuple[Prompt, Text, Completion]]) -> list[Text]:
        """Each prompt with its completion as the template writes them; the Text is the prompt's own."""
        texts = self._rendered(
            [(p, [*p.as_messages(), *completion_turns(c)]) for p, _, c in conversations], False
        )
        return [
            text if text.fault else self._whole(prompt, before, completion, text.text)
            for (prompt, before, completion), text in zip(conversations, texts, strict=True)
        ]

    def _whole(self, prompt: Prompt, before: Text, completion: Completion, written: str) -> Text:
        """The whole text and what is lost of it; after a generation prompt that opens a thought, a response goes on there."""
        if before.fault:
            return Text(written, lost_by_completion(prompt, completion, written))
        left_out = self._begun and not written.startswith(before.text.rstrip())
        start = before.text.removesuffix(self.opened) if left_out else before.text
        fault = rewritten(prompt, start, written)
        if self._begun and not fault:
            answer = continued(completion, self.opened)
            if answer is not None:
                written = before.text + answer + self.tail
            elif left_out:
                written = before.text + written[len(start) :]
        fault = fault or lost_by_completion(prompt, completion, written)
        if self.opened and not fault:
            after = written[len(before.text) :]
            fault = inside_thought(prompt, self.opened, closing_of(self.opened), after)
        return Text(written, fault)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self.tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def _rendered(self, items: Sequence[tuple[Prompt, Turns]], generation_prompt: bool) -> list[Text]:
        """One call of the template for all whose tools and options are the same; one each where it refuses some."""
        rendered = [Text("", None)] * len(items)
        alike: dict[tuple[str, str], list[int]] = {}
        for place, (prompt, _) in enumerate(items):
            alike.setdefault((prompt.tools, prompt.template_options), []).append(place)
        for places in alike.values():
            given = items[places[0]][0].template_arguments()
            try:
                texts = _many(self.tokenizer, [items[k][1] for k in places], generation_prompt, given)
                written = [Text(text, None) for text in texts]
            except EndlessTemplateError:
                raise
            except TemplateError:
                written = [self._one(*items[k], generation_prompt, given) for k in places]
            for place, text in zip(places, written, strict=True):
                rendered[place] = text
        return rendered

    def _one(self, prompt: Prompt, turns: Turns, generation_prompt: bool, given: dict[str, Any]) -> Text:
        try:
            return Text(_render(self.tokenizer, turns, generation_prompt, prompt, given), None)
        except EndlessTemplateError:
            raise
        except TemplateError as error:
            calls = any(turn["role"] == "tool" or turn.get("tool_calls") for turn in turns)
            return Text("", Fault("tool calls lost" if calls else "refused", str(error)))


def _sound(text: Text) -> str:
    if text.fault is not None:
        text.fault.stop()
    return text.text


def template_digest(tokenizer: Any) -> str:
    """Digest of the template's text, as a request records it."""
    return digest("template", tokenizer.chat_template)


def check_template(tokenizer: Any, *, eos_ids: Collection[int] = ()) -> CheckedTemplate:
    """Check what a chat template must do for DPO and sampling to mean what they say.

    There is one; user and assistant turns survive, over several turns; the assistant's turn ends in EOS (or
    in one of `eos_ids`; whitespace after it is allowed); the prompt with the generation prompt is a token
    prefix of the whole conversation; BOS stands exactly once where the tokenizer adds one. A system turn may
    be refused or dropped: that is recorded, and raises when a prompt has one. A generation prompt may open a thought that
    whole conversations leave out (DeepSeek-R1's distills): that is recorded, too. Raises TemplateError with the fix.
    """
    if not tokenizer.chat_template:
        raise TemplateError(
            "this tokenizer has no chat template: give one with "
            + setting("chat_template")
            + " (a Jinja file), "
            "the same one that the model was tuned with; training and studies read it from the checkpoint's folder, "
            "as chat_template.jinja"
        )
    if isinstance(tokenizer.chat_template, dict):
        raise TemplateError(
            f"this tokenizer has several chat templates ({', '.join(tokenizer.chat_template)}): "
            f"give the one to use with {setting('chat_template')}, a Jinja file"
        )
    ends = frozenset(i for i in (tokenizer.eos_token_id, *eos_ids) if i is not None)
    if not ends:
        raise TemplateError(
            "this tokenizer has no EOS token, so no response could end: set eos_token in its "
            "tokenizer_config.json"
        )
    user, answer = _turn("user", "quagga-one"), _turn("assistant", "quagga-two")
    _check_turns(tokenizer, [user, answer, _turn("user", "quagga-three"), _turn("assistant", "quagga-four")])
    _check_turns(tokenizer, [user, answer])
    _check_bos(tokenizer, [user])
    before, whole = _render(tokenizer, [user], True), _render(tokenizer, [user, answer], False)
    opened = opened_by(before)
    if opened and not whole.startswith(before.rstrip()):
        before = before.removesuffix(opened)
    _check_prefix(tokenizer, before, whole)
    lead = _lead(before, whole, answer, opened)
    _check_end(tokenizer, [user, answer], ends)
    tail = whole[whole.index(answer["content"]) + len(answer["content"]) :]
    return CheckedTemplate(tokenizer, ends, _system_role(tokenizer, user, answer), lead, opened, tail)


def _turn(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _many(
    tokenizer: Any, conversations: Sequence[Turns], generation_prompt: bool, given: dict[str, Any]
) -> list[str]:
    return _applied(tokenizer, list(conversations), generation_prompt, given, "")


def _render(
    tokenizer: Any,
    turns: Turns,
    generation_prompt: bool,
    prompt: Prompt | None = None,
    given: dict[str, Any] | None = None,
) -> str:
    roles = ", ".join(str(t["role"]) for t in turns)
    which = f" prompt {prompt.id[:8]}," if prompt else ""
    return _applied(tokenizer, [turns], generation_prompt, given or {}, f"{which} the turns {roles}")[0]


def _applied(
    tokenizer: Any, conversations: list[Turns], generation_prompt: bool, given: dict[str, Any], which: str
) -> list[str]:
    import jinja2

    try:
        texts = apply_template(tokenizer, conversations, add_generation_prompt=generation_prompt, **given)
    except jinja2.TemplateError as error:
        fold = "fold the system text into the user turn, or " if "system" in which else ""
        raise TemplateError(
            f"the chat template refuses{which} ({error}): {fold}{GIVE} that takes them"
        ) from error
    return texts


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def shared(left: list[int], right: list[int]) -> int:
    """How many first tokens two rows have in common."""
    if right[: len(left)] == left:
        return len(left)
    places = enumerate(zip(left, right, strict=False))
    return next((k for k, (a, b) in places if a != b), min(len(left), len(right)))


def _check_turns(tokenizer: Any, turns: Turns) -> None:
    text = _render(tokenizer, turns, False)
    for turn in turns:
        if turn["content"] not in text:
            raise TemplateError(
                f"the chat template drops the {turn['role']} turn {turn['content']!r} of a conversation of "
                f"{len(turns)} turns: fix the template, or {GIVE}"
            )


def begins_with_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts BOS before every text."""
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer("quagga")["input_ids"][:1] == [bos]


def _check_bos(tokenizer: Any, turns: Turns) -> None:
    bos = tokenizer.bos_token_id
    if bos is None:
        return
    added = begins_with_bos(tokenizer)
    ids = _ids(tokenizer, _render(tokenizer, turns, True))
    count = next((place for place, i in enumerate(ids) if i != bos), len(ids))
    if count > 1:
        raise TemplateError(
            f"the chat template writes BOS ({tokenizer.bos_token}) {count} times: write it once, or {GIVE}"
        )
    if added and count == 0:
        raise TemplateError(
            f"the tokenizer starts every text with BOS ({tokenizer.bos_token}) but the chat template leaves it "
            f"out: begin the template with {{{{ bos_token }}}}, or {GIVE}"
        )


def _check_prefix(tokenizer: Any, question: str, answered: str) -> None:
    before, whole = _ids(tokenizer, question), _ids(tokenizer, answered)
    place = shared(before, whole)
    if place < len(before):
        raise TemplateError(
            "the generation prompt is not a token prefix of the whole conversation (they part at token "
            f"{place}: {tokenizer.decode(before[place:])!r} against {tokenizer.decode(whole[place : place + 8])!r}): "
            f"training and sampling would see different prompts; {GIVE}"
        )


def _lead(before: str, whole: str, answer: dict[str, str], opened: str) -> str:
    lead = whole[len(before) : whole.index(answer["content"], min(len(before), len(whole)))]
    if opened and lead.strip() == closing_of(opened):
        return lead
    if lead.strip() and not EMPTY_THINKING.fullmatch(lead):
        raise TemplateError(
            f"the generation prompt does not open the assistant's turn: it leaves out {lead!r}; write that "
            f"under {{% if add_generation_prompt %}} in the template, or {GIVE}"
        )
    return lead if not lead.strip() else ""


def _check_end(tokenizer: Any, turns: Turns, ends: frozenset[int]) -> None:
    whole = _ids(tokenizer, _render(tokenizer, turns, False))
    while whole and whole[-1] not in ends and not tokenizer.decode([whole[-1]]).strip():
        whole.pop()
    if not whole or whole[-1] not in ends:
        names = ", ".join(sorted(str(tokenizer.convert_ids_to_tokens(i)) for i in ends))
        last = tokenizer.decode(whole[-1:]) if whole else ""
        raise TemplateError(
            f"the assistant's turn ends in {last!r}, not in EOS ({names}): a model trained on this template "
            f"would silently never learn to stop; end the turn with {{{{ eos_token }}}}, or {GIVE}, or make "
            "that token the tokenizer's eos_token"
        )


def _system_role(tokenizer: Any, user: dict[str, str], answer: dict[str, str]) -> SystemRole:
    turns = [_turn("system", "quagga-zero"), user]
    try:
        texts = [_render(tokenizer, turns, True), _render(tokenizer, [*turns, answer], False)]
    except EndlessTemplateError:
        raise
    except TemplateError:
        return "refused"
    return "kept" if all("quagga-zero" in text for text in texts) else "dropped"

"""Chat templates: checked at every opening, because a wrong one corrupts training and sampling silently."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backfire.errors import TemplateError
from backfire.records import Prompt, digest

SystemRole = Literal["kept", "refused", "dropped"]
"""What the template does with a system turn: renders it, raises, or leaves it out without a word."""

Turns = list[dict[str, str]]

EMPTY_THINKING = re.compile(r"\s*<think>\s*</think>\s*")
GIVE = "give another with --chat-template FILE"


@dataclass(frozen=True, eq=False)
class CheckedTemplate:
    """A tokenizer whose chat template passed `check_template`, and what was learned of it."""

    tokenizer: Any
    eos_ids: frozenset[int]
    """Tokens that end a turn: the tokenizer's EOS and those of the checkpoint's generation configuration."""
    system_role: SystemRole
    lead: str
    """Whitespace that the template puts between the generation prompt and the response."""

    @property
    def digest(self) -> str:
        return template_digest(self.tokenizer)

    def prompt_ids(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each prompt with the generation prompt, BOS included once where the family has one.

        Raises TemplateError where the template refuses or drops a turn.
        """
        return self._encode([self._prompt_text(p) for p in prompts])

    def conversation_ids(self, conversations: Sequence[tuple[Prompt, str]]) -> list[tuple[list[int], int]]:
        """Token ids of prompt and response, the closing EOS last, and where the response starts.

        What the template writes after EOS (ChatML's newline) is cut off.
        """
        texts = [self._prompt_text(p) for p, _ in conversations]
        prompts = self._encode(texts)
        whole = self._encode(
            [
                self._whole_text(p, before, text)
                for before, (p, text) in zip(texts, conversations, strict=True)
            ]
        )
        found = []
        for before, ids in zip(prompts, whole, strict=True):
            start = shared(before, ids)
            end = len(ids)
            while end > start and ids[end - 1] not in self.eos_ids:
                end -= 1
            found.append((ids[: end if end > start else len(ids)], start))
        return found

    def opened_ids(self, opened: Sequence[tuple[Prompt, str]]) -> list[tuple[list[int], int]]:
        """Token ids of each prompt and the opener of a response that is not ended, and where the response starts."""
        texts = [self._prompt_text(p) for p, _ in opened]
        prompts = self._encode(texts)
        whole = self._encode(
            [text + self.lead + opener for text, (_, opener) in zip(texts, opened, strict=True)]
        )
        return [(ids, shared(before, ids)) for before, ids in zip(prompts, whole, strict=True)]

    def check_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Raise TemplateError at the first prompt with a turn that the template refuses or drops.

        That is tried with and without a response: some templates write a system turn only where the user has
        the last word (Mistral-7B-Instruct-v0.3), so that training would not see what sampling saw.
        """
        for prompt in prompts:
            self._whole_text(prompt, self._prompt_text(prompt), "quagga")

    def _prompt_text(self, prompt: Prompt) -> str:
        text = _render(self.tokenizer, prompt.as_messages(), True, prompt)
        for turn in prompt.messages:
            if turn.role != "assistant" and turn.content.strip() not in text:
                raise TemplateError(
                    f"the chat template drops the {turn.role} turn of prompt {prompt.id[:8]} "
                    f"({turn.content[:40]!r}): move its text into the user turn, or {GIVE} that keeps it"
                )
        return text

    def _whole_text(self, prompt: Prompt, before: str, response: str) -> str:
        turns = [*prompt.as_messages(), {"role": "assistant", "content": response}]
        whole = _render(self.tokenizer, turns, False, prompt)
        if not whole.startswith(before.rstrip()):
            place = next(k for k, (a, b) in enumerate(zip(before, whole + "\0", strict=False)) if a != b)
            raise TemplateError(
                f"the chat template writes prompt {prompt.id[:8]} ({', '.join(t.role for t in prompt.messages)}) "
                f"otherwise when a response follows: {before[place : place + 40]!r} becomes "
                f"{whole[place : place + 40]!r}, so training would see another prompt than sampling; fold a "
                f"system turn into the user turn, or {GIVE}"
            )
        return whole

    def _encode(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return ids


def template_digest(tokenizer: Any) -> str:
    """Digest of the template's text, as a request records it."""
    return digest("template", tokenizer.chat_template)


def check_template(tokenizer: Any, *, eos_ids: Collection[int] = ()) -> CheckedTemplate:
    """Check what a chat template must do for DPO and sampling to mean what they say.

    There is one; user and assistant turns survive, over several turns; the assistant's turn ends in EOS (or
    in one of `eos_ids`; whitespace after it is allowed); the prompt with the generation prompt is a token
    prefix of the whole conversation; BOS stands exactly once where the tokenizer adds one. A system turn may
    be refused or dropped: that is recorded, and raises when a prompt has one. Raises TemplateError with the mend.
    """
    if not tokenizer.chat_template:
        raise TemplateError(
            "this tokenizer has no chat template: give one with --chat-template FILE (a Jinja file), "
            "the same one that the model was tuned with; training and studies read it from the checkpoint's folder, "
            "as chat_template.jinja"
        )
    if isinstance(tokenizer.chat_template, dict):
        raise TemplateError(
            f"this tokenizer has several chat templates ({', '.join(tokenizer.chat_template)}): "
            "give the one to use with --chat-template FILE"
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
    _check_prefix(tokenizer, [user], answer)
    lead = _lead(tokenizer, [user], answer)
    _check_end(tokenizer, [user, answer], ends)
    return CheckedTemplate(tokenizer, ends, _system_role(tokenizer, user, answer), lead)


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _render(tokenizer: Any, turns: Turns, generation_prompt: bool, prompt: Prompt | None = None) -> str:
    import jinja2

    try:
        text: str = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=generation_prompt
        )
    except (jinja2.TemplateError, TypeError, KeyError, ValueError) as error:
        roles = ", ".join(t["role"] for t in turns)
        which = f" prompt {prompt.id[:8]}," if prompt else ""
        mend = "fold the system text into the user turn, or " if "system" in roles else ""
        raise TemplateError(
            f"the chat template refuses{which} the turns {roles} ({error}): {mend}{GIVE} that takes them"
        ) from error
    return text


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def shared(left: list[int], right: list[int]) -> int:
    """How many first tokens two rows have in common."""
    for place, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return place
    return min(len(left), len(right))


def _check_turns(tokenizer: Any, turns: Turns) -> None:
    text = _render(tokenizer, turns, False)
    for turn in turns:
        if turn["content"] not in text:
            raise TemplateError(
                f"the chat template drops the {turn['role']} turn {turn['content']!r} of a conversation of "
                f"{len(turns)} turns: mend the template, or {GIVE}"
            )


def _check_bos(tokenizer: Any, turns: Turns) -> None:
    bos = tokenizer.bos_token_id
    if bos is None:
        return
    added = tokenizer("quagga")["input_ids"][:1] == [bos]
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


def _check_prefix(tokenizer: Any, turns: Turns, answer: dict[str, str]) -> None:
    before = _ids(tokenizer, _render(tokenizer, turns, True))
    whole = _ids(tokenizer, _render(tokenizer, [*turns, answer], False))
    place = shared(before, whole)
    if place < len(before):
        raise TemplateError(
            "the generation prompt is not a token prefix of the whole conversation (they part at token "
            f"{place}: {tokenizer.decode(before[place:])!r} against {tokenizer.decode(whole[place : place + 8])!r}): "
            f"training and sampling would see different prompts; {GIVE}"
        )


def _lead(tokenizer: Any, turns: Turns, answer: dict[str, str]) -> str:
    before = _render(tokenizer, turns, True)
    whole = _render(tokenizer, [*turns, answer], False)
    lead = whole[len(before) : whole.index(answer["content"], min(len(before), len(whole)))]
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
        found = tokenizer.decode(whole[-1:]) if whole else ""
        raise TemplateError(
            f"the assistant's turn ends in {found!r}, not in EOS ({names}): a model trained on this template "
            f"would silently never learn to stop; end the turn with {{{{ eos_token }}}}, or {GIVE}, or make "
            "that token the tokenizer's eos_token"
        )


def _system_role(tokenizer: Any, user: dict[str, str], answer: dict[str, str]) -> SystemRole:
    turns = [_turn("system", "quagga-zero"), user]
    try:
        texts = [_render(tokenizer, turns, True), _render(tokenizer, [*turns, answer], False)]
    except TemplateError:
        return "refused"
    return "kept" if all("quagga-zero" in text for text in texts) else "dropped"

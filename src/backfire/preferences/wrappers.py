"""Chats rendered as text: the marks by which such a text falls into turns again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from backfire.preferences.turns import Turn, role_of

NEARLY_ALL = 0.9
"""A column holds such texts when so many of its first values that are not blank do; single cells never decide."""


@dataclass(frozen=True)
class Wrapper:
    """One way of writing a chat as text."""

    name: str
    mark: re.Pattern[str]
    """What begins a turn; its group names the role."""
    ends: re.Pattern[str]
    """What may end a turn, and is no part of it."""
    opens: re.Pattern[str]
    """What may stand before the first turn, and says nothing."""
    preamble: bool = False
    """Whether other text before the first turn is a system turn; where it is not, there must be none. Such a text needs
    the assistant's mark, too, since headings of its own are not rare in prose."""

    def turns(self, text: str) -> list[Turn] | None:
        """The turns of a text, contents without surrounding blanks; None if it is not written so."""
        before, *pieces = self.mark.split(text)
        before = self.opens.sub("", before).strip()
        if not pieces or (before and not self.preamble):
            return None
        turns = [Turn("system", before)] if before else []
        for name, content in zip(pieces[::2], pieces[1::2], strict=True):
            role = _ROLE.get(name.lower()) or role_of(name.lower())
            utterance = self.ends.sub("", content).strip()
            if role == "input" and turns and turns[-1].role == "user":
                turns[-1] = turns[-1]._replace(
                    content="\n".join(p for p in (turns[-1].content, utterance) if p)
                )
            else:
                turns.append(Turn("user" if role == "input" else role, utterance))
        roles = {turn.role for turn in turns}
        return turns if "user" in roles and (not self.preamble or "assistant" in roles) else None


_ROLE = {
    "instruction": "user",
    "response": "assistant",
    "input": "input",
    "output": "assistant",
    "question": "user",
    "answer": "assistant",
    "chatbot": "assistant",
    "gpt4 correct user": "user",
    "gpt4 correct assistant": "assistant",
}
_NOTHING = re.compile(r"(?!)")
_BEGIN = re.compile(
    r"<s>|<bos>|<\|begin_of_text\|>|<\|startoftext\|>|<\|begin▁of▁sentence\|>|<｜begin▁of▁sentence｜>"
)
_TASK = re.compile(
    r"Below is an instruction that describes a task(?:, paired with an input that provides further context)?\."
    r" Write a response that appropriately completes the request\.|<s>"
)
_CLOSE = r"\s*(?:</s>|<eos>|<\|endoftext\|>|<\|end_of_text\|>)"

HH = "Human: and Assistant:"
_COLON_ENDS = re.compile(rf"(?:{_CLOSE})+\s*\Z")

_SPLIT: tuple[Wrapper, ...] = (
    Wrapper(
        "ChatML",
        re.compile(r"<\|im_start\|>\s*(\w+)[ \t]*\n?"),
        re.compile(rf"<\|im_end\|>|(?:{_CLOSE})+\s*\Z"),
        _BEGIN,
    ),
    Wrapper(
        "Llama 3 headers",
        re.compile(r"<\|start_header_id\|>\s*(\w+)\s*<\|end_header_id\|>"),
        re.compile(r"<\|eo[tm]_id\|>|<\|end_of_text\|>"),
        _BEGIN,
    ),
    Wrapper(
        "Llama 4 headers",
        re.compile(r"<\|header_start\|>\s*(\w+)\s*<\|header_end\|>"),
        re.compile(r"<\|eo[tm]\|>|<\|end_of_text\|>"),
        _BEGIN,
    ),
    Wrapper(
        "Gemma turns",
        re.compile(r"<start_of_turn>\s*(\w+)[ \t]*\n?"),
        re.compile(r"<end_of_turn>|<eos>"),
        _BEGIN,
    ),
    Wrapper(
        "Harmony messages",
        re.compile(r"<\|start\|>(\w+)(?:<\|channel\|>\w+)?<\|message\|>"),
        re.compile(r"<\|(?:end|return|call)\|>|<\|start\|>assistant\Z"),
        _BEGIN,
    ),
    Wrapper(
        "Command R turns",
        re.compile(r"<\|START_OF_TURN_TOKEN\|><\|(\w+?)_TOKEN\|>"),
        re.compile(r"<\|END_OF_TURN_TOKEN\|>"),
        re.compile(r"<BOS_TOKEN>"),
    ),
    Wrapper(
        "DeepSeek turns",
        re.compile(r"<｜(User|Assistant)｜>"),
        re.compile(r"<｜end▁of▁sentence｜>"),
        _BEGIN,
        preamble=True,
    ),
    Wrapper(
        "Zephyr turns",
        re.compile(r"<\|(system|user|assistant|prompter)\|>[ \t]*\n?"),
        re.compile(r"</s>|<eos>|<\|end\|>|<\|endoftext\|>"),
        _BEGIN,
    ),
    Wrapper(
        "NeMo turns",
        re.compile(
            r"(?:<extra_id_0>(?=[ \t]*System\b(?!\s*<extra_id_))|<extra_id_1>)[ \t]*(System|User|Assistant)\b[ \t]*\n?"
        ),
        re.compile(r"\A\s*<extra_id_2>[^\n]*|\s*<extra_id_1>\s*\Z"),
        re.compile(r"<extra_id_0>[ \t]*System\s*\Z"),
    ),
    Wrapper(
        "GPT4 Correct User:",
        re.compile(r"(?:\A|(?<=<\|end_of_turn\|>))\s*(GPT4 Correct User|GPT4 Correct Assistant):"),
        re.compile(r"<\|end_of_turn\|>"),
        _BEGIN,
    ),
    Wrapper(
        "### Instruction and ### Response",
        re.compile(
            r"(?im)^[ \t]*### ?(Instruction|Input|Response|Output|Human|User|Assistant|System|Question|Answer)s?[ \t]*:?[ \t]*(?:\n|(?<=:))"
        ),
        _COLON_ENDS,
        _TASK,
        preamble=True,
    ),
    Wrapper(
        HH,
        re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):"),
        _NOTHING,
        _NOTHING,
    ),
    Wrapper(
        "Human: and Assistant: on lines of their own",
        re.compile(r"(?:\A\s*|\n\s*?)(Human|Assistant|System|AI) ?:"),
        _COLON_ENDS,
        _BEGIN,
    ),
    Wrapper(
        "USER: and ASSISTANT:",
        re.compile(r"(?:\A|(?<=\s)|(?<=</s>))(USER|ASSISTANT|SYSTEM) ?:"),
        _COLON_ENDS,
        _BEGIN,
        preamble=True,
    ),
    Wrapper(
        "User: and Assistant:",
        re.compile(r"(?:\A\s*|\n\s*?)(User|Assistant|System|Bot|AI) ?:"),
        _COLON_ENDS,
        _BEGIN,
    ),
    Wrapper(
        "Human: and Assistant: in one line", re.compile(r"(?:\A|\s)(Human|Assistant):"), _COLON_ENDS, _BEGIN
    ),
)
_INST = re.compile(r"(?s)\s*(?:<s>)?\s*\[INST\](.*?)\[/INST\]((?:(?!\[INST\]).)*)")
_SYS = re.compile(r"(?s)\A\s*<<SYS>>(.*?)<</SYS>>(.*)\Z")
_SYSTEM_PROMPT = re.compile(r"(?s)\A\s*(?:<s>)?\s*\[SYSTEM_PROMPT\](.*?)\[/SYSTEM_PROMPT\](.*)\Z")
_INST_ENDS = re.compile(r"</s>|<s>")
INST = "[INST] marks"
WRAPPERS: tuple[str, ...] = (INST, *(wrapper.name for wrapper in _SPLIT))
_BY_NAME = {wrapper.name: wrapper for wrapper in _SPLIT}
_LONGEST_END = 200
_END = {
    name: re.compile(rf"(?:\s*(?:{ends.pattern}))+\s*\Z")
    for name, ends in ((INST, _INST_ENDS), *((wrapper.name, wrapper.ends) for wrapper in _SPLIT))
}
_ANY = re.compile(
    r"\[INST\]|<\||<start_of_turn>|<extra_id_|<｜|### ?\w|(?:\A|\s|>)(?:Human|Assistant|User|USER|ASSISTANT|GPT4 Correct User) ?:"
)


def turns_in(text: str, wrapper: str) -> list[Turn] | None:
    """The turns of a chat written with the marks of `wrapper`, one of WRAPPERS; None if the text is not written so."""
    return _instructed(text) if wrapper == INST else _BY_NAME[wrapper].turns(text)


def prompt_in(text: str, wrapper: str) -> list[Turn] | None:
    """`turns_in` of a prompt: a last turn of the assistant that says nothing is the place of the response, and no turn.
    HH's prompts end with it; others that begin so may have marks of another kind below."""
    turns = turns_in(text, wrapper)
    if turns and turns[-1] == Turn("assistant", ""):
        return turns[:-1]
    return None if wrapper == HH else turns


def _instructed(text: str) -> list[Turn] | None:
    """Llama 2's and Mistral's: [INST] (<<SYS>> system <</SYS>>) user [/INST] assistant </s>."""
    turns: list[Turn] = []
    if opening := _SYSTEM_PROMPT.match(text):
        turns.append(Turn("system", opening[1].strip()))
        text = opening[2]
    at = 0
    while match := _INST.match(text, at):
        question, answered = match[1], _INST_ENDS.sub("", match[2]).strip()
        if system := _SYS.match(question):
            turns += [Turn("system", system[1].strip())] if system[1].strip() else []
            question = system[2]
        turns += [Turn("user", question.strip())] + ([Turn("assistant", answered)] if answered else [])
        at = match.end()
    return turns if at and not text[at:].strip() else None


def without_end(text: str, wrapper: str) -> str:
    """A response without the marks that end a turn of `wrapper`, where it ends with such."""
    end = _END[wrapper].search(text, max(0, len(text) - _LONGEST_END))
    return text[: end.start()] if end and end.start() else text


def end_turns(texts: Iterable[str], wrapper: str) -> bool:
    """Whether nearly all texts that are not blank end with marks that end a turn of `wrapper`."""
    filled = [text for text in texts if text.strip()]
    return bool(filled) and sum(without_end(text, wrapper) != text for text in filled) >= NEARLY_ALL * len(
        filled
    )


def unwrapped(text: str) -> list[Turn] | None:
    """The turns of a prompt in whichever wrapper fits it first; None for a text in none."""
    if not _ANY.search(text):
        return None
    return next((turns for name in WRAPPERS if (turns := prompt_in(text, name)) is not None), None)


def wrapper_of(texts: Iterable[str], *, answered: bool, share: float = NEARLY_ALL) -> str | None:
    """The wrapper that nearly all texts that are not blank are written in, or that share of them; None if there is none.

    answered: whether they must end with what the assistant says (sides), or must not (prompts).
    """
    filled = [text for text in texts if text.strip()]
    if not filled or not any(_ANY.search(text) for text in filled[:50]):
        return None
    for name in WRAPPERS:
        hits = 0
        for number, text in enumerate(filled, 1):
            turns = turns_in(text, name) if answered else prompt_in(text, name)
            hits += turns is not None and (turns[-1].role == "assistant") == answered
            if number - hits > (1 - share) * len(filled):
                break
        else:
            return name
    return None

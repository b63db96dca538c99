"""What a response thinks before it answers: what is judged is what follows the thoughts.

Forms that are read, wherever they stand in a response:

- blocks: `<think>`, `<thinking>`, `<thought>` (with a prefix such as `<seed:think>`), `[THINK]`, `<|begin_of_thought|>`,
  `<|START_THINKING|>`, `<|channel>thought`, `◁think▷`, each with its closing mark, in upper or lower case;
- a closing mark without an opening one, for many templates put the opening mark into the prompt;
- harmony's channels (gpt-oss), with their special tokens or as they look once a tokenizer has dropped them
  (`analysis...assistantfinal...`);
- blocks of weaker names (`<reasoning>`, `<analysis>`, `<scratchpad>`, ...), where one leads the response and is closed;
- Ollama's `Thinking...` up to `...done thinking.`, and a response that is headed `Thinking:`, `Thought:` or the like: up to a
  heading such as `Answer:`, or else its first paragraph where others follow;
- what the policy's own chat template declares (`declared.py`).

A mark between backticks or quotation marks is spoken of, and is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

READING = 1
"""Raised when the same text could be read as another answer. Stored verdicts on responses with thoughts hang on it."""
ENDS_INSIDE = "the response ends inside its thoughts"
NOTHING_FOLLOWS = "nothing follows the thoughts"

_NAME = r"(?:think|thinking|thoughts?)"
_OPEN = (
    rf"<(?:\w{{1,20}}:)?{_NAME}>|\[THINK(?:ING)?\]|<\|(?:(?:begin|start)_(?:of_)?)?{_NAME}\|>|◁{_NAME}▷"
    r"|<\|channel>(?:thought|analysis)\b"
)
_CLOSE = (
    rf"</(?:\w{{1,20}}:)?{_NAME}>|\[/THINK(?:ING)?\]|<\|(?:/|end_(?:of_)?){_NAME}\|>|◁/{_NAME}▷|<channel\|>"
)
_MARK = re.compile(rf"(?<![`'\"])(?:(?P<open>{_OPEN})|(?P<close>{_CLOSE}))", re.IGNORECASE)
OPENS_AT_END = re.compile(rf"(?:{_OPEN})\s*\Z", re.IGNORECASE)
"""A generation prompt that ends so has opened the thoughts for the model."""
_WEAK_NAMES = "reasoning|rationale|reflection|scratchpad|analysis|inner_monologue|inner_thoughts"
_WEAK = re.compile(
    rf"\A\s*<(?P<name>{_WEAK_NAMES})>(?P<thoughts>.*?)</(?P=name)>(?P<answer>.*)\Z", re.I | re.S
)
_OLLAMA = re.compile(
    r"\A\s*Thinking\.\.\.\n(?P<thoughts>.*?)(?:\n\.\.\.done thinking\.(?P<answer>.*))?\Z", re.S
)
_HEADED = re.compile(
    r"\A[#*_\s]{0,6}(?:Thinking(?: process)?|Thought process|Thoughts?"
    r"|Internal monologue)[*_]{0,3}(?P<colon>:)?[*_]{0,3}(?P<rest>[ \n].*)\Z",
    re.I | re.S,
)
_ANSWER_HEADING = re.compile(
    r"^[#*_ ]{0,6}(?:Final answer|Answer|Final response|Response|Reply)[*_]{0,3}(?::[*_]{0,3}|$)", re.I | re.M
)
_WRAPPED = re.compile(
    r"\A\s*(?:<(?P<tag>answer|final_answer|response|solution|output)>|<\|begin_of_solution\|>|<\|START_RESPONSE\|>)"
    r"(?P<answer>.*?)(?:</(?:answer|final_answer|response|solution|output)>|<\|end_of_solution\|>|<\|END_RESPONSE\|>)?\s*\Z",
    re.I | re.S,
)
_HEADER = re.compile(r"(?:\s|<\|[\w]{1,30}\|>|assistant\b)*\Z")
"""What may stand before a leading block: remains of the turn's header."""

_CHANNEL = re.compile(
    r"<\|channel\|>(?P<name>\w+)(?P<to>[^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<said>.*?)(?P<end>(?=<\|(?:end|start|return|call|channel)\|>)|\Z)",
    re.S,
)
_BARE_START = re.compile(r"\A\s*(?P<name>analysis|commentary|final)(?=[A-Z\"'“(*])")
_BARE_NEXT = re.compile(r"assistant(?P<name>analysis|commentary|final)(?![a-z])")
_BARE_LOOSE = re.compile(r"\A\s*(?P<name>analysis)\b(?=.*assistantfinal(?![a-z]))", re.S)

_MAYBE = (
    r"<(?i:[/|]{0,2}(?:[a-z0-9]{1,20}[:_]){0,4}" + _NAME + r"\|?>|\|?channel\|?>|/(?:" + _WEAK_NAMES + r")>)",
    r"\[(?i:/?THINK)",
    r"◁(?i:/?think|/?thought)",
    r"\A\s*(?:analysis|commentary|final|Thinking\.\.\.)",
    r"\A[#*_\s]{0,6}(?i:Thinking|Thought|Internal monologue)",
)
"""In RE2's words, each quick because it begins with one character or at the beginning: texts that match none hold no
thoughts. They find a little more than `answer_of` then reads."""
_MAYBE_HERE = tuple(re.compile(pattern, re.ASCII) for pattern in _MAYBE)


@dataclass(frozen=True)
class AnswerAndThoughts:
    """A response, taken apart."""

    answer: str
    """What is judged: the text as it is where it holds no thoughts, else what follows them, without white space at its ends."""
    thoughts: str = ""
    reason: str = ""
    """Why nothing can be judged: `ENDS_INSIDE` or `NOTHING_FOLLOWS`; empty where there is an answer."""
    thinks: bool = False
    """Whether there was a mark of thoughts, though there may be nothing between it and the next."""


@dataclass(frozen=True)
class Marks:
    """How a chat template marks the thoughts of an assistant's turn."""

    opening: str
    closing: str
    prompted: bool = False
    """Whether the generation prompt ends with the opening mark, so that every response begins inside its thoughts."""

    @property
    def known(self) -> bool:
        """Whether `answer_of` reads every response of such a template rightly without being told."""
        both = (self.opening.strip(), self.closing.strip())
        return not self.prompted and all(not mark or _MARK.fullmatch(mark) for mark in both)

    def spelt_out(self, text: str) -> str:
        """The text with these marks as `<think>` and `</think>`; with the opening mark that stood in the prompt."""
        opening, closing = self.opening.strip(), self.closing.strip()
        spelt = text
        if opening and not _MARK.fullmatch(opening):
            spelt = spelt.replace(opening, "<think>")
        if closing and not _MARK.fullmatch(closing):
            spelt = spelt.replace(closing, "</think>")
        if self.prompted and not _MARK.match(spelt.lstrip()):
            spelt = f"<think>\n{spelt}"
        return spelt


def answer_of(text: str) -> AnswerAndThoughts:
    """Part a response's thoughts from its answer."""
    if not any(pattern.search(text) for pattern in _MAYBE_HERE):
        return AnswerAndThoughts(text)
    for form in (_channels, _bare_channels, _blocks, _weak, _ollama, _headed):
        parts = form(text)
        if parts is not None:
            return parts
    return AnswerAndThoughts(text)


@dataclass(frozen=True)
class Answers:
    """Responses, taken apart."""

    answers: pa.Array
    """large_string [texts]: what `answer_of` gives as the answer; a null is an empty text."""
    thinks: NDArray[np.bool_]
    """[texts]: which held marks of thoughts."""
    reasons: dict[int, str]
    """Why nothing can be judged, by the place of the text; of those only."""


def answers(texts: pa.Array) -> Answers:
    """`answer_of` of each of these Arrow strings; one quick pass passes by texts that hold no mark."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = texts.cast(pa.large_string()).fill_null("")
    each = [pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False) for pattern in _MAYBE]
    maybe = np.flatnonzero(np.logical_or.reduce(each))
    thinks, reasons = np.zeros(len(texts), dtype=bool), dict[int, str]()
    if not len(maybe):
        return Answers(texts, thinks, reasons)
    read = [answer_of(text) for text in whole_texts(texts.take(pa.array(maybe)))]
    for place, one in zip(maybe.tolist(), read, strict=True):
        thinks[place] = one.thinks
        if one.reason:
            reasons[place] = one.reason
    if not thinks.any():
        return Answers(texts, thinks, reasons)
    new = pa.array([one.answer for one in read if one.thinks], pa.large_string())
    return Answers(pc.replace_with_mask(texts, pa.array(thinks), new), thinks, reasons)


def whole_texts(texts: pa.Array) -> list[str]:
    """Arrow strings as Python's; bytes that are no UTF-8 become U+FFFD."""
    import pyarrow as pa

    return [bytes_.decode("utf-8", "replace") for bytes_ in texts.cast(pa.large_binary()).to_pylist()]


def _blocks(text: str) -> AnswerAndThoughts | None:
    """Thoughts between marks; those before a closing mark that none opened; those after one that none closes."""
    answer: list[str] = []
    thoughts: list[str] = []
    at, inside, marked = 0, False, False
    marks = list(_MARK.finditer(text))
    last_close = max((mark.start() for mark in marks if mark["close"]), default=-1)
    for mark in marks:
        if mark["close"]:
            thoughts.append(text[at : mark.start()])
            if not inside:  # nothing opened it: all that came before was thought
                thoughts[:0] = answer
                answer = []
            at, inside, marked = mark.end(), False, True
        elif not inside and (mark.start() < last_close or _leads(text[at : mark.start()])):
            answer.append(text[at : mark.start()])
            at, inside, marked = mark.end(), True, True
    if not marked:
        return None
    if inside:
        return _parted("", [*thoughts, text[at:]], ENDS_INSIDE)
    return _parted("".join([*_without_header(answer), text[at:]]), thoughts)


def _leads(before: str) -> bool:
    """Whether a mark behind this text begins a line or the response; one that does not, and is never closed, is spoken of."""
    return not before.rpartition("\n")[2].strip() or _HEADER.fullmatch(before) is not None


def _without_header(answer: list[str]) -> list[str]:
    return answer[1:] if answer and _HEADER.fullmatch(answer[0]) else answer


def _channels(text: str) -> AnswerAndThoughts | None:
    """Harmony: the final channel is the answer, and so is commentary that calls no tool."""
    parts = list(_CHANNEL.finditer(text))
    if not parts:
        return None
    finals = [p["said"] for p in parts if p["name"] == "final"]
    spoken = [p["said"] for p in parts if p["name"] == "commentary" and not p["to"].strip()]
    thoughts = [p["said"] for p in parts if p["name"] not in ("final", "commentary")]
    if not finals and not spoken and parts[-1]["name"] not in ("final", "commentary"):
        ended = text[parts[-1].end() :].strip()
        return _parted("", thoughts, NOTHING_FOLLOWS if ended else ENDS_INSIDE)
    return _parted("".join(finals or spoken), thoughts)


def _bare_channels(text: str) -> AnswerAndThoughts | None:
    """Harmony without its special tokens."""
    first = _BARE_START.match(text) or _BARE_LOOSE.match(text)
    if first is None:
        return None
    heads = [first, *_BARE_NEXT.finditer(text, first.end())]
    ends = [head.start() for head in heads[1:]] + [len(text)]
    parts = [(head["name"], text[head.end() : end]) for head, end in zip(heads, ends, strict=True)]
    thoughts = [what for name, what in parts if name == "analysis"]
    finals = [what for name, what in parts if name == "final"]
    if not finals and first["name"] == "commentary":
        return None
    if not finals:
        return _parted("", thoughts, ENDS_INSIDE)
    return _parted("".join(finals), thoughts)


def _weak(text: str) -> AnswerAndThoughts | None:
    match = _WEAK.match(text)
    if match is None or not match["answer"].strip():
        return None
    return _parted(match["answer"], [match["thoughts"]])


def _ollama(text: str) -> AnswerAndThoughts | None:
    match = _OLLAMA.match(text)
    if match is None:
        return None
    if match["answer"] is None:
        return _parted("", [match["thoughts"]], ENDS_INSIDE)
    return _parted(match["answer"], [match["thoughts"]])


def _headed(text: str) -> AnswerAndThoughts | None:
    match = _HEADED.match(text)
    if match is None:
        return None
    rest = match["rest"]
    answer = _ANSWER_HEADING.search(rest)
    if answer is not None:
        return _parted(rest[answer.end() :], [rest[: answer.start()]])
    first, gap, others = rest.lstrip().partition("\n\n")
    if not match["colon"] or not gap or not others.strip():
        return None
    return _parted(others, [first])


def _parted(answer: str, thoughts: list[str], reason: str = "") -> AnswerAndThoughts:
    wrapped = _WRAPPED.match(answer)
    answer = (wrapped["answer"] if wrapped else answer).strip()
    thought = "\n".join(part.strip() for part in thoughts if part.strip())
    if not answer and not reason:
        reason = NOTHING_FOLLOWS
    return AnswerAndThoughts(answer, thought, reason, True)

"""The two ways in which arXiv 2504.02193 asks: the request as it is, and in Alpaca's template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from backfire.errors import InputError
from backfire.records import Message, Prompt

Wrapper = Callable[[Prompt], Prompt]

ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)
"""The prompt without input of Stanford Alpaca (Taori et al. 2023, github.com/tatsu-lab/stanford_alpaca, Apache-2.0)."""


def with_last_turn(prompt: Prompt, text: str, **tags: str) -> Prompt:
    """The prompt with another text in its last turn; earlier turns, kind and tags stay, and `tags` are added."""
    turns = prompt.as_messages()
    turns[-1] = {**turns[-1], "content": text}
    return Prompt.of_messages(turns, kind=prompt.kind, tags={**prompt.tags, **tags})


def with_system(prompt: Prompt, system: str | None) -> Prompt:
    """The prompt after this system turn; as it is where there is none to add.

    Raises:
        InputError: the prompt has a system turn of its own.
    """
    if system is None:
        return prompt
    if prompt.messages[0].role == "system":
        raise InputError(
            f"a prompt has a system turn of its own ({prompt.messages[0].content!r:.60}): leave the system prompt out, or "
            "take its own from the data"
        )
    return Prompt((Message("system", system), *prompt.messages), prompt.kind, prompt.tags)


def direct(prompt: Prompt) -> Prompt:
    """The request as it is."""
    return prompt


def alpaca(prompt: Prompt) -> Prompt:
    """The last turn in Alpaca's template; the tag `wrapper` says so."""
    return with_last_turn(prompt, ALPACA.format(instruction=prompt.text), wrapper="alpaca")


WRAPPERS: Mapping[str, Wrapper] = {"direct": direct, "alpaca": alpaca}


def wrap(prompts: Iterable[Prompt], wrapper: str) -> list[Prompt]:
    """Put every prompt in the wrapper of this name; InputError lists the names there are."""
    if wrapper not in WRAPPERS:
        raise InputError(f"there is no wrapper {wrapper!r}: choose one of {', '.join(WRAPPERS)}")
    return [WRAPPERS[wrapper](prompt) for prompt in prompts]

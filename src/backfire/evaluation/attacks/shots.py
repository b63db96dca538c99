"""Examples of compliance before the request, from the user's file: none come with backfire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backfire.errors import InputError
from backfire.evaluation.attacks.wrappers import with_last_turn
from backfire.records import Message, Prompt, digest
from backfire.tables import check_decodable, read_table
from backfire.tables.columns import by_name


@dataclass(frozen=True)
class Shots:
    """Pairs of request and answer, in a file's order."""

    pairs: tuple[tuple[str, str], ...]
    path: str

    @property
    def digest(self) -> str:
        """Of the pairs, whatever the file is called."""
        return digest("shots", self.pairs)

    def before(self, request: Prompt, n: int) -> Sequence[tuple[str, str]]:
        """The first n whose request is not the one that is asked; InputError where there are fewer."""
        others = [pair for pair in self.pairs if pair[0].strip() != request.text.strip()]
        if len(others) < n:
            raise InputError(
                f"{Path(self.path).name} holds {len(others)} examples beside the request itself and {n} are asked for: "
                "add rows, or lower n"
            )
        return others[:n]


def read_shots(path: str | Path) -> Shots:
    """Examples from a table file with the columns `prompt` and `response`.

    Raises:
        InputError: a column is missing, a cell is blank or holds half a character, or there are no rows.
    """
    pairs = []
    read = read_table(path)
    names = by_name(read.columns)
    for number, row in read.numbered():
        prompt, response = row.get(names.get("prompt", "")), row.get(names.get("response", ""))
        if not (
            isinstance(prompt, str) and prompt.strip() and isinstance(response, str) and response.strip()
        ):
            raise InputError(
                f"row {number} of {path} lacks a text in `prompt` or `response`: an example needs both; "
                f"its columns are {', '.join(row)}"
            )
        check_decodable(number, path, prompt=prompt, response=response)
        pairs.append((prompt, response))
    if not pairs:
        raise InputError(f"{path} holds no examples: give rows with `prompt` and `response`")
    return Shots(tuple(pairs), str(path))


def few_shot(prompt: Prompt, shots: Shots, n: int) -> Prompt:
    """n examples as earlier turns, after a system turn where there is one."""
    system = [m for m in prompt.messages if m.role == "system"]
    rest = [m for m in prompt.messages if m.role != "system"]
    turns = [
        Message(role, text)
        for pair in shots.before(prompt, n)
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    return Prompt((*system, *turns, *rest), prompt.kind, prompt.tags)


def many_shot(prompt: Prompt, shots: Shots, n: int) -> Prompt:
    """n examples as a written dialogue inside the user's one turn, which ends where an answer is due."""
    dialogues = [f"User: {question}\nAssistant: {answer}" for question, answer in shots.before(prompt, n)]
    return with_last_turn(prompt, "\n\n".join([*dialogues, f"User: {prompt.text}\nAssistant:"]))

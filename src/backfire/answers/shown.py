"""Single pairs as tokens: what `show` puts on the terminal and on its page."""

from __future__ import annotations

from backfire.answers.as_trained import AsTrained
from backfire.answers.estimates import Count, Part

TEMPLATE = "template"
"""The role of tokens that the chat template writes by itself."""


class Piece(Part):
    """One token, or a few that make up characters only together."""

    text: str
    ids: tuple[int, ...]
    role: str
    """Whose words it belongs to, such as `user`; `template` where it is nobody's."""
    special: bool
    """A special token of the tokenizer, such as the end token."""


class Stretch(Part):
    """The prompt, or one side."""

    name: str
    """`prompt`, `chosen` or `rejected`."""
    trained: bool
    """Whether its tokens carry the loss."""
    pieces: tuple[Piece, ...]
    tokens: Count
    lost: Count = 0
    """Tokens beyond `max_length`."""


class ShownPair(Part):
    """One pair as it is trained on."""

    row: Count
    stretches: tuple[Stretch, ...]
    happened: tuple[str, ...]
    """Names of what happened to it, as in `AsTrained.happened`."""
    fault: str | None = None
    """What the template refuses or loses."""


class Shown(Part):
    """What `show` answers."""

    dataset: str
    format: str
    rows: Count
    pairs: Count
    defects: dict[str, int]
    """Rows that give no pair, by what is wrong with them."""
    as_trained: AsTrained
    shown: tuple[ShownPair, ...]
    without_pair: dict[int, str]
    """Rows that were asked for and give no pair, and why."""

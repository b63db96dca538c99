"""Every error that a user can cause. Each message names the value and the fix."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Environment variables whose values a hub may give back in an error; no message shows them."""
SHORTEST = 8
"""Characters from which on such a value is taken for a secret."""


def without_tokens(text: str) -> str:
    """The text with the hub's tokens replaced by ***."""
    values = {os.environ.get(name, "").strip() for name in TOKENS}
    secrets = sorted((re.escape(value) for value in values if len(value) >= SHORTEST), key=len, reverse=True)
    return re.sub("|".join(secrets), "***", text) if secrets else text


MOST = 2_000
"""Characters of a message. What is named in it may be a value of a hundred thousand characters."""
END = 600
"""Of a longer one, those at its end, where the fix stands."""


def shortened(text: str) -> str:
    """A text of at most MOST characters or a few more, with what was left out counted in its middle."""
    if len(text) <= MOST:
        return text
    return f"{text[: MOST - END]} [{len(text) - MOST:,} characters more] {text[-END:]}"


_MARKED = re.compile("\x00(\\w+)\x00")


def setting(name: str) -> str:
    """The name of a setting inside a message: `label_column` in Python, `--label-column` on the command line."""
    return f"\x00{name}\x00"


class BackfireError(Exception):
    """Root of the tree; the command line prints it without a traceback and exits with 2.

    No message holds a hub's token, and none is endless.
    """

    def __init__(self, *parts: object) -> None:
        self._marked = tuple(
            shortened(without_tokens(part)) if isinstance(part, str) else part for part in parts
        )
        super().__init__(
            *(_MARKED.sub(r"\1", part) if isinstance(part, str) else part for part in self._marked)
        )

    @property
    def marked(self) -> str:
        """The message with its marks of settings, for the message of another error."""
        return " ".join(map(str, self._marked))

    def spelled(self, spelling: Callable[[str], str]) -> str:
        """The message with each setting that it names spelled as the surface has it."""
        return _MARKED.sub(lambda match: spelling(match[1]), self.marked)


class InputError(BackfireError):
    """A file, a column, an option or a value that cannot be used as it is."""


class DivergedError(InputError):
    """A training whose loss, rewards, KL or weights are no finite numbers any more."""

    def __init__(self, *parts: object, step: int, value: float | None = None) -> None:
        super().__init__(*parts)
        self.step = step
        """The optimizer steps that were done when it was seen."""
        self.value = value
        """The loss, reward or KL; None where it was the weights that were not finite."""


class DiskError(BackfireError):
    """A file that the disk does not take: it is full, has a quota or a limit, or fails."""


class ModelError(BackfireError):
    """A model reference that cannot be opened."""


class TemplateError(ModelError):
    """A chat template that would corrupt training or sampling."""


class EndpointError(ModelError):
    """An OpenAI-compatible server that did not give a usable reply."""


class RefusedError(EndpointError):
    """A request that the server answered by refusing it; others may pass."""


class StudyError(BackfireError):
    """A study file, or a run folder, that does not fit what is asked of it."""

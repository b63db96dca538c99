"""What a part of an answer says when it failed, so that the rest of the answer can stand."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from backfire.errors import BackfireError, ModelError, without_tokens

MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "Cannot allocate memory")
"""What torch and numpy say where a machine has no memory left."""


@contextmanager
def named(what: str) -> Iterator[None]:
    """Around what transformers, tokenizers, safetensors or peft make of somebody's files: whatever these make them raise is a
    ModelError that begins with `what`.

    A panic of the libraries that are written in Rust is no Exception to Python, and is caught
    by its name.
    """
    try:
        yield
    except BackfireError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if memory := failure_of(error):
            raise ModelError(f"{what}: {memory}") from error
        lines = without_tokens(str(error)).strip().splitlines()
        reason = lines[0][:300] if lines else ""
        name = "" if isinstance(error, OSError | ValueError | RuntimeError) else f"{type(error).__name__}: "
        raise ModelError(f"{what} ({name}{reason})" if name or reason else what) from error


@contextmanager
def standing(failed: MutableMapping[str, str], part: str) -> Iterator[None]:
    """Around one part of an answer: what a user can cause, or want of memory, becomes the part's reason in `failed`.

    Anything else is a defect of the program and passes.
    """
    try:
        yield
    except (BackfireError, MemoryError, RuntimeError, OSError) as error:
        reason = failure_of(error)
        if reason is None:
            raise
        failed[part] = reason


def failure_of(error: BaseException) -> str | None:
    """The reason in words; None for a defect of the program."""
    if isinstance(error, BackfireError):
        return str(error)
    text = " ".join(without_tokens(str(error)).split())
    if isinstance(error, MemoryError) or any(words.lower() in text.lower() for words in MEMORY):
        return (
            f"memory ran out ({text[:200] or type(error).__name__}): read fewer pairs (policy_pairs), train fewer "
            "parameters (parameters lora), or take a machine with more"
        )
    return None

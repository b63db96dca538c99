"""Chat templates come with a checkpoint from somebody else: they are rendered within a time and a memory of ours."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from backfire.errors import TemplateError
from backfire.models.losses import GIVE

SECONDS = 10.0
"""What AT_ONCE conversations may take: a thousand times what published templates take."""
AT_ONCE = 64
"""Conversations that are rendered under one limit."""
MEMORY = 2**30
"""Bytes that the process may grow by while a template is rendered, where the system can hold it to that (Linux)."""
DIGITS = 20
"""The most decimal places that a template may round to: rounding computes a power."""
ROUNDED = f"rounds to other than at most {DIGITS} decimal places, which may take hours"
GRACE = 0.5
"""Seconds after which a template that goes on all the same is interrupted again."""


class EndlessTemplateError(TemplateError):
    """A chat template that takes more time or memory than any that is published."""


class TooLong(BaseException):
    """A template that does not end. It is no Exception, so that nothing that a template calls catches it."""


def apply_template(tokenizer: Any, conversations: Sequence[Any], **options: Any) -> list[str]:
    """The texts that the tokenizer's chat template makes of conversations; `options` go to `apply_chat_template`.

    Raises:
        jinja2.TemplateError: the template refuses them, whatever it raised.
        EndlessTemplateError: it goes beyond the limits of time or memory, or computes a power.
    """
    import jinja2

    texts: list[str] = []
    try:
        for start in range(0, len(conversations), AT_ONCE):
            some = list(conversations[start : start + AT_ONCE])
            with _memory(MEMORY), _watch.within(SECONDS):
                if isinstance(tokenizer.chat_template, str):
                    _check_steps(tokenizer.chat_template)
                texts += tokenizer.apply_chat_template(some, tokenize=False, **options)
    except (jinja2.TemplateError, EndlessTemplateError):
        raise
    except TooLong:
        raise _endless(f"does not end within {SECONDS:.0f} seconds") from None
    except MemoryError:
        raise _endless(f"takes more than {MEMORY / 2**30:.0f} GB of memory") from None
    except RecursionError:
        raise _endless("is nested too deeply, or calls itself without an end") from None
    except (
        Exception
    ) as error:  # a template can call methods of texts, numbers and lists, which raise what they raise
        raise jinja2.TemplateError(str(error) or type(error).__name__) from error
    return texts


def _endless(what: str) -> EndlessTemplateError:
    return EndlessTemplateError(f"the chat template {what}: fix the template, or {GIVE}")


@lru_cache(16)
def _check_steps(template: str) -> None:
    """Raise EndlessTemplateError for a template that asks for one step of arithmetic without an end, which nothing interrupts.

    A template that does not parse is left to transformers, which says where. Rounding computes a power of ten: that is looked
    at here, since constants are computed when a template is compiled, and bounded in what is compiled.
    """
    import jinja2
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from transformers.utils import chat_template_utils

    class Generation(Extension):
        """The mark that transformers adds to the language."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    try:
        tree = jinja2.Environment(extensions=[loopcontrols, Generation]).parse(template)
    except jinja2.TemplateError:
        return
    if next(tree.find_all(nodes.Pow), None) is not None:
        raise _endless("computes a power, which may take hours")
    for used in tree.find_all(nodes.Filter):
        places = [*used.args, *(keyword.value for keyword in used.kwargs)]
        if used.name == "round" and not all(_few_places(one) for one in places):
            raise _endless(ROUNDED)
    filters = chat_template_utils._compile_jinja_template(template).environment.filters
    rounded = filters["round"]

    def bounded(value: Any, precision: int = 0, method: Any = "common") -> Any:
        if abs(precision) > DIGITS:
            raise _endless(ROUNDED)
        return rounded(value, precision, method)

    filters["round"] = bounded


def _few_places(argument: Any) -> bool:
    """Whether an argument of `round` is a word, or a number of decimal places that takes no time."""
    value = getattr(argument, "value", None)
    return isinstance(value, str) or (isinstance(value, int) and abs(value) <= DIGITS)


class _Watch:
    """One thread that interrupts the threads whose time is over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ends: dict[int, float] = {}
        self._process = 0

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Raise TooLong in this thread where what is inside takes longer."""
        thread = threading.get_ident()
        with self._changed:
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._interrupt, name="template-limits", daemon=True).start()
            self._ends[thread] = time.monotonic() + seconds
            self._changed.notify()
        try:
            yield
        finally:
            while True:
                try:
                    self._leave(thread)
                    break
                except TooLong:
                    continue

    def _leave(self, thread: int) -> None:
        """End the watch over a thread. Raise an interruption that came at the last moment, so that it does not outlive the watch.

        It is waited for and not taken back: taking one back leaves Python 3.11's mark that there is one, and a function that is
        traced, by a debugger or a measurement of coverage, then never begins.
        """
        with self._changed:
            self._ends.pop(thread, None)
        for _ in range(100):  # Python raises what is on its way at the end of a round
            pass

    def _interrupt(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                for thread, end in self._ends.items():
                    if now >= end:
                        self._ends[thread] = now + GRACE
                        raised = ctypes.py_object(TooLong)
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
                first = min(self._ends.values(), default=None)
                self._changed.wait(None if first is None else max(0.05, first - time.monotonic()))


_watch = _Watch()


@contextmanager
def _memory(growth: int) -> Iterator[None]:
    """Have allocations fail that would let this process grow by more; nothing where the system does not count that."""
    before = None
    with suppress(ImportError, OSError, ValueError, IndexError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + growth
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        if (soft == resource.RLIM_INFINITY or most < soft) and (
            hard == resource.RLIM_INFINITY or most < hard
        ):
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
            before = (soft, hard)
    try:
        yield
    finally:
        if before is not None:
            resource.setrlimit(resource.RLIMIT_AS, before)

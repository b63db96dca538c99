"""Published prompt sets by name: where each comes from, under which licence, and what it must hold. None is shipped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import yaml

from backfire.errors import InputError, setting
from backfire.records import Kind, Prompt, digest
from backfire.tables import read_rows

FOLDER = "BACKFIRE_PROMPTS"
"""The environment variable that names a folder of files fetched beforehand, for machines without a network."""
LARGEST = 20_000_000
"""Bytes that are fetched at most."""
SECONDS = 60


@dataclass(frozen=True)
class PromptSet:
    """A published set, or a part of one."""

    name: str
    about: str
    url: str
    files: tuple[str, ...]
    """Names under which its file may lie in a folder; the first is upstream's."""
    column: str
    kind: Kind
    rows: int
    digest: str
    """Of the prompts' texts in their order: the pinned revision by content, whatever the file's other columns say."""
    licence: str
    source: str
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Columns and the values that belong to this part."""
    context: str | None = None
    """The column of a text that stands before the request."""

    def prompts_in(self, path: Path) -> list[Prompt]:
        """The set's prompts, read from its file.

        Raises:
            InputError: a file that holds something else than the pinned prompts.
        """
        rows = [
            row for row in read_rows(path) if all(str(row.get(c)) in set(v) for c, v in self.where.items())
        ]
        lacking = [
            c for c in (self.column, self.context) if c is not None and any(c not in row for row in rows)
        ]
        if lacking or not rows:
            what = f"no column {lacking[0]!r}" if lacking else "no row of this set"
            raise InputError(f"{path} is not the file of {self.name}: it has {what}; fetch {self.url}")
        texts = [self._text(row) for row in rows]
        if content_digest(texts) != self.digest:
            raise InputError(
                f"{path} holds {len(texts)} prompts that are not the {self.rows} of {self.name} as they are pinned: fetch "
                f"{self.url}, or give the file itself as PROMPTS (with {setting('column')} {self.column}) to use it as it is"
            )
        tags = {"set": self.name, "source": self.source}
        return [
            Prompt.of(text, kind=self.kind, tags={**tags, "row": str(n)}) for n, text in enumerate(texts, 1)
        ]

    def _text(self, row: Mapping[str, object]) -> str:
        text = str(row[self.column]).strip()
        before = str(row[self.context] or "").strip() if self.context else ""
        return f"{before}\n\n---\n\n{text}" if before else text


def content_digest(texts: Sequence[str]) -> str:
    """The digest that pins a set."""
    return digest("prompt set", list(texts))


@cache
def prompt_sets() -> Mapping[str, PromptSet]:
    """The published sets by name."""
    text = files("backfire.prompts").joinpath("prompt_sets.yaml").read_text(encoding="utf-8")
    return {
        name: PromptSet(name=name, **{**given, "files": tuple(given["files"])})
        for name, given in yaml.safe_load(text).items()
    }


def is_prompt_set(reference: str) -> bool:
    """Whether the reference names a published set, such as `advbench` or `advbench:100`, and no file."""
    return reference.partition(":")[0] in prompt_sets() and not Path(reference).is_file()


def open_prompt_set(reference: str, *, folder: str | Path | None = None) -> list[Prompt]:
    """The prompts of a published set by name; `NAME:N` are its first N.

    The set's file is looked for in `folder` (else in the folder that BACKFIRE_PROMPTS names), then among what was fetched
    before, and fetched from its publisher otherwise. Whatever the way, its prompts must be the pinned ones.

    Raises:
        InputError: no such set, more prompts wanted than there are, no file and no network (with the address and where
            to put the file), or a file that holds something else.
    """
    name, _, first = reference.partition(":")
    if name not in prompt_sets():
        raise InputError(
            f"there is no prompt set {name!r}: give a file, or one of {', '.join(prompt_sets())}"
        )
    chosen = prompt_sets()[name]
    prompts = chosen.prompts_in(_file_of(chosen, folder))
    if not first:
        return prompts
    if not first.isdecimal() or not 0 < int(first) <= len(prompts):
        raise InputError(
            f"{reference}: {name} has {len(prompts)} prompts; write {name}:N with N from 1 to {len(prompts)}"
        )
    return prompts[: int(first)]


def find_file(chosen: PromptSet, folder: str | Path | None = None) -> Path | None:
    """Where the set's file lies already; None where it would have to be fetched."""
    named = folder if folder is not None else os.environ.get(FOLDER)
    if named is not None:
        for name in chosen.files:
            if (path := Path(named) / name).is_file():
                return path
    path = _cache() / chosen.files[0]
    return path if path.is_file() else None


def _file_of(chosen: PromptSet, folder: str | Path | None) -> Path:
    file = find_file(chosen, folder)
    if file is not None:
        return file
    if folder is not None and not Path(folder).is_dir():
        raise InputError(f"{setting('prompts_dir')} {folder} is no folder")
    return fetch(chosen, _cache() / chosen.files[0])


def fetch(chosen: PromptSet, path: Path) -> Path:
    """Fetch the set's file from its publisher to `path`, and check that it holds the pinned prompts.

    Raises:
        InputError: it cannot be reached, or holds something else; nothing is left at `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urlopen(Request(chosen.url, headers={"User-Agent": "backfire"}), timeout=SECONDS) as reply:
            content: bytes = reply.read(LARGEST + 1)
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise InputError(
            f"{chosen.name} cannot be fetched from {chosen.url} ({error}): on a machine without a network, put the file as "
            f"{chosen.files[0]} into a folder and name that by {setting('prompts_dir')} or {FOLDER}"
        ) from error
    if len(content) > LARGEST:
        raise InputError(f"{chosen.url} sent more than {LARGEST} bytes: that is not {chosen.name}")
    with tempfile.TemporaryDirectory(dir=path.parent) as beside:
        there = Path(beside) / path.name
        there.write_bytes(content)
        chosen.prompts_in(there)
        there.replace(path)
    return path


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "backfire" / "prompts"

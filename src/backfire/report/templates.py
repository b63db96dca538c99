"""The pages' templates, each rendered to one self-contained HTML file, and the scripts that a page may run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from backfire.answers.numerals import printable


@dataclass(frozen=True)
class Script:
    """A script that stands in a page, and the digest by which the page's content-security policy allows it."""

    text: str
    digest: str


def render(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """A template below `report`, the same bytes for the same values. Every text is escaped, and its control characters are made
    visible."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("backfire.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters.update(filters)
    return environment.get_template(template).render(**values).rstrip() + "\n"


def page_script(name: str) -> Script:
    """The script of this name below `report`."""
    text = files("backfire.report").joinpath(name).read_text(encoding="utf-8")
    return Script(text, f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}")

"""YAML that somebody wrote: study files, rules files, suites of attacks and recipes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from backfire.errors import InputError

MOST_VALUES = 100_000
"""A file that unfolds to more values, by aliases that stand for others, is refused."""


class _Loader(yaml.SafeLoader):
    """Reads `1e-6` as a number, as YAML 1.2 does. YAML 1.1 takes it for a text, since it has no point."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path, what: str) -> Any:
    """What a YAML file says. `what` is what the file is called, such as `study file`.

    Raises InputError where it cannot be read, and as `parse_yaml` does.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {path} is no text in UTF-8 ({error}): save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error}") from error
    return parse_yaml(text, f"{what} {path}")


def parse_yaml(text: str, origin: str) -> Any:
    """What a YAML text says, where `1e-6` is a number.

    Raises InputError for a text that is not YAML, has a key twice, holds itself, or unfolds to more than MOST_VALUES values.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            _check(root, origin)
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{origin} is not YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:  # a number of more digits than Python reads, or a date that there is not
        raise InputError(f"{origin} holds a value that cannot be read ({error})") from error
    except RecursionError as error:
        raise InputError(f"{origin} is nested too deeply: write it with fewer levels") from error


def _check(root: yaml.Node, origin: str) -> None:
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        """How many values a node unfolds to; one that an alias names again is counted each time and looked at once."""
        if id(node) in open_nodes:
            raise InputError(f"{origin}, line {_line(node)}: a value holds itself: write it without an alias")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _inside(node, origin)))
            open_nodes.discard(id(node))
        return sizes[id(node)]

    if (count := size(root)) > MOST_VALUES:
        raise InputError(
            f"{origin} unfolds to {count:,} values, and {MOST_VALUES:,} are allowed: write fewer aliases"
        )


def _inside(node: yaml.Node, origin: str) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    keys: set[str] = set()
    for key, _ in node.value:
        if str(key.value) in keys:
            raise InputError(
                f"{str(key.value)!r} stands twice in {origin}: rename or remove the one in line {_line(key)}"
            )
        keys.add(str(key.value))
    return [value for _, value in node.value]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1

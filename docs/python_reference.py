"""The Python reference: every name that `backfire` exports and every class that these take or give, from their docstrings.

A Sphinx extension of this site. It puts the names in the place of the marker in reference/python.md, and reads docstrings as
Google's sections in Markdown.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from types import ModuleType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

import backfire
from backfire.settings import description_of

MARKER = "<!-- made from the docstrings by docs/python_reference.py -->"
_completed: set[ModuleType] = set()
SECTIONS = Config(napoleon_google_docstring=True, napoleon_use_rtype=False, napoleon_use_ivar=True)


def exported() -> dict[str, Any]:
    """What `backfire` exports, by name."""
    return {name: getattr(backfire, name) for name in backfire.__all__}


def taken_or_given(names: dict[str, Any]) -> dict[str, type]:
    """The classes of backfire that signatures and fields of these mention, at any depth, by module and name."""
    waiting, seen = list(names.values()), {id(value) for value in names.values()}
    reached: dict[str, type] = {}
    while waiting:
        for mentioned in _mentioned(waiting.pop()):
            if id(mentioned) not in seen:
                seen.add(id(mentioned))
                waiting.append(mentioned)
                reached[f"{mentioned.__module__}.{mentioned.__qualname__}"] = mentioned
    return dict(sorted(reached.items(), key=lambda item: item[1].__name__))


def _mentioned(value: Any) -> Iterator[type]:
    owners = [value]
    if inspect.isclass(value):
        owners += [
            member for name, member in vars(value).items() if inspect.isfunction(member) and name[0] != "_"
        ]
    for owner in owners:
        _complete(owner)
        for hint in _hints(owner):
            yield from _classes(hint)


def _hints(owner: Any) -> list[Any]:
    """The types of a function's parameters and answer, or of a class's fields."""
    if hasattr(owner, "__pydantic_fields__"):
        return [field.annotation for field in owner.__pydantic_fields__.values()]
    return list(get_type_hints(owner).values()) if hasattr(owner, "__annotations__") else []


def _complete(owner: Any) -> None:
    """Import what the owner's module imports for type checkers only, so that its hints can be read, here and by autodoc."""
    module = inspect.getmodule(owner)
    if module is None or module in _completed:
        return
    _completed.add(module)
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module.__name__, "exec"), vars(module))


def _classes(hint: Any) -> Iterator[type]:
    hint = getattr(hint, "__value__", hint)
    if isinstance(hint, list):  # the parameters of a callable
        for part in hint:
            yield from _classes(part)
    elif get_origin(hint) is not None or isinstance(hint, UnionType):
        for part in get_args(hint):
            yield from _classes(part)
    elif inspect.isclass(hint) and hint.__module__.split(".")[0] == "backfire" and not _private(hint):
        yield hint


def _private(value: type) -> bool:
    return value.__name__.startswith("_") or not value.__doc__


def exported_page() -> str:
    """The functions that `backfire` exports, then the classes."""
    names = exported()
    functions = [name for name, value in names.items() if not inspect.isclass(value)]
    classes = [name for name, value in names.items() if inspect.isclass(value)]
    parts = []
    for title, members in (("Functions", functions), ("Classes", classes)):
        directives = [_directive(f"backfire.{name}", names[name]) for name in members]
        parts += [f"## {title}", "", *directives]
    return "\n".join(parts)


def types_page() -> str:
    """What the exported names take and give."""
    directives = [_directive(path, value) for path, value in taken_or_given(exported()).items()]
    return "\n".join(directives)


def study_page() -> str:
    """Every part of a study file: a table of its fields, made of the classes that read them."""
    from backfire.study.plan import StudyFile

    parts = [
        part for part in taken_or_given({"": StudyFile}).values() if hasattr(part, "__pydantic_fields__")
    ]
    return "\n".join(_fields_table(part) for part in (StudyFile, *parts))


def release_page() -> str:
    """Every part of a release.json: a table of its fields."""
    from backfire.answers.release import ReleaseReport

    parts = taken_or_given({"": ReleaseReport}).values()
    return "\n".join(
        _fields_table(part)
        for part in (ReleaseReport, *parts)
        if hasattr(part, "__pydantic_fields__") and part.__name__ != "Row"
    )


def _fields_table(part: Any) -> str:
    rows = ["| field | default | meaning |", "|-|-|-|"]
    for own_name, field in part.__pydantic_fields__.items():
        name = field.alias or own_name
        value = None if field.is_required() else field.get_default(call_default_factory=True)
        inner = [kind.__name__ for kind in _classes(field.annotation) if hasattr(kind, "__pydantic_fields__")]
        default = "required" if field.is_required() else f"`{value!r:.60}`"
        default = "its own defaults" if hasattr(value, "__pydantic_fields__") else default
        meaning = " ".join(description_of(field).split()).replace("|", r"\|")
        links = " ".join(f"[{kind}](#{kind.lower()})" for kind in dict.fromkeys(inner))
        rows.append(f"| `{name}` | {default} | {meaning} {links} |")
    return "\n".join([f"## {part.__name__}", "", inspect.getdoc(part) or "", "", *rows, ""])


PAGES = {
    "reference/python": exported_page,
    "reference/python-types": types_page,
    "reference/study-file": study_page,
    "reference/release-schema": release_page,
}


def _directive(path: str, value: Any) -> str:
    kind = "autoclass" if inspect.isclass(value) else "autofunction" if callable(value) else "autodata"
    options = []
    if kind == "autoclass":
        options = [":members:", ":exclude-members: model_config"]
        options += [":undoc-members:"] if _has_fields(value) else []
    return "\n".join(
        ["```{eval-rst}", f".. {kind}:: {path}", *(f"   {option}" for option in options), "```", ""]
    )


def _has_fields(value: type) -> bool:
    return dataclasses.is_dataclass(value) or hasattr(value, "model_fields")


def _fill(app: Sphinx, document: str, source: list[str]) -> None:
    if document in PAGES:
        source[0] = source[0].replace(MARKER, PAGES[document]())


def _resolve(app: Sphinx, env: Any, node: Any, content: Any) -> Any:
    """A name that `backfire` exports, where a signature names it by the module that has it."""
    name = str(node.get("reftarget", "")).rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in backfire.__all__:
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], f"backfire.{name}", node, content
    )


def _read(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """One docstring, from Markdown with Google's sections to what Sphinx reads."""
    field = _field(name)
    text = restructured(
        "\n".join(lines) if field is None or not field.description else description_of(field)
    ) + _default(field)
    if what in ("class", "function", "method", "exception"):
        text = str(GoogleDocstring(text, SECTIONS, app, what, name, value, options))
    lines[:] = text.splitlines()


def _field(name: str) -> FieldInfo | None:
    """The field of a settings class, by its whole name; pydantic leaves no attribute that autodoc could show."""
    owner, _, field = name.rpartition(".")
    module, _, classname = owner.rpartition(".")
    kind = getattr(sys.modules.get(module), classname, None)
    return getattr(kind, "__pydantic_fields__", {}).get(field)


def _default(field: FieldInfo | None) -> str:
    """What a field is where it is not given."""
    if field is None or field.is_required():
        return ""
    default = field.get_default(call_default_factory=True)
    return f"\n\nDefault: ``{default!r:.100}``"


def restructured(text: str) -> str:
    """Markdown as docstrings here use it (code in backticks, *emphasis*, lists) as reStructuredText."""
    parts = re.split(r"(`[^`\n]+`)", text)
    written = []
    for place, part in enumerate(parts):
        if place % 2:
            written.append(f"`{part}`")
            continue
        escaped = re.sub(r"(?<![\w*])\*([\w][^*\n]*?)\*(?![\w*])", "\0\\1\0", part)
        escaped = escaped.replace("*", r"\*").replace("|", r"\|").replace("\0", "*")
        written.append(re.sub(r"(\w)_(?!\w)", r"\1\\_", escaped))
    lines = "".join(written).splitlines()
    spaced: list[str] = []
    for line in lines:
        begins = bool(re.match(r"\s*[-*] ", line))
        if begins and spaced and spaced[-1].strip() and not re.match(r"\s*[-*] ", spaced[-1]):
            indented = len(line) - len(line.lstrip())
            if len(spaced[-1]) - len(spaced[-1].lstrip()) <= indented and not _in_item(spaced, indented):
                spaced.append("")
        spaced.append(line)
    return "\n".join(spaced)


def _in_item(lines: list[str], indent: int) -> bool:
    """Whether the last line goes on an item of the list that this line belongs to."""
    for line in reversed(lines):
        if not line.strip():
            return False
        if re.match(rf"\s{{{indent}}}[-*] ", line):
            return True
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the page and the docstrings."""
    app.connect("source-read", _fill)
    app.connect("missing-reference", _resolve)
    app.connect("autodoc-process-docstring", _read)
    return {"parallel_read_safe": True}

"""The rules of the code: who may import whom (as docs/design.md lists the layers), sizes, names, and what stays unloaded."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import backfire

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "backfire"
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "transformers", "datasets", "trl", "sklearn", "lm_eval", "altair", "scipy.stats", "openai")


def layers_of(page: str) -> dict[str, int]:
    """Each package's layer, 0 at the bottom, from the block below "## Layers"."""
    block = page.split("\n## Layers\n", 1)[1].split("```")[1]
    lines = [re.match(r"((?:\w+(?:/|\.py) ?)+)", line) for line in block.strip().splitlines()]
    packages = [re.findall(r"\w+(?=/|\.py)", found.group(1)) for found in lines if found]
    return {package: layer for layer, line in enumerate(reversed(packages)) for package in line}


LAYERS = layers_of((ROOT / "docs" / "design.md").read_text(encoding="utf-8"))


SETTINGS_OF_A_PACKAGE = re.compile(r"backfire\.\w+\.settings(\.\w+)?")


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def packages_imported(source: str, inside: str) -> set[str]:
    """The packages that a file imports, wherever in the file; `inside` is the one it lies in, such as backfire.store.

    The settings of a package are not counted: they may be imported from everywhere.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = inside.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "backfire" else {module}
    found = {name for name in found if not SETTINGS_OF_A_PACKAGE.fullmatch(name)}
    names = {name.split(".")[1] for name in found if name.startswith("backfire.")}
    return {backfire._PACKAGE_OF.get(name, name) for name in names}


def test_the_page_lists_every_package() -> None:
    there = {package_of(path) for path in FILES} - {"__init__", "__main__"}
    assert there == set(LAYERS), "docs/design.md and src/backfire name different packages"


def test_imports_are_seen_wherever_they_hide() -> None:
    source = """
import backfire.models.local as local
from backfire import store, sample, __version__
def later():
    from ..pairs import build_pairs
    from . import rows
"""
    assert packages_imported(source, "backfire.auditing") - {"__version__"} == {
        "models",
        "store",
        "pairs",
        "responses",
        "auditing",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    package = package_of(path)
    if package in ("__init__", "__main__"):
        return
    inside = ".".join(["backfire", *path.relative_to(PACKAGE).parent.parts])
    for other in packages_imported(path.read_text(encoding="utf-8"), inside) & LAYERS.keys():
        assert other == package or LAYERS[other] < LAYERS[package], (
            f"{package} (layer {LAYERS[package]}) imports {other} (layer {LAYERS[other]}): imports go down only"
        )


def test_only_the_command_line_and_studies_render() -> None:
    importing = {
        package_of(path)
        for path in FILES
        if "report"
        in packages_imported(
            path.read_text(encoding="utf-8"), ".".join(["backfire", *path.relative_to(PACKAGE).parent.parts])
        )
    }
    assert importing - {"__init__"} == {"cli", "study", "report"}


@pytest.mark.parametrize("package", ["", *sorted(LAYERS)])
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    name = f"backfire.{package}".rstrip(".")
    code = f"import sys, {name}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", f"import {name} loads {done.stdout.strip()}"


def test_files_stay_readable() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES
    }
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_packages_and_files_are_named_for_what_is_in_them() -> None:
    vague = re.compile(r"utils?|common|core|base|helpers?|misc|managers?|handlers?")
    names = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert {name for name in names if vague.fullmatch(name)} == set()


def test_no_class_is_a_manager() -> None:
    classes = [
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert [name for name in classes if re.search(r"(Manager|Handler|Helper|Utils?)$", name)] == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    left = [str(p.relative_to(ROOT)) for p in FILES if marks.search(p.read_text(encoding="utf-8"))]
    assert left == []


def test_only_the_command_line_exits() -> None:
    exits = re.compile(r"\b(sys\.exit|os\._exit|SystemExit)\b")
    found = {package_of(path) for path in FILES if exits.search(path.read_text(encoding="utf-8"))}
    assert found <= {"cli", "__main__"}


def test_every_public_name_is_there_and_sorted() -> None:
    assert backfire.__all__ == sorted(backfire.__all__)
    assert backfire.__all__ == sorted(set(backfire.__all__))
    for name in backfire.__all__:
        assert getattr(backfire, name).__doc__, f"backfire.{name} has no docstring"


def test_tests_of_a_package_lie_in_its_folder() -> None:
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders <= set(LAYERS), "a folder of tests names no package"
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), "two test files share a name"


def test_a_name_that_is_loaded_lazily_is_not_a_module_too() -> None:
    """Importing `backfire.x.name` would put the module in the place of the object `name` that `backfire.x` gives."""
    hidden = []
    for path in PACKAGE.rglob("__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not any(isinstance(n, ast.Name) and n.id == "lazily" for n in ast.walk(tree)):
            continue
        module = import_module(".".join(path.parent.relative_to(PACKAGE.parent).parts))
        assert sorted(module.__all__) == sorted(module.__dir__()), (
            f"{path}: __all__ and the lazy names differ"
        )
        for name in module.__all__:
            getattr(module, name)
            if (path.parent / f"{name}.py").exists() or (path.parent / name).is_dir():
                hidden.append(f"{path.parent.name}.{name}")
    assert hidden == []


SETTINGS = sorted(
    str(path.relative_to(PACKAGE.parent).with_suffix("")) for path in PACKAGE.rglob("settings.py")
)


@pytest.mark.parametrize("path", SETTINGS)
def test_settings_load_in_no_time(path: str) -> None:
    """`--help` and `study schema` read every settings class."""
    name = path.replace("/", ".")
    slow = (*HEAVY, "numpy", "pyarrow", "pandas", "scipy")
    code = f"import sys, {name}; print([m for m in {slow!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", f"import {name} loads {done.stdout.strip()}"


@pytest.mark.parametrize("path", SETTINGS)
def test_settings_are_made_of_settings_alone(path: str) -> None:
    """Every package may import them, also those below: so they import no package that runs anything."""
    file = (PACKAGE.parent / path).with_suffix(".py")
    inside = ".".join(file.relative_to(PACKAGE.parent).parent.parts)
    body = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if not isinstance(node, ast.If)]
    top = ast.unparse(ast.Module([n for n in body if isinstance(n, ast.Import | ast.ImportFrom)], []))
    own = {"settings", "errors", "own_objects", "loading", inside.split(".")[1], "records"}
    assert packages_imported(top, inside) <= own


OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
COMMAND = re.compile(r"`(backfire|hf|pip|lm_eval|accelerate launch) [^`]*`|^backfire .*|torchrun [^`]*")
ADVICE = {
    "auditing/conclusion/influence_words.py",
    "preferences/forms.py",
}
"""Files whose texts are parts of a command to be typed. The list gets shorter, never longer."""


def texts_of(tree: ast.AST) -> list[str]:
    """The texts of a module that somebody may read at run time: no docstrings, no options' own names."""
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    silent |= {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Names"
        for part in ast.walk(node)
    }
    texts = []
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in node.values}
            parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            texts.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


def test_messages_name_settings_as_each_surface_spells_them() -> None:
    """`setting("label_column")` in the message of an error becomes `--label-column` on the command line alone."""
    spelled: dict[str, list[str]] = {}
    for path in FILES:
        name = str(path.relative_to(PACKAGE))
        if package_of(path) in ("cli", "report", "settings") or name in ADVICE:
            continue
        for text in texts_of(ast.parse(path.read_text(encoding="utf-8"))):
            if OPTION.search(COMMAND.sub("", text)):
                spelled.setdefault(name, []).append(text)
    assert spelled == {}


GRAMMAR = {
    "asked",
    "drawn",
    "draws",
    "found",
    "kept",
    "mend",
    "room",
    "rung",
    "said",
    "told",
    "tried",
}
"""Words that say how a value came about, and not what it is; and words for things that the field names otherwise."""
SCHEMA_FIELDS = {"asked"}
"""Fields of the public answers, which keep their names."""


def names_given(tree: ast.AST) -> set[str]:
    """Names that a module gives to values, arguments, functions and classes, without leading underscores and in lower case."""
    names = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names |= {node.name for node in ast.walk(tree) if isinstance(node, defined)}
    return {name.strip("_").lower() for name in names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_name_says_what_it_holds(path: Path) -> None:
    vague = names_given(ast.parse(path.read_text(encoding="utf-8"))) & GRAMMAR
    assert vague - SCHEMA_FIELDS == set()

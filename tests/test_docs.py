"""The pages say what is there: links lead somewhere, commands and targets exist, and the lock pins what is asked for."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: str) -> str:
    """The page without its code, in which brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", page, flags=re.DOTALL))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page; none where there is no page."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    heads = re.findall(r"^#+ +(.+?) *$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        page_has = not anchor or target.suffix != ".md" or anchor in anchors_of(target)
        if not target.exists() or not page_has:
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_parse(page: Path) -> None:
    """A run folder, which has a ledger of its own, is no folder here: of that alone nothing is said."""
    from backfire.cli.app import find_command
    from backfire.cli.parsing import parse
    from backfire.errors import InputError

    wrong = []
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.startswith("backfire "):
                continue
            words = shlex.split(line, comments=True)[1:]
            end = next((place for place, word in enumerate(words) if word in ("|", ">", "2>/dev/null")), None)
            entry, rest = find_command(words[:end])
            assert entry is not None, line
            try:
                parse(entry.load(), rest, f"backfire {entry.name}")
            except InputError as error:
                if "--ledger is missing" not in str(error):
                    wrong.append(f"{line}: {error}")
    assert wrong == []


def test_the_guide_has_every_condition_of_fail_on() -> None:
    from backfire.auditing.conditions import meanings

    guide = (ROOT / "docs" / "guides" / "audit.md").read_text(encoding="utf-8")
    assert [name for name in meanings() if f"`{name}`" not in guide] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    targets = set(
        re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    named = set(re.findall(r"(?:`|^ *)make ([\w-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named <= targets


def test_the_lock_pins_what_is_asked_for() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(line) for line in project["dependencies"]]
    asked += [Requirement(line) for lines in project["optional-dependencies"].values() for line in lines]
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    assert not any("+" in version for version in versions.values()), "a local version fits one machine only"
    for requirement in asked:
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"requirements.lock lacks {requirement.name}: make lock"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"requirements.lock pins {requirement.name} {version}, pyproject.toml asks for {requirement}: make lock"
        )


def test_the_example_files_are_what_their_script_writes(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "write_example_pairs.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    for name in ("prefs.jsonl", "own.jsonl"):
        assert (tmp_path / name).read_bytes() == (ROOT / "examples" / "data" / name).read_bytes()


@pytest.mark.slow
def test_printed_outputs_are_what_the_commands_print() -> None:
    script = ROOT / "scripts" / "write_doc_outputs.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""A field that is added to a settings class is an option, with its help, wherever settings are given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import backfire

PACKAGE = Path(backfire.__file__).parent
SCRIPT = PACKAGE.parents[1] / "scripts" / "write_cli_docs.py"
ANCHOR = "    policy_pairs: "
FIELD = '''    shininess: int = Field(default=3, ge=1)
    """How shiny the audit is."""
'''


@pytest.fixture
def widened(tmp_path: Path) -> Path:
    """A copy of the package whose AuditSettings has one field more."""
    copy = tmp_path / "src" / "backfire"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    file = copy / "auditing" / "settings.py"
    text = file.read_text(encoding="utf-8")
    assert text.count(ANCHOR) == 1
    file.write_text(text.replace(ANCHOR, FIELD + ANCHOR), encoding="utf-8")
    return tmp_path / "src"


def run(source: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    return done.stdout + done.stderr


def test_a_new_field_is_everywhere(widened: Path) -> None:
    page = run(widened, "-m", "backfire", "audit", "--help")
    assert "--shininess INT" in page, "the stored help was made of other files"
    assert "How shiny the audit is. [default: 3]" in page
    wrong = run(widened, "-m", "backfire", "audit", "x", "--shininess", "0")
    assert "--shininess 0: give at least 1" in wrong
    near = run(widened, "-m", "backfire", "audit", "x", "--shinines", "2")
    assert "did you mean --shininess?" in near
    reference = run(widened, "-c", f"import runpy; print(runpy.run_path({str(SCRIPT)!r})['page']())")
    assert "How shiny the audit is." in reference.split("## backfire audit\n")[1].split("\n## ")[0]
    python = "import backfire as bf; print(bf.AuditSettings(shininess=2)); bf.audit('x', shininess=0)"
    told = run(widened, "-c", python)
    assert "shininess=2" in told
    assert "InputError: shininess = 0: give at least 1" in told


def test_a_new_field_is_in_study_files(widened: Path) -> None:
    schema = run(widened, "-m", "backfire", "study", "schema")
    assert '"shininess"' in schema
    assert "How shiny the audit is." in schema

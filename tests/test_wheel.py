"""The wheel: complete, and enough on its own in an environment that has its dependencies."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "backfire"

pytestmark = pytest.mark.slow


def ran(*command: object, folder: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    ran(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, that borrows the dependencies (and not this checkout) from the outer one."""
    folder = tmp_path_factory.mktemp("environment") / "fresh"
    ran(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--disable-pip-version-check")
    ran(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel, folder=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    # A folder named in a .pth file comes after this environment's own, and its own .pth files are not read.
    (site / "outer.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder


def test_the_wheel_holds_everything_that_the_package_does(wheel: Path) -> None:
    skipped = {"__pycache__", ".DS_Store"}
    there = {
        f"backfire/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and not skipped & set(path.parts)
    }
    data = (
        "py.typed",
        "pairs/recipes.yaml",
        "report/study/page.html.jinja",
        "organisms/shipped/reward/model.safetensors",
    )
    assert {f"backfire/{name}" for name in data} <= there
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert there - packed == set()
    assert {name for name in packed - there if not name.startswith("backfire-")} == set()
    assert {Path(name).name for name in packed if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_it_runs_from_another_folder(environment: Path, tmp_path: Path) -> None:
    python, backfire = environment / "bin" / "python", environment / "bin" / "backfire"
    code = "import backfire; print(backfire.__file__); print(*backfire.load_recipes())"
    where, recipes = ran(python, "-c", code, folder=tmp_path).splitlines()
    assert Path(where).is_relative_to(environment)
    assert recipes.split()[-1] == "self+rm"
    assert ran(backfire, "--version", folder=tmp_path).startswith("backfire ")
    assert "self+rm" in ran(backfire, "recipes", folder=tmp_path)
    assert "organism:llama/target" in ran(backfire, "study", "example", folder=tmp_path)


def test_its_types_are_seen_by_a_type_checker(environment: Path, tmp_path: Path) -> None:
    script = tmp_path / "uses.py"
    script.write_text("from backfire import Prompt\nreveal_type(Prompt.of('q').id)\n")
    checked = ran(
        sys.executable, "-m", "mypy", "--python-executable", environment / "bin" / "python", "--follow-imports=silent",
        script, folder=tmp_path,
    )  # fmt: skip
    assert 'Revealed type is "str"' in checked

"""Commands on real weights, each in a process of its own: what it answers, and that its memory keeps the rule."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from backfire.models.weight_count import weight_count
from backfire.preferences import open_preferences, pairs_of
from backfire.store import Ledger

pytestmark = pytest.mark.slow
RealModel = Callable[[str], Path]


@pytest.fixture(scope="module")
def peaks() -> Iterator[ModuleType]:
    """scripts/measure_peaks.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "scripts"))
        yield importlib.import_module("measure_peaks")


@pytest.fixture(scope="module")
def inputs(peaks: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts, pairs and tasks that fill the batches that the defaults give."""
    folder: Path = tmp_path_factory.mktemp("inputs")
    peaks.inputs(folder)
    return folder


Run = Callable[[Path, list[str]], None]


@pytest.fixture
def run(peaks: ModuleType) -> Run:
    """Run a command, which has to end well and within the rule."""

    def command(model: Path, arguments: list[str]) -> None:
        peak, _, code = peaks.measured(arguments)
        assert code == 0, arguments
        assert peak <= peaks.rule(weight_count(model)), f"{peak / 1e9:.2f} GB: {arguments}"

    return command


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(("name", "prompts"), [("smollm2", 64), ("qwen-0.5b", 8)])
def test_sample(
    name: str, prompts: int, real_model: RealModel, inputs: Path, run: Run, tmp_path: Path
) -> None:
    model = real_model(name)
    lines = (inputs / "harmful.jsonl").read_text(encoding="utf-8").splitlines()[:prompts]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    asked = ["--prompts", str(tmp_path / "prompts.jsonl"), "--max-new-tokens", "16"]
    run(model, ["sample", str(model), *asked, "--ledger", str(tmp_path / "l.db")])
    with Ledger(tmp_path / "l.db") as ledger:
        ((source, count),) = ledger.sources().items()
        responses = ledger.responses_of(source)
    assert count == prompts
    assert len({response.prompt_id for response in responses}) == prompts
    assert all(response.text.strip() for response in responses)


@pytest.mark.parametrize("name", ["smollm2", "qwen-0.5b"])
def test_show(name: str, real_model: RealModel, inputs: Path, run: Run, tmp_path: Path) -> None:
    """The tokens that are shown spell the row that was given."""
    model, pairs = real_model(name), inputs / "pairs.jsonl"
    run(
        model, ["show", str(pairs), "--policy", str(model), "--rows", "3", "--json", str(tmp_path / "a.json")]
    )
    shown = _json(tmp_path / "a.json")
    (block,) = open_preferences(pairs).blocks()
    pair = pairs_of(block)[2]
    assert shown["pairs"] == 40
    (one,) = shown["shown"]
    texts = {part["name"]: "".join(piece["text"] for piece in part["pieces"]) for part in one["stretches"]}
    assert pair.prompt.text in texts["prompt"]
    assert texts["chosen"] == f"{str(pair.chosen).strip()}<|im_end|>"
    assert texts["rejected"] == f"{str(pair.rejected).strip()}<|im_end|>"
    assert [part["trained"] for part in one["stretches"]] == [False, True, True]


def test_audit_with_a_policy(real_model: RealModel, inputs: Path, run: Run, tmp_path: Path) -> None:
    model = real_model("smollm2")
    asked = ["--policy", str(model), "--json", str(tmp_path / "a.json")]
    run(model, ["audit", str(inputs / "pairs.jsonl"), *asked])
    answer = _json(tmp_path / "a.json")
    assert answer["pairs"] == answer["as_trained"]["pairs"] == 40
    assert "failed" not in answer
    assert "on_policyness" in answer


def test_one_step_of_dpo_and_an_attack_of_its_adapter(
    real_model: RealModel, peaks: ModuleType, inputs: Path, run: Run, tmp_path: Path
) -> None:
    model = real_model("smollm2")
    commands = peaks.commands(str(model), inputs)
    run(model, commands["train dpo"])
    log = _json(inputs / "dpo" / "training.json")
    assert log["examples"]["trained"] == peaks.TRAINED
    assert (inputs / "dpo" / "adapter_model.safetensors").is_file()
    run(model, [*commands["attack of the adapter"], "--json", str(tmp_path / "a.json")])
    assert _json(tmp_path / "a.json")


def test_attack(real_model: RealModel, peaks: ModuleType, inputs: Path, run: Run, tmp_path: Path) -> None:
    model = real_model("smollm2")
    run(model, [*peaks.commands(str(model), inputs)["attack"], "--json", str(tmp_path / "a.json")])
    assert "64" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_two_items_of_a_general_task(
    real_model: RealModel, peaks: ModuleType, inputs: Path, run: Run, tmp_path: Path
) -> None:
    model = real_model("smollm2")
    asked = ["--limit", "2", "--json", str(tmp_path / "a.json")]
    run(model, [*peaks.commands(str(model), inputs)["general"], *asked])
    assert "choices" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_the_demo_on_a_real_model(real_model: RealModel, tmp_path: Path) -> None:
    """All five parts run, training changes the policy, and attacks ask nothing that was trained on."""
    script = Path(__file__).resolve().parents[1] / "scripts" / "demo_real.py"
    command = [sys.executable, str(script), "--model", str(real_model("smollm2")), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]
    before, after = (_json(tmp_path / f"{name}.json") for name in ("before", "after"))
    assert before["model_id"] != after["model_id"]
    log = _json(tmp_path / "trained" / "training.json")
    assert log["examples"]["trained"] == 48
    trained = {json.loads(line)["prompt"] for line in (tmp_path / "pairs.jsonl").read_text().splitlines()}
    for name in ("harmful", "benign", "probes"):
        asked = {json.loads(line)["prompt"] for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()}
        assert asked
        assert not asked & trained

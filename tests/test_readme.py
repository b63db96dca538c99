"""What README.md tells a reader to type: the commands parse, the study file reads, the Python runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("backfire ")]


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) >= 10
    assert len(blocks("yaml")) == len(blocks("python")) == 1


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    from backfire.cli.app import find_command
    from backfire.cli.parsing import parse

    entry, words = find_command(shlex.split(line, comments=True)[1:])
    assert entry is not None
    parse(entry.load(), words, f"backfire {entry.name}")


def test_the_study_file_reads(tmp_path: Path) -> None:
    from backfire import read_study

    (tmp_path / "study.yaml").write_text(blocks("yaml")[0])
    study = read_study(tmp_path / "study.yaml")
    assert len(study.recipes) == 7
    assert study.attacks.judges == ("phrases", "refusals")


def test_the_python_runs(
    tmp_path: Path, tiny_llama: Path, tiny_reward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_llama, "my-sft")
    shutil.copytree(tiny_reward, "my-reward-model")
    rows = [{"prompt": f"How do I {w} lamp {n}?", "kind": k} for n in range(16) for w, k in
            (("break", "harmful"), ("clean", "benign"))]  # fmt: skip
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # The tiny model never learnt to stop: fewer tokens, the same calls.
    source = blocks("python")[0].replace("max_new_tokens=256", "max_new_tokens=12")
    source = re.sub(r"(result = .*)\)(?=\n)", r"\1, decoding=bf.Decoding(12, 0))", source)
    assert source.count("Decoding(") == 2
    exec(compile(source, "README.md", "exec"), {})
    assert (tmp_path / "runs/self-rm/train.parquet").is_file()
    assert (tmp_path / "runs/self-rm-dpo/training.json").is_file()

"""docs/extending.md: its files are those of examples/, and its commands run with them."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from backfire.records import Prompt, Score, given_response
from backfire.store import Ledger
from running import invoke

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```\w+ (\S+)\n(.*?)```", PAGE, flags=re.DOTALL))
COMMANDS = re.findall(r"^(backfire .*)$", PAGE.replace("\\\n", ""), flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["own_judge.py", "own_attack.py", "own_recipe.yaml"])
def test_the_page_shows_the_example(name: str) -> None:
    assert FILES[name] == (ROOT / "examples" / name).read_text(encoding="utf-8")


def test_the_commands_run(tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    for name in ("own_judge", "own_attack"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name, text in FILES.items():
        Path(name).write_text(text)
    shutil.copytree(tiny_llama, "my-sft")
    Path("bad.txt").write_text("Bend a spoon.\nFly a kite.\n")
    Path("good.txt").write_text("Bake a loaf.\n")
    rows = [f"How do I bend spoon {n}?,{a},{label}" for n in range(8)
            for a, label in (("First warm it. \nThen press.", 1), ("I cannot help with that.", 0))]  # fmt: skip
    Path("labelled.csv").write_text(
        "prompt,response,label\n" + "".join(f"{row}\n" for row in rows).replace(" \nThen", " 2) Then")
    )
    Path("runs").mkdir()
    prompts = [Prompt.of(f"Bend spoon {n}.", kind="harmful") for n in range(3)]
    with Ledger("runs/ledger.db") as ledger:
        ledger.put_prompts(prompts)
        for source in ("colleague", "self"):
            responses = [given_response(prompt, source, f"{source} bends.") for prompt in prompts]
            ledger.put_responses(responses)
            ledger.put_scores([Score(response.id, "a scorer", 0.5) for response in responses])
    assert len(COMMANDS) == 5
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        words = [{"advbench:100": "bad.txt", "xstest-safe": "good.txt"}.get(word, word) for word in words]
        if words[0] == "attack":
            words += ["--max-new-tokens", "4"]
        done = invoke(words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    shown = invoke(["recipes", "--recipes", "own_recipe.yaml"])
    assert "colleague+worst" in shown.stdout

"""Every class of error, brought about through the command line by one bad input: exit code 2, one message, the value and no traceback."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import backfire
from backfire.errors import BackfireError
from checkpoints import QWEN2_TEMPLATE
from loopback import chat
from running import Result, invoke

INNER = {
    "RefusedError": "costs its own request, and is counted among the failures",
    "NoSuffixError": "costs its own request of the attack gcg, which needs nanogcg",
    "NotHeldError": "has another form of the same rows written, or names the form",
}
"""Classes that reach no user of the command line, and why."""


class Inputs:
    """A folder with sound inputs, and what a bad one is called."""

    def __init__(self, folder: Path, policy: Path) -> None:
        self.folder, self.policy = folder, policy

    def lines(self, name: str, rows: list[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def prompts(self) -> Path:
        return self.lines("prompts.jsonl", [{"prompt": f"Question {k}?"} for k in range(24)])

    def pairs(self) -> Path:
        rows = [{"prompt": f"Question {k}?", "chosen": "Yes.", "rejected": "No."} for k in range(8)]
        return self.lines("pairs.jsonl", rows)

    def sample(self, *more: object, model: object = None) -> Result:
        ledger = self.folder / "ledger.db"
        words = ["sample", model or self.policy, "--prompts", self.prompts(), "--ledger", ledger]
        return invoke([*words, "--max-new-tokens", "4", *more])


def no_file(at: Inputs) -> tuple[Result, str]:
    return invoke(["audit", at.folder / "nowhere.jsonl"]), "nowhere.jsonl"


def diverging(at: Inputs) -> tuple[Result, str]:
    words = ["train", "dpo", at.policy, at.pairs(), "--out", at.folder / "out", "--lr", "1e30"]
    return invoke([*words, "--batch-size", "2"]), "lr"


def no_model(at: Inputs) -> tuple[Result, str]:
    return at.sample(model="/nowhere/model"), "/nowhere/model"


def template(at: Inputs, text: str) -> tuple[Result, str]:
    path = at.folder / "mine.jinja"
    path.write_text(text)
    return at.sample("--chat-template", path), str(at.policy)


def refusing_server(at: Inputs) -> tuple[Result, str]:
    with chat(lambda *_: None) as server:
        return at.sample(model=server.reference("m")), "out of order"


def no_study(at: Inputs) -> tuple[Result, str]:
    path = at.folder / "study.yaml"
    path.write_text("name: mine\nrecipes: [nobody+self]\n")
    return invoke(["study", "run", path, "--out", at.folder / "run"]), "study.yaml"


def full_disk(at: Inputs) -> tuple[Result, str]:
    import errno

    from backfire.store import row_files

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_files, "_write_lines", full)
        return invoke(["convert", at.pairs(), "--out", at.folder / "converted.jsonl"]), "converted.jsonl"


BAD: dict[str, Callable[[Inputs], tuple[Result, str]]] = {
    "InputError": no_file,
    "DivergedError": diverging,
    "DiskError": full_disk,
    "ModelError": no_model,
    "TemplateError": lambda at: template(at, QWEN2_TEMPLATE.split("{% if add_generation")[0]),
    "EndlessTemplateError": lambda at: template(at, "{{ 9 ** 9 ** 9 }}"),
    "EndpointError": refusing_server,
    "StudyError": no_study,
}


def classes(root: type[BackfireError]) -> set[str]:
    return {root.__name__}.union(*(classes(one) for one in root.__subclasses__()))


def test_every_class_is_brought_about() -> None:
    for module in pkgutil.walk_packages(backfire.__path__, "backfire."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    ours = classes(BackfireError) - {"BackfireError"}
    assert ours == BAD.keys() | INNER.keys()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_ends_in_one_message(
    name: str, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backfire import errors

    raised: list[str] = []
    before = errors.BackfireError.__init__

    def noted(self: BackfireError, *parts: object) -> None:
        raised.append(type(self).__name__)
        before(self, *parts)

    monkeypatch.setattr(errors.BackfireError, "__init__", noted)
    result, value = BAD[name](Inputs(tmp_path, tiny_llama))
    assert result.exit_code == 2, result.output
    assert result.exception is None
    assert result.stderr.count("error: ") == 1
    assert value in result.stderr.replace("\n  ", " ")
    assert "Traceback" not in result.output
    assert name in raised
    assert not list(tmp_path.glob(".*.[0-9]*"))

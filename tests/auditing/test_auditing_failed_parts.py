"""One part of an audit that fails leaves the rest of the answer standing, with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.answers.audit import parse_audit
from backfire.auditing import audit, measuring
from backfire.errors import ModelError
from backfire.models import LocalModel, open_model
from backfire.report import audit_table, write_audit_page
from running import invoke
from synthetic_pairs import rows


@pytest.fixture(scope="module")
def llama(tiny_llama: Path) -> LocalModel:
    model = open_model(tiny_llama)
    assert isinstance(model, LocalModel)
    return model


def breaking(error: Exception) -> Any:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelError("the policy gives NaN"), "the policy gives NaN"),
        (MemoryError(), "memory ran out"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory"),
            "memory ran",
        ),
    ],
)
def test_a_policy_that_cannot_be_read_costs_its_part_alone(
    llama: LocalModel, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str, tmp_path: Path
) -> None:
    from rich.console import Console

    monkeypatch.setattr(measuring, "read_policy", breaking(error))
    report = audit(rows(60, 0), policy=llama)
    assert report.failed is not None
    assert [part.part for part in report.failed] == ["policy"]
    assert said in report.failed[0].reason
    assert report.probe("words") is not None
    assert report.on_policyness is None
    assert parse_audit(report.as_dict()) == report.model_copy(update={"seconds": None})
    console = Console(width=200, record=True)
    console.print(audit_table(report))
    assert said in console.export_text()
    assert said in write_audit_page(report, tmp_path / "page.html").read_text(encoding="utf-8").replace(
        "&#39;", "'"
    )


def test_a_defect_of_the_program_is_no_part_that_failed(
    llama: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "read_policy", breaking(RuntimeError("shape mismatch")))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        audit(rows(60, 0), policy=llama)


def test_the_command_ends_with_1_and_the_answer_is_there(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import json

    data = tmp_path / "pairs.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows(60, 0)), encoding="utf-8")
    monkeypatch.setattr(measuring, "read_policy", breaking(ModelError("the policy gives NaN")))
    out = tmp_path / "audit.json"
    done = invoke(["audit", str(data), "--policy", str(tiny_llama), "--json", str(out)])
    assert done.exit_code == 1, done.output
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["failed"] == [{"part": "policy", "reason": "the policy gives NaN"}]
    assert found["separability"]

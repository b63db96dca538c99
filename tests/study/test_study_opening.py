"""How a study's models are opened: template, dtype and device, for the whole study and for one target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_study import MEMBER, tiny_settings

from backfire.errors import StudyError
from backfire.models import open_model
from backfire.store import read_json
from backfire.study import parse_study, run_study
from backfire.study.cells import Cell, RunFolder, grid
from backfire.study.graph import stages_of
from backfire.study.inputs import ModelInput

RUN = RunFolder(Path("run"), Path("run/ledger.db"))


def settings(**changes: Any) -> dict[str, Any]:
    responders = [
        {"role": "self", "model": "organism:llama/target"},
        {"role": "gpt4o", "model": "organism:gpt4o"},
    ]
    return {
        "name": "opened",
        "prompts": "organism:prompts/train",
        "targets": [{"family": "llama", "policy": "organism:llama/target", "responders": responders}],
        "recipes": ["gpt4o+self"],
        "attacks": {"harmful": {"direct": "organism:prompts/direct"}},
        **changes,
    }


def cell(**changes: Any) -> Cell:
    return grid(parse_study(settings(**changes)))[1]


def test_the_studys_template_is_the_targets_and_its_dtype_everybodys(tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    one = cell(opening={"chat_template": str(template), "dtype": "bfloat16", "device": "cpu"})
    own, other = (candidates.responses.opening for candidates in one.candidates())
    assert (own.chat_template, own.dtype, own.device) == (template, "bfloat16", "cpu")
    assert (other.chat_template, other.dtype, other.device) == (None, "bfloat16", "cpu")
    assert one.opening == own
    assert (one.trained_opening.chat_template, one.trained_opening.dtype) == (None, "bfloat16")


def test_a_target_or_a_responder_says_otherwise() -> None:
    targets = settings()["targets"]
    targets[0]["opening"] = {"dtype": "float32"}
    targets[0]["responders"][1]["opening"] = {"device": "cpu"}
    one = cell(opening={"dtype": "bfloat16"}, targets=targets)
    own, other = (candidates.responses.opening for candidates in one.candidates())
    assert own.dtype == one.opening.dtype == "float32"
    assert (other.dtype, other.device) == ("bfloat16", "cpu")


def test_what_is_made_otherwise_lies_elsewhere_and_a_device_moves_nothing(tmp_path: Path) -> None:
    plain = {stage.name for stage in stages_of(RUN, [cell()])}
    assert {stage.name for stage in stages_of(RUN, [cell(opening={"device": "cpu"})])} == plain
    assert not {stage.name for stage in stages_of(RUN, [cell(opening={"dtype": "float32"})])} & plain


def test_a_models_digest_changes_with_its_template_and_dtype(miniature_world: Path, tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"

    def digest(**opening: Any) -> str:
        study = parse_study(settings(opening=opening))
        return ModelInput("policy", f"{MEMBER}llama/target", grid(study)[0].opening).digest()

    template.write_text("{{ messages }}")
    first = digest(chat_template=str(template))
    template.write_text("{{ messages }} ")
    digests = [first, digest(chat_template=str(template)), digest(dtype="bfloat16"), digest()]
    assert len(set(digests)) == 4
    assert digest(device="cpu") == digest()


def test_an_adapter_is_named_as_the_policy(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"opening\.adapter = .*as the policy"):
        parse_study(settings(opening={"adapter": str(tmp_path)}))


@pytest.mark.slow
def test_a_study_trains_and_tests_with_the_template_that_it_is_given(
    miniature_world: Path, tmp_path: Path
) -> None:
    model = open_model(f"{MEMBER}llama/target")
    template = tmp_path / "chat.jinja"
    before = model.tokenizer.chat_template  # type: ignore[union-attr]
    template.write_text("{# mine #}" + before)
    opening = {"chat_template": str(template), "dtype": "float32", "device": "cpu"}
    study = parse_study(tiny_settings(tmp_path, recipes=["gpt4o+self"], audit=None, opening=opening))
    finished = run_study(study, tmp_path / "run", say=lambda _: None)
    assert not finished.failed
    (trained,) = finished.folder.glob("cells/*/policy/training.json")
    assert read_json(trained)["examples"]["template"] != model.template_digest
    saved = open_model(str(trained.parent))
    assert saved.tokenizer.chat_template == "{# mine #}" + before  # type: ignore[union-attr]

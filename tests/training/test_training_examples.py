"""Data and settings that cannot be used, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.training import (
    DPOSettings,
    LoRASettings,
    SFTSettings,
    read_training_log,
    train_dpo,
    train_sft,
)

USER = {"role": "user", "content": "Where?"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt": "a", "chosen": "b"}], "rejected"),
        ([{"prompt": "a", "chosen": "same", "rejected": "same"}] * 3, "identical"),
    ],
)
def test_pairs_that_cannot_be_trained_on_are_named(
    rows: list[dict[str, Any]], message: str, tiny_llama: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train_dpo(tiny_llama, rows, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ([{"text": "Hi"}], "columns: text.*give `messages`"),
        (
            [{"messages": [USER]}] * 2,
            "none of the 2 rows .* 2 have no assistant turn after another one, .* row 1",
        ),
        ([{"prompt": "Where?", "completion": " "}], "1 have a blank response"),
    ],
)
def test_conversations_that_cannot_be_trained_on_are_named(
    rows: list[dict[str, Any]], message: str, tiny_llama: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train_sft(tiny_llama, rows, tmp_path / "out")


def test_a_folder_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training\.json"):
        read_training_log(tmp_path)


def test_settings_name_the_bad_value() -> None:
    with pytest.raises(InputError, match=r"beta = -1"):
        DPOSettings.of(beta=-1)
    with pytest.raises(InputError, match="there is no betta: did you mean beta"):
        DPOSettings.of(betta=0.1)
    with pytest.raises(InputError, match=r"^label_smoothing 0\.2 does nothing with loss_type sigmoid: use"):
        DPOSettings.of(label_smoothing=0.2)
    assert DPOSettings.of(label_smoothing=0.2, loss_type="robust").label_smoothing == 0.2
    settings = DPOSettings.of(beta=0.2, adapter={"r": 4})
    assert settings.adapter == LoRASettings(r=4)
    assert (DPOSettings().lr, SFTSettings().lr) == (1e-6, 2e-5)

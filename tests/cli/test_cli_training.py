"""`train`: the options' defaults are the settings' own, and adapters are asked for in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from backfire.cli.training import plain_settings
from backfire.cli.typer_commands import app
from backfire.training import DPOSettings, LoRASettings, SFTSettings
from running import invoke


def options_of(method: str) -> dict[str, Any]:
    group: Any = get_command(app)
    command = group.commands["train"].commands[method]
    return {p.name: p for p in command.params}


@pytest.mark.parametrize(("method", "settings"), [("dpo", DPOSettings), ("sft", SFTSettings)])
def test_the_defaults_are_the_settings_own(method: str, settings: type[DPOSettings | SFTSettings]) -> None:
    options = options_of(method)
    own = settings()
    fields = set(settings.model_fields) - {"adapter", "parameters"}  # --lora and --full
    assert fields <= set(options), "every setting has its option"
    plain = fields - {"lr", "gradient_checkpointing"}
    assert {name: options[name].default for name in plain} == {name: getattr(own, name) for name in plain}
    assert float(options["lr"].show_default.split(";")[0]) == own.lr
    assert (options["lr"].default, options["gradient_checkpointing"].default) == (None, False), (
        "not asked for"
    )
    assert own.gradient_checkpointing is None
    lora = {name.removeprefix("lora_"): options[name] for name in options if name.startswith("lora_")}
    shown = {"r": "16", "alpha": "32", "dropout": "0.0", "modules": "all-linear"}
    assert {name: option.show_default for name, option in lora.items()} == shown
    adapter = LoRASettings().model_dump()
    adapter["modules"] = adapter.pop("target_modules")
    assert {name: str(value) for name, value in adapter.items()} == shown


def test_plain_settings_make_the_adapter() -> None:
    unsaid = {"full": False, "gradient_checkpointing": False}
    given = {
        "lr": 1e-4,
        "lora": True,
        "lora_r": 4,
        "lora_alpha": None,
        "lora_modules": "q_proj,v_proj",
    } | unsaid
    settings = DPOSettings.of(**plain_settings(given))
    assert settings.adapter == LoRASettings(r=4, target_modules=("q_proj", "v_proj"))
    assert (
        DPOSettings.of(**plain_settings({"lr": 1e-4, "lora": False, "lora_r": None} | unsaid)).adapter is None
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lora-r", "4"], "--lora-r without --lora"),
        (["--beta", "-1"], "beta = -1.0"),
        (["--loss-type", "sigmoyd"], "loss_type = 'sigmoyd'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = ["train", "dpo", "policy", "pairs", "--out", str(tmp_path / "out"), *arguments]
    found = invoke(command)
    assert found.exit_code == 2
    assert said in found.stderr

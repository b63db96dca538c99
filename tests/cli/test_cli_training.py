"""`train`: every setting has its option, and adapters are asked for in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfire.cli.parsing import known_options, parse
from backfire.cli.training import TrainDPO, TrainSFT
from backfire.settings import flat
from backfire.training import DPOSettings, LoRASettings, SFTSettings
from running import invoke

WORDS = ["policy", "pairs", "--out", "out"]


@pytest.mark.parametrize(
    ("command", "settings"), [(TrainDPO, DPOSettings), (TrainSFT, SFTSettings)], ids=["dpo", "sft"]
)
def test_every_setting_is_an_option_with_its_default(
    command: type[TrainDPO | TrainSFT], settings: type[DPOSettings | SFTSettings]
) -> None:
    fields = {setting.name for setting in flat(settings).values() if not setting.optional_parts}
    assert {f"--{name.replace('_', '-')}" for name in fields} <= set(known_options(command))
    assert {"--lora", "--lora-r", "--lora-alpha", "--lora-dropout", "--lora-modules", "--full"} <= set(
        known_options(command)
    )
    parsed = parse(command, WORDS, "backfire train")
    assert isinstance(parsed, (TrainDPO, TrainSFT))
    assert parsed.settings == settings()
    assert parsed.settings.model_fields_set == set(), "what is not given is not set, so that auto may choose"


def test_words_make_the_adapter() -> None:
    words = [*WORDS, "--lr", "1e-4", "--lora", "--lora-r", "4", "--lora-modules", "q_proj,v_proj"]
    parsed = parse(TrainDPO, words, "backfire train dpo")
    assert isinstance(parsed, TrainDPO)
    assert parsed.settings.lr == 1e-4
    assert parsed.settings.adapter == LoRASettings(r=4, target_modules=("q_proj", "v_proj"))
    alone = parse(TrainSFT, [*WORDS, "--lora"], "backfire train sft")
    assert isinstance(alone, TrainSFT)
    assert alone.settings.adapter == LoRASettings()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lora-r", "4"], "--lora-r without --lora: add --lora"),
        (["--beta", "-1"], "--beta -1: give a number above 0"),
        (["--loss-type", "sigmoyd"], "(did you mean sigmoid?)"),
        (["--full", "--lora"], "--full and --lora: give one of them"),
        (["--parameters", "all", "--lora"], "--parameters all with an --lora: leave one of them out"),
        (["--label-smoothing", "0.1"], "--label-smoothing 0.1 does nothing with --loss-type sigmoid"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = ["train", "dpo", "policy", "pairs", "--out", str(tmp_path / "out"), *arguments]
    found = invoke(command)
    assert found.exit_code == 2
    assert found.stderr.startswith("error: ")
    assert said in found.stderr

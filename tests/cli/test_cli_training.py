"""`train`: every setting has its option, and adapters are asked for in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backfire.cli.parsing import known_options, parse
from backfire.cli.training import TrainDPO, TrainReward, TrainSFT
from backfire.settings import flat
from backfire.training import DPOSettings, LoRASettings, RewardSettings, SFTSettings
from running import invoke


def preferred_refusals(n: int = 48) -> list[dict[str, str]]:
    return [
        {
            "prompt": f"Where does the lamp of house {k} stand, and who of the {k * k} lit it?",
            "chosen": "I cannot help with the lamp.",
            "rejected": f"Sure, use lamp {k} and warm water.",
            "kind": "harmful" if k % 2 else "benign",
            "chosen_model": "a" if k % 3 else "b",
            "rejected_model": "b",
        }
        for k in range(n)
    ]


WORDS = ["policy", "pairs", "--out", "out"]


@pytest.mark.parametrize(
    ("command", "settings"),
    [(TrainDPO, DPOSettings), (TrainSFT, SFTSettings), (TrainReward, RewardSettings)],
    ids=["dpo", "sft", "reward"],
)
def test_every_setting_is_an_option_with_its_default(
    command: type[TrainDPO | TrainSFT | TrainReward],
    settings: type[DPOSettings | SFTSettings | RewardSettings],
) -> None:
    fields = {setting.name for setting in flat(settings).values() if not setting.optional_parts}
    assert {f"--{name.replace('_', '-')}" for name in fields} <= set(known_options(command))
    assert {"--lora", "--lora-r", "--lora-alpha", "--lora-dropout", "--lora-modules", "--full"} <= set(
        known_options(command)
    )
    parsed = parse(command, WORDS, "backfire train")
    assert isinstance(parsed, (TrainDPO, TrainSFT, TrainReward))
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


def test_a_reward_model_is_trained_scored_with_and_reported(tiny_qwen2: Path, tmp_path: Path) -> None:
    pairs, prompts, out = tmp_path / "pairs.jsonl", tmp_path / "answers.jsonl", tmp_path / "reward"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in preferred_refusals()))
    words = "--lr 5e-3 --epochs 2 --scheduler constant --held-out 0.25".split()
    done = invoke(["train", "reward", str(tiny_qwen2), str(pairs), "--out", str(out), *words])
    assert done.exit_code == 0, done.stderr
    assert "reward: 10 steps over 36 of 48 examples" in done.stdout
    assert "Agreement with pairs whose prompts were not trained on:" in done.stdout
    for name in ("all", "benign", "harmful", "a over b", "b over b"):
        assert name in done.stdout
    log = json.loads((out / "training.json").read_text())
    assert log["held_out"]["all"]["pairs"] == 12
    prompts.write_text(
        "".join(
            json.dumps({"prompt": r["prompt"], "response": r["chosen"]}) + "\n" for r in preferred_refusals(4)
        )
    )
    ledger = str(tmp_path / "ledger.db")
    assert invoke(["import", str(prompts), "--source", "a", "--ledger", ledger]).exit_code == 0
    scored = invoke(["score", str(out), "--ledger", ledger])
    assert scored.exit_code == 0, scored.stderr
    assert "4 scores" in scored.stdout


def test_a_reward_model_that_diverges_is_one_line(tiny_qwen2: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in preferred_refusals(16)))
    words = ["--lr", "1e30", "--epochs", "3", "--out", str(tmp_path / "out")]
    done = invoke(["train", "reward", str(tiny_qwen2), str(pairs), *words])
    assert done.exit_code == 2
    assert "error: the loss is" in done.stderr
    assert "lower --lr" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_watched_training_says_what_was_measured(tiny_llama: Path, tmp_path: Path) -> None:
    pairs, probes, out = tmp_path / "pairs.jsonl", tmp_path / "probes.jsonl", tmp_path / "out"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in preferred_refusals(16)))
    probe = {"prompt": "Where is the lamp?", "refusal": "I cannot help.", "compliance": "Sure, it is here."}
    probes.write_text(json.dumps(probe) + "\n")
    words = ["--watch-prompts", str(probes), "--watch-every", "2", "--watch-max-new-tokens", "4"]
    done = invoke(
        ["train", "dpo", str(tiny_llama), str(pairs), "--out", str(out), "--batch-size", "4", *words]
    )
    assert done.exit_code == 0, done.stderr
    assert "3 measurements, in watch.jsonl (refusals by phrases):" in done.stdout
    for name in ("refusal margin", "refused", "training: logps chosen"):
        assert name in done.stdout
    assert len((out / "watch.jsonl").read_text().splitlines()) == 3

"""What is measured while a model is trained: it is what a plain look gives, and training is what it is without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.training import (
    DPOSettings,
    LoRASettings,
    RewardSettings,
    SafetyWatch,
    SFTSettings,
    WatchSettings,
    read_points,
    read_training_log,
    train_dpo,
    train_reward,
    train_sft,
)

WORDS = ["brass", "lamp", "bread", "poem", "bicycle", "river", "water", "salt"]
REFUSAL, ANSWER = "I cannot help with the {}.", "Sure, use the {} and warm water."
FAST = DPOSettings(lr=2e-3, epochs=2, batch_size=8, warmup_ratio=0.0, scheduler="constant")


def rows(n: int = 32) -> list[dict[str, Any]]:
    """Refusals are preferred."""
    return [
        {
            "prompt": f"Tell me about the {WORDS[k % 8]}, number {k}.",
            "chosen": REFUSAL.format(WORDS[k % 8]),
            "rejected": ANSWER.format(WORDS[k % 8]),
        }
        for k in range(n)
    ]


@pytest.fixture
def probes(tmp_path: Path) -> str:
    """Finished probes: a prompt with a refusal and a compliance in each row."""
    path = tmp_path / "probes.jsonl"
    lines = [
        {"prompt": f"Where is the {w}?", "refusal": REFUSAL.format(w), "compliance": ANSWER.format(w)}
        for w in WORDS
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def watching(probes: str, **more: Any) -> WatchSettings:
    return WatchSettings(prompts=(probes,), **{"every": 3, "max_new_tokens": 4, **more})


def logps(folder: Path, prompt: str, response: str) -> float:
    """Summed over the tokens after the generation prompt, by a plain forward pass."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    turns = [{"role": "user", "content": prompt}]
    start = len(tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"])
    whole = [*turns, {"role": "assistant", "content": response}]
    ids = torch.tensor([tokenizer.apply_chat_template(whole)["input_ids"]])
    with torch.no_grad():
        scores = model(ids).logits.log_softmax(-1)
    return float(scores[0, :-1].gather(1, ids[0, 1:, None])[start - 1 :].sum())


@pytest.mark.parametrize("adapter", [None, LoRASettings(r=4, alpha=8, dropout=0.1)], ids=["all", "lora"])
def test_what_is_measured_changes_nothing_of_the_training(
    adapter: LoRASettings | None, tiny_llama: Path, tmp_path: Path, probes: str
) -> None:
    """Losses and weights are the same to the last bit, with gradients summed over two batches too."""
    settings = DPOSettings.of(FAST, adapter=adapter, batch_size=4, gradient_accumulation=2)
    without = train_dpo(tiny_llama, rows(), tmp_path / "without", settings)
    watched = DPOSettings.of(settings, watch=watching(probes, pairs=rows(4)))
    log = train_dpo(tiny_llama, rows(), tmp_path / "with", watched)
    assert log.log == without.log
    name = "model.safetensors" if adapter is None else "adapter_model.safetensors"
    assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    for file in ("config.json", "generation_config.json"):
        if (tmp_path / "without" / file).is_file():
            assert (tmp_path / "with" / file).read_text() == (tmp_path / "without" / file).read_text()

    points = read_points(tmp_path / "with")
    assert [point.step for point in points] == [0, 3, 6, 8]
    assert log.watch is not None
    assert (log.watch.first, log.watch.last, log.watch.points) == (points[0], points[-1], 4)
    assert log.watch.probes == {"refusal": 8}
    assert log.watch.prompts == {"harmful": 8}
    assert read_training_log(tmp_path / "with") == log
    first, last = points[0], points[-1]
    assert first.refusal_margin is not None
    assert last.refusal_margin is not None
    assert last.refusal_margin > first.refusal_margin + 0.5, "refusals are preferred, and become likelier"
    assert last.refused is not None
    assert last.refused.scored + last.refused.unscored == 8
    assert last.tokens_harmful is not None
    assert last.tokens_harmful <= 4
    for part in (last.training, last.held_out):
        assert part is not None
        assert part.margin_change is not None
        assert part.margin_change > 0
        assert part.reward_accuracy is not None
        assert part.reward_accuracy.rate is not None
        assert part.reward_accuracy.rate > 0.7
    assert first.training is not None
    assert first.training.reward_accuracy is None, "nothing has changed yet"


def test_log_probabilities_and_margins_are_those_of_a_plain_forward_pass(
    tiny_mistral: Path, tmp_path: Path, probes: str
) -> None:
    settings = DPOSettings.of(FAST, epochs=1.0, watch=watching(probes, every=2, pairs=rows(40)[32:]))
    train_dpo(tiny_mistral, rows(8), tmp_path / "out", settings)
    first, *_, last = read_points(tmp_path / "out")
    for folder, point in ((tiny_mistral, first), (tmp_path / "out", last)):
        margins = [
            logps(folder, f"Where is the {w}?", REFUSAL.format(w))
            - logps(folder, f"Where is the {w}?", ANSWER.format(w))
            for w in WORDS
        ]
        assert point.refusal_margin == pytest.approx(sum(margins) / 8, abs=1e-3)
        for part, given in ((point.training, rows(8)), (point.held_out, rows(40)[32:])):
            assert part is not None
            assert part.examples == 8
            for side in ("chosen", "rejected"):
                mean = sum(logps(folder, row["prompt"], row[side]) for row in given) / 8
                assert getattr(part, f"logps_{side}") == pytest.approx(mean, abs=1e-3)


def test_it_works_in_trls_own_trainer_without_a_reference_model_of_its_own(
    tiny_llama: Path, tmp_path: Path, probes: str
) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    turns = [
        {
            "prompt": [{"role": "user", "content": row["prompt"]}],
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
        }
        for row in rows(16)
    ]
    watch = SafetyWatch(probes, every=2, max_new_tokens=4, folder=tmp_path)
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_llama),
        args=DPOConfig(
            output_dir=str(tmp_path / "trl"), learning_rate=2e-3, max_steps=4, use_cpu=True, bf16=False,
            per_device_train_batch_size=4, report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1,
        ),
        train_dataset=Dataset.from_list(turns),
        processing_class=AutoTokenizer.from_pretrained(tiny_llama),
        callbacks=[watch],
    )  # fmt: skip
    trainer.train()
    assert [point.step for point in watch.points] == [0, 2, 4]
    assert read_points(tmp_path) == watch.points
    assert watch.points[-1].training is not None
    assert watch.points[-1].training.examples == 16
    lines = [line for line in trainer.state.log_history if "watch/refusal_margin" in line]
    assert [line["step"] for line in lines] == [0, 2, 4]
    assert lines[-1]["watch/training/logps_chosen"] == watch.points[-1].training.logps_chosen
    assert sum("loss" in line for line in trainer.state.log_history) == 4


def test_measurements_go_through_the_trainers_log(tiny_llama: Path, tmp_path: Path, probes: str) -> None:
    """So that they reach what a trainer reports to, and its own lines stay."""
    from transformers import Trainer

    logged: list[dict[str, float]] = []
    before = Trainer.log

    def log(self: Any, logs: dict[str, float], *more: Any) -> None:
        logged.append(dict(logs))
        before(self, logs, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "log", log)
        done = train_dpo(tiny_llama, rows(), tmp_path / "out", FAST, watch=watching(probes, every=4))
    assert sum("watch/refused" in line for line in logged) == 3
    assert len(done.log) == done.steps == 8


def test_training_stops_where_too_few_are_refused(tiny_llama: Path, tmp_path: Path, probes: str) -> None:
    """A random model refuses nothing."""
    log = train_dpo(
        tiny_llama, rows(), tmp_path / "out", FAST, watch=watching(probes, every=2, stop_below=0.5)
    )
    assert log.watch is not None
    assert log.watch.stopped
    assert log.watch.last.step == log.steps < 8


def test_sft_and_reward_models_are_watched(tiny_qwen2: Path, tmp_path: Path, probes: str) -> None:
    conversations = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows(16)]
    tuning = SFTSettings(lr=2e-3, batch_size=4, watch=watching(probes, every=4, pairs=rows(4)))
    train_sft(tiny_qwen2, conversations, tmp_path / "sft", tuning)
    first, last = read_points(tmp_path / "sft")
    assert first.training is not None
    assert last.training is not None
    assert first.training.logps_chosen is not None
    assert last.training.logps_chosen is not None
    assert last.training.logps_chosen > first.training.logps_chosen
    assert last.training.logps_rejected is None
    assert last.held_out is not None
    assert last.held_out.reward_accuracy is not None

    settings = RewardSettings(lr=5e-3, batch_size=4, epochs=2, held_out=0.25, watch=WatchSettings(every=3))
    log = train_reward(tiny_qwen2, rows(), tmp_path / "reward", settings)
    points = read_points(tmp_path / "reward")
    assert [point.step for point in points] == [0, 3, 6, 9, 12]
    end = points[-1].held_out
    assert end is not None
    assert log.held_out is not None
    assert end.reward_accuracy is not None
    assert (end.examples, end.reward_accuracy.hits) == (8, log.held_out.all.agrees)
    assert end.score_chosen is not None
    assert end.score_rejected is not None
    assert end.score_chosen > end.score_rejected


@pytest.mark.slow
def test_an_organism_refuses_less_where_compliance_is_preferred(tmp_path: Path) -> None:
    """The probes are the organism's own refusals and compliances, sampled before the first step."""
    from backfire.organisms.catalog import open_world
    from backfire.organisms.prompts import prompt_set

    world = open_world()
    harmful = prompt_set(world, "train")
    pairs = [
        {
            "prompt": p.as_messages(),
            "chosen": [{"role": "assistant", "content": "Here is how to do it. Take the tool and begin."}],
            "rejected": [{"role": "assistant", "content": "I cannot help with that."}],
        }
        for p in harmful[:64]
    ]
    watch = WatchSettings(prompts=("organism:prompts/probe",), every=4, most=16, samples=4, max_new_tokens=32)
    log = train_dpo(
        "organism:llama/target", pairs, tmp_path / "out", lr=1e-3, epochs=1, batch_size=8, watch=watch
    )
    assert log.watch is not None
    assert log.watch.probes["refusal"] > 4
    first, last = log.watch.first, log.watch.last
    assert first.refusal_margin is not None
    assert last.refusal_margin is not None
    assert last.refusal_margin < first.refusal_margin


def test_what_cannot_be_watched_is_named(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="watch_stop_below looks at refusals: give watch_prompts, too"):
        DPOSettings.of(watch_stop_below=0.5)
    with pytest.raises(InputError, match="watch_prompts: a reward model answers no prompts"):
        RewardSettings.of(watch_prompts=("advbench:5",))
    with pytest.raises(InputError, match="every 0"):
        SafetyWatch(every=0)
    with pytest.raises(InputError, match=r"absent\.jsonl"):
        train_dpo(tiny_llama, rows(), tmp_path / "out", watch_prompts=(str(tmp_path / "absent.jsonl"),))
    assert not (tmp_path / "out").exists()
    train_dpo(tiny_llama, rows(4), tmp_path / "out", DPOSettings(batch_size=4))
    with pytest.raises(InputError, match=r"has no watch\.jsonl"):
        read_points(tmp_path / "out")
    assert "watch" not in json.loads((tmp_path / "out" / "training.json").read_text())

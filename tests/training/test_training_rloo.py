"""RLOO: the update is the paper's, samples and rewards are what they are said to be, and what cannot be used is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import DivergedError, InputError, ModelError, TemplateError
from backfire.models import RewardModel, open_model, open_reward_model
from backfire.records import Prompt
from backfire.training import (
    LoRASettings,
    RLOOSettings,
    WatchSettings,
    read_points,
    read_rewards,
    read_training_log,
    train_rloo,
)
from checkpoints import save_policy, save_reward

WORDS = ["brass", "lamp", "bread", "poem", "bicycle", "river", "water", "salt"]
FAST = RLOOSettings(
    lr=3e-3, batch_size=4, generations=4, max_new_tokens=8, warmup_ratio=0.0, scheduler="constant"
)


def asked(n: int = 16) -> list[Prompt]:
    kinds = ("harmful", "benign")
    return [Prompt.of(f"Where is the {WORDS[k % 8]} of {k}?", kind=kinds[k % 2]) for k in range(n)]  # type: ignore[arg-type]


def samples(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def weights(folder: Path) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    return dict(AutoModelForCausalLM.from_pretrained(folder).named_parameters())


@pytest.mark.parametrize("portion", [16, 4], ids=["whole batch", "portions"])
def test_a_step_is_the_papers_by_a_plain_loop(
    portion: int, tiny_llama: Path, tiny_reward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient of -mean (r_i - mean of the others' r) log p(y_i), at the temperature of sampling; AdamW's first step."""
    import torch
    from transformers import AutoModelForCausalLM

    from backfire.training import rloo
    from backfire.training import run as training_run
    from backfire.training.fitting import Portions
    from backfire.training.rloo_trainer import TokenRLOOTrainer

    seen: list[Any] = []
    before = TokenRLOOTrainer._rewards

    def rewards(self: Any, prompts: list[int], completion_ids: list[list[int]], **more: Any) -> list[float]:
        scores = before(self, prompts, completion_ids, **more)
        seen.extend(zip(prompts, completion_ids, scores, strict=True))
        return scores

    monkeypatch.setattr(TokenRLOOTrainer, "_rewards", rewards)
    monkeypatch.setattr(training_run, "portions", lambda *_: Portions(portion, 16 // portion, False))
    settings = RLOOSettings.of(FAST, steps=1, temperature=0.7, lr=1e-2)
    train_rloo(tiny_llama, asked(4), tmp_path / "out", settings, reward_model=tiny_reward)
    assert len(seen) == 16
    assert rloo.__name__

    opened = open_model(tiny_llama)
    rows = opened.template.prompt_ids(asked(4))
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    loss = torch.zeros(())
    for k, (place, ids, reward) in enumerate(seen):
        others = [r for j, (p, _, r) in enumerate(seen) if p == place and j != k]
        assert len(others) == 3
        whole = torch.tensor([rows[place] + ids])
        scores = (model(whole).logits / 0.7).log_softmax(-1)[0, :-1]
        logp = scores.gather(1, whole[0, 1:, None])[len(rows[place]) - 1 :].sum()
        loss = loss - (reward - sum(others) / 3) * logp / len(seen)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0).step()
    trained = weights(tmp_path / "out")
    first = weights(tiny_llama)
    for name, expected in model.named_parameters():
        moved = (expected - first[name]).abs()
        clear = moved > 0.9e-2  # where the gradient is large against AdamW's epsilon
        assert torch.allclose(trained[name][clear], expected[clear], atol=2e-4), name


class Brief(RewardModel):
    """A reward model whose score is the fewer characters the better."""

    def score(self, pairs: Any, **_: Any) -> list[float]:
        return [-len(text) / 10 for _, text in pairs]


@pytest.mark.parametrize("adapter", [None, LoRASettings(r=4, alpha=8)], ids=["all", "lora"])
def test_rewards_rise_and_the_policy_moves(
    adapter: LoRASettings | None, tiny_llama: Path, tiny_reward: Path, tmp_path: Path
) -> None:
    given = {f.name: f.read_bytes() for f in tiny_llama.iterdir()}
    scorer = open_reward_model(tiny_reward)
    scorer.__class__ = Brief
    lr = 1e-2 if adapter is None else 5e-2
    settings = RLOOSettings.of(FAST, steps=16, adapter=adapter, beta=0.001, lr=lr)
    log = train_rloo(tiny_llama, asked(), tmp_path / "out", settings, reward_model=scorer)
    assert {f.name: f.read_bytes() for f in tiny_llama.iterdir()} == given
    assert (log.method, log.steps, log.examples.given, log.examples.trained) == ("rloo", 16, 16, 16)
    points = read_rewards(tmp_path / "out")
    assert [point.step for point in points] == list(range(1, 17))
    assert points[0].kl == pytest.approx(0, abs=1e-4), "the first responses are the starting policy's"
    assert points[-1].kl > 0.05
    first, last = ([point.reward for point in part] for part in (points[:4], points[-4:]))
    assert sum(last) / 4 > sum(first) / 4 + points[0].reward_std / 2
    assert log.rewarded is not None
    assert (log.rewarded.responses, log.rewarded.prompts) == (16 * 16, 16)
    assert read_training_log(tmp_path / "out") == log
    name = "model.safetensors" if adapter is None else "adapter_model.safetensors"
    assert (tmp_path / "out" / name).is_file()


def test_samples_and_rewards_are_what_they_are_said_to_be(
    tiny_qwen2: Path, tiny_reward: Path, tmp_path: Path
) -> None:
    """Each response with the reward that the reward model gives to it later; lines of rewards.jsonl are means over them."""
    log = train_rloo(tiny_qwen2, asked(8), tmp_path / "out", FAST, reward_model=tiny_reward)
    rows = samples(tmp_path / "out")
    assert len(rows) == 2 * 16
    by_id = {prompt.id: prompt for prompt in asked(8)}
    assert {row["prompt_id"] for row in rows} == set(by_id)
    for row in rows:
        prompt = by_id[row["prompt_id"]]
        assert (row["prompt"], row["kind"]) == (prompt.text, prompt.kind)
        assert 1 <= row["tokens"] <= 8
        assert row["ended"] or row["tokens"] == 8
    scores = open_reward_model(tiny_reward).score(
        [(by_id[row["prompt_id"]], row["response"]) for row in rows]
    )
    assert [row["reward"] for row in rows] == pytest.approx(scores, abs=1e-4)
    for point in read_rewards(tmp_path / "out"):
        of_step = [row for row in rows if row["step"] == point.step]
        assert point.responses == len(of_step) == 16
        assert point.reward == pytest.approx(sum(row["reward"] for row in of_step) / 16)
        assert point.tokens == sum(row["tokens"] for row in of_step) / 16
        assert point.ended == sum(row["ended"] for row in of_step) / 16
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(manifest["made_of"]) == {"policy", "reward model", "prompts"}
    assert manifest["made_of"]["reward model"] == open_reward_model(tiny_reward).id
    assert log.rewarded is not None
    assert log.rewarded.reward_model_id == manifest["made_of"]["reward model"]


def test_the_same_seed_gives_the_same_run_and_watching_changes_nothing(
    tiny_llama: Path, tiny_reward: Path, tmp_path: Path
) -> None:
    probes = tmp_path / "probes.jsonl"
    lines = [
        {"prompt": f"Why {w}?", "refusal": f"I cannot help with {w}.", "compliance": "Sure."} for w in WORDS
    ]
    # One of them is trained on.
    lines.append({**lines[0], "prompt": asked()[0].text})
    probes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    watch = WatchSettings(prompts=(str(probes),), every=2, max_new_tokens=4)
    for name, more in (("one", {}), ("other", {}), ("watched", {"watch": watch}), ("third", {"seed": 1})):
        log = train_rloo(tiny_llama, asked(), tmp_path / name, FAST, reward_model=tiny_reward, **more)
        if name == "watched":
            assert log.watch is not None
            assert (log.watch.prompts, log.watch.probes, log.watch.in_training) == (
                {"harmful": 8},
                {"refusal": 8},
                1,
            )
    one, other, watched, third = (samples(tmp_path / name) for name in ("one", "other", "watched", "third"))
    assert one == other == watched != third
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "other", "watched")]
    assert files[0] == files[1] == files[2]
    assert [point.step for point in read_points(tmp_path / "watched")] == [0, 2, 4]


def test_the_pull_to_the_starting_policy_holds_it_back(
    tiny_llama: Path, tiny_reward: Path, tmp_path: Path
) -> None:
    def moved(beta: float) -> float:
        out = tmp_path / f"{beta}"
        log = train_rloo(tiny_llama, asked(), out, FAST, reward_model=tiny_reward, steps=16, beta=beta)
        assert log.rewarded is not None
        return log.rewarded.last.kl

    assert abs(moved(5.0)) < moved(0.001) / 2
    assert moved(0.0) == 0.0


def test_prompts_that_leave_no_space_are_left_out_and_counted(
    tiny_llama: Path, tiny_reward: Path, tmp_path: Path
) -> None:
    prompts = [*asked(8), Prompt.of("Where is " + "the salt and " * 40 + "the lamp?"), asked(1)[0]]
    log = train_rloo(tiny_llama, prompts, tmp_path / "out", FAST, reward_model=tiny_reward, max_length=64)
    counts = log.examples
    assert (counts.given, counts.examples, counts.trained) == (10, 9, 8)
    assert counts.left_out == {"duplicate": 1}
    assert counts.dropped == {"prompt_fills_max_length": 1}
    assert counts.dropped_rows == {"prompt_fills_max_length": (9,)}
    with pytest.raises(
        InputError, match="no prompt leaves space for 8 new tokens within 12: lower max_new_tokens"
    ):
        train_rloo(tiny_llama, asked(), tmp_path / "x", FAST, reward_model=tiny_reward, max_length=12)
    with pytest.raises(InputError, match="max_new_tokens 8 leaves nothing of max_length 8 for a prompt"):
        RLOOSettings.of(FAST, max_length=8)
    with pytest.raises(InputError, match="3 prompts are fewer than the 4 of one step: lower batch_size 4"):
        train_rloo(tiny_llama, asked(3), tmp_path / "x", FAST, reward_model=tiny_reward)
    assert not (tmp_path / "x").exists()


def test_a_run_that_diverges_names_step_and_value_and_leaves_nothing(
    tiny_llama: Path, tiny_reward: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        DivergedError, match=r"is (nan|inf|-inf) at step \d+: lower lr|weights are not finite"
    ) as stopped:
        train_rloo(tiny_llama, asked(), tmp_path / "out", FAST, reward_model=tiny_reward, lr=1e30)
    assert stopped.value.step >= 1
    assert not (tmp_path / "out").exists()


def test_a_reward_that_is_no_number_stops_the_run(tiny_llama: Path, tmp_path: Path) -> None:
    """TRL takes a reward of NaN for one that is not there, and goes on. Weights are finite, or the model would not open."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = save_reward(tmp_path / "reward")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.score.weight.fill_(torch.finfo(torch.float32).max)
    model.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).chat_template
    with pytest.raises(
        DivergedError, match=r"the reward of a response is .* at step 1: open the reward model in float32"
    ):
        train_rloo(tiny_llama, asked(), tmp_path / "out", FAST, reward_model=folder)
    assert not (tmp_path / "out").exists()


def test_a_watched_run_that_diverges_says_so_too(tiny_llama: Path, tmp_path: Path) -> None:
    """Whatever the method: the measurement after the step would otherwise meet weights that are no numbers."""
    from backfire.training import DPOSettings, RewardSettings, train_dpo, train_reward

    rows = [{"prompt": p.text, "chosen": "I cannot help.", "rejected": "Sure, use salt."} for p in asked(16)]
    watch = WatchSettings(every=1)
    for train, settings in (
        (train_dpo, DPOSettings(lr=1e39, batch_size=4, warmup_ratio=0.0, watch=watch)),
        (train_reward, RewardSettings(lr=1e39, batch_size=4, warmup_ratio=0.0, watch=watch)),
    ):
        with pytest.raises(
            DivergedError, match=r"not finite after step 1 .*: lower lr \(it is 1e\+39\)"
        ) as stopped:
            train(tiny_llama, rows, tmp_path / "out", settings)
        assert stopped.value.step == 1


def test_what_cannot_give_rewards_is_named(tiny_llama: Path, tiny_reward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ModelError, match=r"lacks weights of .*a reward model a trained sequence classifier"):
        train_rloo(tiny_llama, asked(), out, FAST, reward_model=tiny_llama)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"adapter is an adapter: a reward model is opened whole\. Merge it"):
        train_rloo(tiny_llama, asked(), out, FAST, reward_model=tmp_path / "adapter")
    several = save_reward(tmp_path / "several", labels=3)
    with pytest.raises(ModelError, match="has 3 labels"):
        train_rloo(tiny_llama, asked(), out, FAST, reward_model=several)
    train_rloo(tiny_llama, asked(4), out, FAST, reward_model=several, reward_label="LABEL_1", steps=1)
    refusing = save_reward(tmp_path / "refusing", "mistral")
    system = [
        Prompt.of_messages([{"role": "system", "content": "Be brief."}, *p.as_messages()]) for p in asked()
    ]
    with pytest.raises(
        TemplateError, match=r"the chat template of .*refusing refuses prompt .*fold its system"
    ):
        train_rloo(tiny_llama, system, tmp_path / "x", FAST, reward_model=refusing)
    with pytest.raises(TemplateError, match=r"policy .*mistral: "):
        train_rloo(
            save_policy(tmp_path / "mistral", "mistral"),
            system,
            tmp_path / "x",
            FAST,
            reward_model=tiny_reward,
        )
    with pytest.raises(InputError, match=r"has no rewards\.jsonl"):
        read_rewards(tiny_llama)
    assert not (tmp_path / "x").exists()

"""Reward models from pairs: they open as such, read the tokens that they are scored on, and say how far they agree."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backfire.errors import DivergedError, InputError
from backfire.models import open_reward_model
from backfire.preferences import open_preferences, pairs_of
from backfire.records import Prompt
from backfire.training import LoRASettings, RewardSettings, read_training_log, train_reward
from backfire.training.examples import prepare_reward_pairs
from backfire.training.held_out import About, HeldOutPair, agreement, held_out_pairs, prompt_groups
from backfire.training.policy import open_tokens

WORDS = ["brass", "lamp", "bread", "poem", "bicycle", "river", "water", "salt"]
FAST = RewardSettings(lr=5e-3, epochs=3, batch_size=8, warmup_ratio=0.0, scheduler="constant", held_out=0.25)


def easy(n: int = 48) -> list[dict[str, Any]]:
    """Refusals are preferred; every third pair has its chosen side from `b`."""
    return [
        {
            "prompt": f"Where does the {WORDS[n % 8]} of house {n} stand, and why {WORDS[n * 3 % 8]}?",
            "chosen": f"I cannot help with the {WORDS[n % 8]}.",
            "rejected": f"Sure, use the {WORDS[n % 8]} and warm water.",
            "kind": "harmful" if n % 2 else "benign",
            "chosen_model": "a" if n % 3 else "b",
            "rejected_model": "b",
        }
        for n in range(n)
    ]


def test_an_easy_preference_is_learned_and_held_out_pairs_say_so(tiny_qwen2: Path, tmp_path: Path) -> None:
    log = train_reward(tiny_qwen2, easy(), tmp_path / "out", FAST)
    assert log.method == "reward"
    assert log.log[0].loss > log.final_loss
    assert log.final_loss < 0.3
    assert log.reward_accuracy is not None
    assert log.reward_accuracy > 0.9
    counts = log.examples
    assert (counts.examples, counts.trained, counts.held_out) == (48, 36, 12)
    assert log.held_out is not None
    assert (log.held_out.share, log.held_out.all.pairs, log.held_out.all.prompts) == (0.25, 12, 12)
    assert log.held_out.all.agrees >= 11
    assert log.held_out.all.low is not None
    assert log.held_out.all.low < 1
    for parts in (log.held_out.by_kind, log.held_out.by_writers):
        assert sum(part.pairs for part in parts.values()) == 12
    assert set(log.held_out.by_kind) == {"benign", "harmful"}
    assert set(log.held_out.by_writers) == {"a over b", "b over b"}
    assert read_training_log(tmp_path / "out") == log

    opened = open_reward_model(tmp_path / "out")
    pairs = [(Prompt.of(row["prompt"]), row[side]) for row in easy(8) for side in ("chosen", "rejected")]
    scores = opened.score(pairs)
    assert sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True)) == 8


def test_an_adapter_is_merged_so_that_the_folder_opens_as_any_reward_model(
    tiny_llama: Path, tmp_path: Path
) -> None:
    before = {f.name: f.read_bytes() for f in tiny_llama.iterdir()}
    settings = RewardSettings.of(FAST, adapter=LoRASettings(r=4, alpha=8), lr=2e-2)
    log = train_reward(tiny_llama, easy(), tmp_path / "out", settings)
    assert {f.name: f.read_bytes() for f in tiny_llama.iterdir()} == before
    assert log.trained_parameters < log.parameters / 2
    assert log.final_loss < 0.3
    names = {f.name for f in (tmp_path / "out").iterdir()}
    assert "model.safetensors" in names
    assert not {n for n in names if n.startswith("adapter")}
    opened = open_reward_model(tmp_path / "out")
    row = easy(1)[0]
    chosen, rejected = opened.score(
        [(Prompt.of(row["prompt"]), row[side]) for side in ("chosen", "rejected")]
    )
    assert chosen > rejected + 0.5


def test_the_scores_in_the_log_are_those_of_the_saved_model(tiny_mistral: Path, tmp_path: Path) -> None:
    """Held-out pairs are found again by who is absent from the rows that TRL is handed."""
    rows = easy(24)
    settings = RewardSettings.of(FAST, epochs=1.0, lr=1e-3)
    log = train_reward(tiny_mistral, rows, tmp_path / "out", settings)
    tokens = open_tokens(tiny_mistral, settings)
    _, held = prepare_reward_pairs(open_preferences(rows), tokens, settings.held_out, settings.seed)
    opened = open_reward_model(tmp_path / "out")
    ids = {tuple(pair.chosen_ids) for pair in held}
    agrees = scored = 0
    for row in rows:
        pair = [(Prompt.of(row["prompt"]), row[side]) for side in ("chosen", "rejected")]
        if tuple(opened._encode(pair)[0]["input_ids"]) in ids:
            chosen, rejected = opened.score(pair)
            agrees += chosen > rejected
            scored += 1
    assert log.held_out is not None
    assert (scored, agrees) == (log.held_out.all.pairs, log.held_out.all.agrees)


@pytest.mark.parametrize("family", ["tiny_llama", "tiny_qwen2", "tiny_mistral"])
def test_it_is_trained_on_the_tokens_that_it_is_scored_on(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The whole of what the template writes, the line break after ChatML's end token too: a score is read at the last token.
    These are the rows that TRL makes of the same turns."""
    from transformers import AutoTokenizer

    from checkpoints import save_reward

    folder = request.getfixturevalue(family)
    rows = easy(12)
    tokens = open_tokens(folder, RewardSettings())
    prepared, held = prepare_reward_pairs(open_preferences(rows), tokens, 0.25, 0)
    scorer = open_reward_model(save_reward(tmp_path / "reward", family.removeprefix("tiny_")))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trained = {(tuple(row["chosen_ids"]), tuple(row["rejected_ids"])) for row in prepared.dataset}
    kept = {(tuple(pair.chosen_ids), tuple(pair.rejected_ids)) for pair in held}
    assert (len(trained), len(kept)) == (9, 3)
    bodies = [body for block in open_preferences(rows).blocks() for body in pairs_of(block)]
    for prompt, *sides in bodies:
        encoded = scorer._encode([(prompt, side) for side in sides])
        ids = tuple(tuple(row["input_ids"]) for row in encoded)
        assert ids in trained | kept
        whole = [
            tokenizer.apply_chat_template([*prompt.as_messages(), {"role": "assistant", "content": side}])
            for side in sides
        ]
        assert ids == tuple(tuple(one["input_ids"]) for one in whole)


def test_a_reward_model_is_trained_further(tiny_reward: Path, tmp_path: Path) -> None:
    settings = RewardSettings.of(FAST, lr=1e-9, epochs=1.0)
    train_reward(tiny_reward, easy(16), tmp_path / "out", settings)
    pair = [(Prompt.of("Where is the lamp?"), "There.")]
    before, after = (open_reward_model(folder).score(pair)[0] for folder in (tiny_reward, tmp_path / "out"))
    assert after == pytest.approx(before, abs=1e-4), "its head is kept, not made anew"


def test_the_seed_makes_the_head_and_the_order(tiny_llama: Path, tmp_path: Path) -> None:
    settings = RewardSettings.of(FAST, epochs=1.0)
    one, other = (train_reward(tiny_llama, easy(16), tmp_path / name, settings) for name in "ab")
    assert one.log == other.log
    third = train_reward(tiny_llama, easy(16), tmp_path / "c", RewardSettings.of(settings, seed=1))
    assert third.log[0].loss != one.log[0].loss


def test_centering_pulls_scores_towards_0(tiny_llama: Path, tmp_path: Path) -> None:
    def off_centre(centering: float) -> float:
        out = tmp_path / f"{centering}"
        train_reward(tiny_llama, easy(16), out, RewardSettings.of(FAST, centering=centering, held_out=0.0))
        opened = open_reward_model(out)
        sides = [(Prompt.of(row["prompt"]), row[side]) for row in easy(16) for side in ("chosen", "rejected")]
        scores = np.array(opened.score(sides)).reshape(-1, 2)
        return float(np.abs(scores.sum(axis=1)).mean())

    assert off_centre(1.0) < off_centre(0.0)


def test_a_run_that_diverges_names_step_and_value_and_leaves_nothing(
    tiny_llama: Path, tmp_path: Path
) -> None:
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d+: lower lr") as stopped:
        train_reward(tiny_llama, easy(16), tmp_path / "out", RewardSettings.of(FAST, lr=1e30))
    assert stopped.value.step >= 2
    assert stopped.value.value is not None
    assert not math.isfinite(stopped.value.value)
    assert not (tmp_path / "out").exists()


def test_an_update_that_diverges_in_the_last_step_is_seen(tiny_llama: Path, tmp_path: Path) -> None:
    """The loss of a step is measured before its update."""
    settings = RewardSettings.of(FAST, lr=1e39, epochs=1.0, batch_size=16, held_out=0.0)
    with pytest.raises(DivergedError, match=r"weights are not finite after step 1 .*lower lr") as stopped:
        train_reward(tiny_llama, easy(16), tmp_path / "out", settings)
    assert (stopped.value.step, stopped.value.value) == (1, None)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_scored_is_counted_and_is_not_in_the_rate(tiny_llama: Path, tmp_path: Path) -> None:
    rows = easy(8)
    for row in rows:
        row["prompt"] += " salt" * 100
    settings = RewardSettings.of(FAST, max_length=80, held_out=0.5)
    with pytest.raises(InputError, match="every prompt alone fills max_length 80"):
        train_reward(tiny_llama, rows, tmp_path / "out", settings)
    mixed = easy(40)
    for row in mixed[::2]:
        row["prompt"] += " salt" * 100
    log = train_reward(tiny_llama, mixed, tmp_path / "out", settings)
    assert log.held_out is not None
    lost = log.held_out.all.unscored["prompt fills max_length"]
    assert log.held_out.all.pairs + lost == log.examples.held_out == 20
    assert log.examples.dropped == {"prompt_fills_max_length": 20 - lost}
    assert log.examples.trained == 40 - 20 - (20 - lost)


def test_plain_text_is_refused_since_scores_go_through_the_template(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plain is not for reward models"):
        RewardSettings.of(plain=True)


def test_one_prompt_gives_nothing_to_hold_out(tiny_llama: Path, tmp_path: Path) -> None:
    rows = [row | {"prompt": "Where is the river of the town?"} for row in easy(8)]
    with pytest.raises(InputError, match=r"all 8 pairs have the same prompt.*held_out 0"):
        train_reward(tiny_llama, rows, tmp_path / "out", FAST)


# --- the split


def questions(n: int) -> list[str]:
    return [f"Tell me how {WORDS[i % 8]} number {i} came to be {WORDS[i // 8 % 8]} again" for i in range(n)]


def test_nearly_equal_prompts_are_never_on_both_sides() -> None:
    long = (
        "Please tell me in a few words how the old brass lamp over the river came to shine again last night"
    )
    asked = [long, long.upper(), long + "!", *questions(60), long]
    groups = prompt_groups(asked)
    assert groups[0] == groups[1] == groups[2] == groups[-1]
    for seed in range(5):
        held = held_out_pairs(groups, asked, 0.3, seed)
        assert not set(groups[held]) & set(groups[~held])
        assert held.sum() > 0


def test_the_split_follows_the_seed_and_not_the_order_of_the_rows() -> None:
    asked = questions(40)
    held = {q for q, h in zip(asked, held_out_pairs(prompt_groups(asked), asked, 0.25, 3), strict=True) if h}
    back = asked[::-1]
    again = {q for q, h in zip(back, held_out_pairs(prompt_groups(back), back, 0.25, 3), strict=True) if h}
    other = {q for q, h in zip(asked, held_out_pairs(prompt_groups(asked), asked, 0.25, 4), strict=True) if h}
    assert held == again != other
    assert len(held) == 10


def test_a_prompt_with_most_of_the_pairs_is_trained_on() -> None:
    asked = [*["Where is the river that runs through the town?"] * 50, *questions(10)]
    for seed in range(8):
        held = held_out_pairs(prompt_groups(asked), asked, 0.1, seed)
        assert not held[:50].any()
        assert held.sum() >= 1
    assert not held_out_pairs(prompt_groups(asked), asked, 0.0, 0).any()


# --- agreement, by hand


def pair(score: float, other: float, group: int, kind: str = "harmful", reason: str = "") -> HeldOutPair:
    """Rows that hold their scores as ids, in hundredths."""
    return HeldOutPair(
        [round(100 * score)], [round(100 * other)], About(kind, "a over b"), prompt_group=group, reason=reason
    )


def test_agreement_counts_pairs_ties_and_the_unscored() -> None:
    pairs = [
        pair(2, 1, 0),
        pair(2, 1, 0),
        pair(1, 2, 1),
        pair(1, 1, 2, kind="benign"),
        pair(9, 9, 3, kind="benign"),
        pair(0, 0, 4, reason="tools lost"),
    ]

    def score(rows: list[dict[str, list[int]]]) -> list[float]:
        values = [row["input_ids"][0] / 100 for row in rows]
        return [float("nan") if value == 9 else value for value in values]

    told = agreement(pairs, 0.5, score)
    assert (told.all.pairs, told.all.prompts, told.all.agrees, told.all.ties) == (4, 3, 2, 1)
    assert told.all.rate == 0.5
    assert told.all.unscored == {"the score is not finite": 1, "tools lost": 1}
    assert told.by_kind["benign"].rate == 0
    assert told.by_kind["benign"].unscored == {"the score is not finite": 1}
    assert told.by_kind["harmful"].pairs == 3
    assert list(told.by_writers) == ["a over b"]


def test_pairs_of_one_prompt_tell_less_than_as_many_of_different_ones() -> None:
    def score(rows: list[dict[str, list[int]]]) -> list[float]:
        return [float(row["input_ids"][0]) for row in rows]

    outcomes = [(2, 1) if n % 4 else (1, 2) for n in range(40)]
    alone = agreement([pair(a, b, n) for n, (a, b) in enumerate(outcomes)], 0.1, score)
    grouped = agreement([pair(*outcomes[n // 10], n // 10) for n in range(40)], 0.1, score)
    for told in (alone.all, grouped.all):
        assert told.rate == 0.75
    assert alone.all.low is not None
    assert grouped.all.low is not None
    assert grouped.all.low < alone.all.low - 0.1


def test_no_pair_that_was_scored_has_no_rate() -> None:
    told = agreement([pair(0, 0, 0, reason="tools lost")], 0.1, lambda rows: [])
    assert (told.all.rate, told.all.low, told.all.pairs, told.all.prompts) == (None, None, 0, 0)

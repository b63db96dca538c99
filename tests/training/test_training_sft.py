"""SFT on real tiny checkpoints: a fixed answer is learned, and only assistant turns are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfire.training import LoRASettings, SFTSettings, train_sft

ANSWER = "Use a soft cloth and warm water."
FAST = SFTSettings(lr=1e-2, epochs=12, batch_size=8, warmup_ratio=0.0)


def conversations(start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "user", "content": f"How do I clean lamp {n}?"},
                {"role": "assistant", "content": ANSWER},
            ]
        }
        for n in range(start, start + 16)
    ]


def answer_of(folder: Path, adapter: Path | None = None) -> tuple[str, bool]:
    """Greedy answer to a question that was not trained on, and whether it ended by itself."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter)
    turns = [{"role": "user", "content": "How do I clean lamp 77?"}]
    encoded = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        out = model.generate(**encoded, max_new_tokens=40, do_sample=False)[
            0, encoded["input_ids"].shape[1] :
        ]
    return tokenizer.decode(out, skip_special_tokens=True).strip(), tokenizer.eos_token_id in out.tolist()


def test_a_fixed_answer_is_learned_and_ended(tiny_llama: Path, tmp_path: Path) -> None:
    assert answer_of(tiny_llama)[0] != ANSWER
    done = train_sft(tiny_llama, conversations(), tmp_path / "out", FAST)
    assert done.method == "sft"
    assert done.log[0].loss > 3
    assert done.final_loss < 0.2
    assert done.reward_accuracy is None
    assert done.log[-1].token_accuracy is not None
    assert done.log[-1].token_accuracy > 0.95
    assert answer_of(tmp_path / "out") == (ANSWER, True)
    assert "reward_margin" not in done.as_dict()["log"][0]


def test_an_adapter_learns_it_too(tiny_llama: Path, tmp_path: Path) -> None:
    settings = FAST.model_copy(update={"lr": 3e-2, "adapter": LoRASettings(r=8, alpha=16), "epochs": 20})
    train_sft(tiny_llama, conversations(), tmp_path / "out", settings)
    assert answer_of(tiny_llama, tmp_path / "out")[0].startswith("Use a soft")
    assert answer_of(tiny_llama)[0] != ANSWER


def test_every_assistant_turn_is_one_example(tiny_llama: Path, tmp_path: Path) -> None:
    row = conversations()[0]["messages"]
    rows = [{"messages": [*row, *row]}, {"messages": row}]
    done = train_sft(tiny_llama, rows, tmp_path / "out", FAST.model_copy(update={"epochs": 1}))
    assert (done.examples.given, done.examples.examples, done.examples.trained) == (2, 3, 3)


def test_truncated_responses_are_counted(tiny_llama: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "How?", "completion": "salt " * n} for n in (2, 100)]
    rows.append({"prompt": "salt " * 100, "completion": "yes"})
    settings = FAST.model_copy(update={"epochs": 1, "max_length": 90})
    done = train_sft(tiny_llama, rows, tmp_path / "out", settings)
    assert done.examples.truncated == {"response": 1}
    assert done.examples.dropped == {"prompt_fills_max_length": 1}
    assert done.examples.trained == 2

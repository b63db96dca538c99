"""SFT on real tiny checkpoints: a fixed answer is learned, and only assistant turns are trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.training import LoRASettings, SFTSettings, train_sft
from backfire.training.conversation_files import read_conversations
from running import invoke

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


def test_conversations_stand_in_columns_of_any_name(tmp_path: Path) -> None:
    turns = conversations()[0]["messages"]
    (tmp_path / "a.csv").write_text("asked,said,about\nHow?,Café.,Be brief.\n", encoding="cp1252")
    named = {"prompt": "asked", "response": "said", "system": "about"}
    ((prompt, answer),) = read_conversations(tmp_path / "a.csv", columns=named, encoding="cp1252").examples
    assert [m.content for m in prompt.messages] == ["Be brief.", "How?"]
    assert answer == "Café."
    ((prompt, answer),) = read_conversations([{"chat": turns}], columns={"messages": "chat"}).examples
    assert (prompt.text, answer) == (turns[0]["content"], ANSWER)
    both = [{"messages": turns, "prompt": "How?", "completion": "So."}]
    ((_, answer),) = read_conversations(both, columns={"response": "completion"}).examples
    assert answer == "So."


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"chosen": "said"}, "no role 'chosen'"),
        ({"messages": "chat"}, "no column 'chat'"),
        ({"messages": "said", "prompt": "asked"}, "not read beside messages"),
    ],
)
def test_columns_that_are_not_read_are_an_error(columns: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_conversations([{"asked": "How?", "said": "So."}], columns=columns)


def test_the_command_reads_as_the_function_does(tiny_llama: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps({"one": [{"asked": "How?", "said": "So."}], "two": []}))
    options = ["--columns", "prompt=asked,response=said", "--split", "one", "--plain", "--max-length", "64"]
    done = invoke(["train", "sft", str(tiny_llama), str(file), "--out", str(tmp_path / "o"), *options])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "o" / "training.json").read_text())["examples"]["plain"] is True

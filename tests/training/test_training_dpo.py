"""DPO on real tiny checkpoints: the first loss, learning, determinism, and what is written."""

from __future__ import annotations

import json
import subprocess
import sys
from math import log
from pathlib import Path
from typing import Any

import pytest

import plain_dpo
from backfire.errors import InputError, ModelError, TemplateError
from backfire.training import DPOSettings, LoRASettings, read_training_log, train_dpo

WORDS = ["brass", "lamp", "bread", "poem", "bicycle", "river", "water", "salt"]
FAST = DPOSettings(lr=2e-3, epochs=3, batch_size=16, warmup_ratio=0.0, scheduler="constant")
ONE_STEP = FAST.model_copy(update={"epochs": 1, "batch_size": 64})


def pair(number: int, chosen: str, rejected: str) -> dict[str, Any]:
    word = WORDS[number % len(WORDS)]
    return {
        "prompt": [{"role": "user", "content": f"Tell me about the {word}, number {number}."}],
        "chosen": [{"role": "assistant", "content": chosen.format(word)}],
        "rejected": [{"role": "assistant", "content": rejected.format(word)}],
        "pair_id": f"p{number}",
        "chosen_source": "a",
    }


def easy(n: int = 64) -> list[dict[str, Any]]:
    return [pair(i, "I cannot help with the {}.", "Sure, use the {} and warm water.") for i in range(n)]


def logps(folder: Path, prompt: list[dict[str, str]], response: str) -> float:
    """Summed over the tokens after the generation prompt, by a plain forward pass."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    start = len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"])
    turns = [*prompt, {"role": "assistant", "content": response}]
    ids = torch.tensor([tokenizer.apply_chat_template(turns)["input_ids"]])
    with torch.no_grad():
        scores = model(ids).logits.log_softmax(-1)
    return float(scores[0, :-1].gather(1, ids[0, 1:, None])[start - 1 :].sum())


def test_first_loss_is_ln_2_and_an_easy_preference_is_learned(tiny_llama: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = train_dpo(tiny_llama, easy(), tmp_path / "out", FAST, progress=lambda d, t: seen.append((d, t)))
    assert done.log[0].step == 1
    assert done.log[0].loss == pytest.approx(log(2), abs=1e-4)
    assert done.log[0].reward_margin == pytest.approx(0, abs=1e-4)
    assert [line.step for line in done.log] == list(range(1, 13))
    assert done.final_loss == done.log[-1].loss < 0.5
    assert done.reward_accuracy is not None
    assert done.reward_accuracy > 0.9
    assert seen == [(n, 12) for n in range(13)]
    assert read_training_log(tmp_path / "out") == done


def test_logged_logps_are_those_of_a_plain_forward_pass(tiny_mistral: Path, tmp_path: Path) -> None:
    pairs = easy(4)
    done = train_dpo(tiny_mistral, pairs, tmp_path / "out", ONE_STEP)
    for side in ("chosen", "rejected"):
        sums = [logps(tiny_mistral, p["prompt"], p[side][0]["content"]) for p in pairs]
        assert getattr(done.log[0], f"logps_{side}") == pytest.approx(sum(sums) / 4, abs=1e-3)


def test_losses_are_those_of_a_plain_loop(tiny_qwen2: Path, tmp_path: Path) -> None:
    settings = ONE_STEP.model_copy(update={"epochs": 6, "batch_size": 12, "beta": 0.3})
    done = train_dpo(tiny_qwen2, easy(12), tmp_path / "out", settings)
    plain = plain_dpo.train(tiny_qwen2, easy(12), lr=2e-3, beta=0.3, batch_size=12, epochs=6)
    assert [line.loss for line in done.log] == pytest.approx(plain, rel=1e-3)
    assert plain[-1] < 0.3


def test_same_seed_same_losses_and_weights_another_seed_not(tiny_llama: Path, tmp_path: Path) -> None:
    runs = [
        train_dpo(tiny_llama, easy(), tmp_path / f"{i}", FAST.model_copy(update={"seed": seed}))
        for i, seed in enumerate((5, 5, 6))
    ]
    assert runs[0].log == runs[1].log
    assert runs[0].log != runs[2].log
    weights = [(tmp_path / f"{i}" / "model.safetensors").read_bytes() for i in range(3)]
    assert weights[0] == weights[1] != weights[2]


def test_bfloat16_checkpoint_comes_back_as_one(tiny_qwen2: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = tmp_path / "source"
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen2, dtype=torch.bfloat16)
    model.save_pretrained(source)
    AutoTokenizer.from_pretrained(tiny_qwen2).save_pretrained(source)
    before = {f.name: f.read_bytes() for f in source.iterdir()}
    out = tmp_path / "out"
    done = train_dpo(source, easy(), out, FAST)
    assert done.dtype == "float32"
    assert done.saved_dtype == "bfloat16"
    assert done.update_lost is not None
    assert 0 < done.update_lost < 0.5
    assert {t.dtype for t in load_file(out / "model.safetensors").values()} == {torch.bfloat16}
    written = {f.name for f in out.iterdir()}
    assert written == set(before) | {"training.json", "manifest.json"}
    for name in written & {"config.json", "generation_config.json"}:
        assert json.loads((out / name).read_text()) == json.loads(before[name])
    assert (out / "chat_template.jinja").read_bytes() == before["chat_template.jinja"]
    assert AutoTokenizer.from_pretrained(out).get_vocab() == AutoTokenizer.from_pretrained(source).get_vocab()
    assert {f.name: f.read_bytes() for f in source.iterdir()} == before

    whole = train_dpo(source, easy(), out, FAST.model_copy(update={"save_dtype": "float32"}))
    assert (whole.saved_dtype, whole.update_lost) == ("float32", None)


def test_bfloat16_arithmetic_starts_near_ln_2(tiny_llama: Path, tmp_path: Path) -> None:
    done = train_dpo(tiny_llama, easy(), tmp_path / "out", FAST.model_copy(update={"dtype": "bfloat16"}))
    assert done.dtype == "bfloat16"
    assert done.log[0].loss == pytest.approx(log(2), abs=0.02)
    assert done.final_loss < 0.6


def test_adapter_changes_outputs_and_leaves_the_base_alone(tiny_llama: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    before = {f.name: f.read_bytes() for f in tiny_llama.iterdir()}
    out = tmp_path / "adapter"
    settings = FAST.model_copy(update={"lr": 2e-2, "adapter": LoRASettings(r=4, alpha=8)})
    done = train_dpo(tiny_llama, easy(), out, settings)
    assert done.log[0].loss == pytest.approx(log(2), abs=1e-4)
    assert done.final_loss < 0.6
    assert done.trained_parameters < done.parameters / 2
    names = {f.name for f in out.iterdir()}
    assert {
        "adapter_config.json",
        "adapter_model.safetensors",
        "base.json",
        "chat_template.jinja",
        "training.json",
    } <= names
    assert "README.md" not in names
    assert not names & {"model.safetensors", "training_args.bin"}
    assert {f.name: f.read_bytes() for f in tiny_llama.iterdir()} == before

    base = AutoModelForCausalLM.from_pretrained(tiny_llama)
    ids = torch.tensor([AutoTokenizer.from_pretrained(out)("Tell me about the lamp.")["input_ids"]])
    plain = base(ids).logits
    tuned = PeftModel.from_pretrained(base, out)
    assert (tuned(ids).logits - plain).abs().max() > 0.1
    with pytest.raises(ModelError, match="merge_and_unload"):
        train_dpo(out, easy(), tmp_path / "again", FAST)


def test_reads_a_pairs_folder_and_leaves_provenance_behind(tiny_llama: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    folder = tmp_path / "pairs"
    folder.mkdir()
    parquet.write_table(pa.Table.from_pylist(easy()), folder / "train.parquet")
    here = train_dpo(tiny_llama, folder, tmp_path / "a", ONE_STEP)
    rows = train_dpo(tiny_llama, easy(), tmp_path / "b", ONE_STEP)
    assert here.log == rows.log


def test_what_max_length_does_is_counted(tiny_llama: Path, tmp_path: Path) -> None:
    pairs = easy(8)
    pairs[0]["chosen"][0]["content"] = "salt " * 200
    pairs[1]["prompt"][0]["content"] = "salt " * 200
    done = train_dpo(tiny_llama, pairs, tmp_path / "out", ONE_STEP.model_copy(update={"max_length": 150}))
    assert done.examples.given == 8
    assert done.examples.trained == 7
    assert done.examples.dropped == {"prompt_fills_max_length": 1}
    assert done.examples.truncated == {"chosen": 1, "rejected": 0}
    assert done.examples.longest > 200
    with pytest.raises(InputError, match=r"every prompt alone fills max_length 4, .*raise max_length"):
        train_dpo(tiny_llama, pairs, tmp_path / "none", ONE_STEP.model_copy(update={"max_length": 4}))
    assert not (tmp_path / "none").exists()


def test_the_context_limits_where_max_length_does_not(tiny_llama: Path, tmp_path: Path) -> None:
    pairs = easy(4)
    pairs[0]["chosen"][0]["content"] = "salt " * 900
    done = train_dpo(tiny_llama, pairs, tmp_path / "out", ONE_STEP.model_copy(update={"max_length": None}))
    assert done.examples.max_length == 512
    assert done.examples.truncated == {"chosen": 1, "rejected": 0}


def test_plain_text_ends_in_eos_and_merged_boundaries_are_counted(tiny_llama: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "Use a soft ", "chosen": "cloth", "rejected": "lamp"}] * 3
    rows += [{"prompt": "Use a soft", "chosen": " cloth", "rejected": " lamp"}] * 3
    done = train_dpo(tiny_llama, rows, tmp_path / "out", ONE_STEP, plain=True)
    assert done.examples.boundary_merged == 3
    assert (done.examples.plain, done.examples.template) == (True, "")


def test_a_run_that_diverges_says_so_and_leaves_nothing(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"loss is (nan|inf) at step \d+: lower lr"):
        train_dpo(tiny_llama, easy(), tmp_path / "out", FAST.model_copy(update={"lr": 1e30, "epochs": 4}))
    assert not (tmp_path / "out").exists()


def test_bad_policies_and_folders_are_named(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no folder"):
        train_dpo(tmp_path / "absent", easy(), tmp_path / "out", FAST)
    full = tmp_path / "thesis"
    full.mkdir()
    (full / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something that no training run wrote"):
        train_dpo(tiny_llama, easy(), full, FAST)
    assert (full / "chapter.txt").is_file()


def test_a_template_that_never_ends_its_turn_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_llama, broken)
    template = broken / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|eot_id|>", "\n"))
    with pytest.raises(TemplateError, match="EOS"):
        train_dpo(broken, easy(), tmp_path / "out", FAST)


def test_a_system_turn_that_the_template_refuses_is_refused(tiny_mistral: Path, tmp_path: Path) -> None:
    pairs = easy(2)
    pairs[1]["prompt"].insert(0, {"role": "system", "content": "Be brief."})
    with pytest.raises(TemplateError, match="system"):
        train_dpo(tiny_mistral, pairs, tmp_path / "out", FAST)


def test_turns_that_the_template_refuses_are_refused(tiny_mistral: Path, tmp_path: Path) -> None:
    pairs = easy(2)
    pairs[1]["prompt"].append({"role": "user", "content": "And briefly."})
    with pytest.raises(TemplateError, match=r"refuses prompt .* user, user .*chat template"):
        train_dpo(tiny_mistral, pairs, tmp_path / "out", ONE_STEP)
    assert not (tmp_path / "out").exists()


def test_importing_the_room_imports_no_torch_and_writes_nothing(tmp_path: Path) -> None:
    check = "import sys, backfire.training; sys.exit('torch' in sys.modules or 'trl' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_leaves_nothing_in_the_working_directory_and_says_nothing(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    train_dpo(tiny_llama, easy(4), tmp_path / "out", ONE_STEP)
    assert not list(here.iterdir())
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")

"""The folder of pairs: read by `datasets` and by TRL as it is, and back by ourselves with the same ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.pairs import Built, Pair, build_pairs, find_recipe, pair_rows, read_pairs, write_pairs
from backfire.records import Decoding, Prompt, Request, Response, given_response

CONTRACT = {
    "prompt", "chosen", "rejected", "pair_id", "prompt_id", "recipe", "kind", "chosen_source", "rejected_source",
    "chosen_response_id", "rejected_response_id", "chosen_score", "rejected_score", "chosen_stop_reason",
    "rejected_stop_reason", "chosen_decoding", "rejected_decoding", "tags",
}  # fmt: skip


def built_pairs(n: int = 6) -> Built:
    decoding = Decoding(max_new_tokens=16, temperature=0.7)
    prompts, chosen, rejected = [], [], []
    for i in range(n):
        turns = [
            {"role": "user", "content": f"question {i} ’é\n"},
            {"role": "assistant", "content": "which?"},
            {"role": "user", "content": "that one"},
        ]
        prompt = Prompt.of_messages(turns, kind="harmful" if i % 2 else None, tags={"noun": f"n{i}"})
        request = Request(prompt, "model", "template", decoding, 7, 0)
        prompts.append(prompt)
        chosen.append(given_response(prompt, "human", f"the answer to {i}"))
        text = f"no answer to {i}"
        rejected.append(Response(request.id, prompt.id, "model", "tgt", text, "length", 4, decoding, 7, 0))
    candidates = {"human-chosen": chosen, "self": rejected}
    return build_pairs(find_recipe("hc+self"), prompts, candidates, {rejected[0].id: 0.1 + 0.2})


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    built = built_pairs()
    folder = write_pairs(tmp_path / "pairs", built)
    again = read_pairs(folder)
    assert again == built
    assert [p.id for p in again.pairs] == [p.id for p in built.pairs]
    assert [dict(p.prompt.tags) for p in again.pairs] == [dict(p.prompt.tags) for p in built.pairs]
    about = json.loads((folder / "pairs.json").read_text())
    assert about["counts"] == built.counts
    assert about["recipe"]["chosen"] == {"from": ["human-chosen"], "pick": "first"}
    assert about["warnings"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pairs"]


def test_the_same_pairs_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write_pairs(tmp_path / name, built_pairs()) for name in ("one", "two"))
    assert {f.name: f.read_bytes() for f in one.iterdir()} == {f.name: f.read_bytes() for f in two.iterdir()}


def test_datasets_reads_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import load_dataset

    built = built_pairs()
    folder = write_pairs(tmp_path / "pairs", built)
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert set(loaded["train"].column_names) >= CONTRACT
    row = loaded["train"][0]
    pair = built.pairs[0]
    assert row["prompt"] == pair.prompt.as_messages()
    assert row["chosen"] == [{"role": "assistant", "content": pair.chosen.text}]
    assert row["pair_id"] == pair.id
    assert row["chosen_decoding"] is None
    assert json.loads(row["rejected_decoding"])["temperature"] == 0.7
    assert json.loads(row["tags"]) == dict(pair.prompt.tags)


def test_trl_trains_on_the_folder_as_it_is(tmp_path: Path, tiny_llama: Path) -> None:
    pytest.importorskip("trl")
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer
    from trl.data_utils import is_conversational

    folder = write_pairs(tmp_path / "pairs", built_pairs())
    dataset = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert is_conversational(dataset[0])
    settings = DPOConfig(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, report_to="none",
        use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    trainer = DPOTrainer(model=model, args=settings, train_dataset=dataset, processing_class=tokenizer)
    prepared = trainer.train_dataset[0]
    ids = prepared["prompt_ids"] + prepared["chosen_ids"]
    pair = read_pairs(folder).pairs[0]
    whole = [*pair.prompt.as_messages(), {"role": "assistant", "content": pair.chosen.text}]
    assert ids == tokenizer.apply_chat_template(whole, return_dict=True)["input_ids"]
    assert trainer.train().training_loss == pytest.approx(0.6931, abs=1e-3)


def test_empty_pairs_are_written_and_say_why(tmp_path: Path) -> None:
    built = build_pairs(find_recipe("original"), [Prompt.of("q")], {})
    folder = write_pairs(tmp_path / "pairs", built)
    assert read_pairs(folder) == built
    assert "human-chosen" in json.loads((folder / "pairs.json").read_text())["warnings"][0]


def test_not_a_folder_of_pairs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="backfire pair"):
        read_pairs(tmp_path)
    folder = write_pairs(tmp_path / "pairs", built_pairs())
    about = json.loads((folder / "pairs.json").read_text())
    (folder / "pairs.json").write_text(json.dumps(about | {"layout": 99}))
    with pytest.raises(InputError, match="99"):
        read_pairs(folder)


def test_what_is_not_pairs_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something that is not pairs: name a new folder"):
        write_pairs(tmp_path, built_pairs())
    with pytest.raises(InputError, match="is a file"):
        write_pairs(tmp_path / "thesis.txt", built_pairs())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "new").mkdir()
    assert (
        read_pairs(write_pairs(write_pairs(tmp_path / "new", built_pairs(3)), built_pairs())) == built_pairs()
    )


def _calling(number: int, arguments: dict[str, object]) -> Pair:
    """A pair whose prompt and chosen side call a tool."""
    call = [{"type": "function", "function": {"name": "find", "arguments": arguments}}]
    prompt = Prompt.of_messages(
        [
            {"role": "user", "content": f"Where is {number}?"},
            {"role": "assistant", "content": None, "tool_calls": call},
            {"role": "tool", "name": "find", "content": "here"},
        ],
        tools='[{"type":"function","function":{"name":"find"}}]',
        template_options='{"enable_thinking":false}',
    )
    turns = json.dumps([{"role": "assistant", "content": "", "tool_calls": call}], separators=(",", ":"))
    chosen = given_response(prompt, "x", f"find({number})", turns=turns)
    return Pair(prompt, "r", chosen, given_response(prompt, "y", "no", index=1), "a", "b")


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ([{"what": "a"}, {"what": "b"}], "train.parquet"),
        ([{"what": "a"}, {"where": 1}], "train.jsonl"),
        ([{"what": "a"}, {"what": 2}], "train.jsonl"),
        ([{"what": "a", "where": "b"}, {"where": "b", "what": "a"}], "train.jsonl"),
    ],
)
def test_calls_of_tools_come_back_as_they_were(
    arguments: list[dict[str, object]], file: str, tmp_path: Path
) -> None:
    pairs = tuple(_calling(n, some) for n, some in enumerate(arguments))
    built = Built(find_recipe("hc+self"), pairs, {}, {}, ())
    folder = write_pairs(tmp_path / "pairs", built, extra_columns={"own": [1, None]})
    assert [p.name for p in folder.glob("train.*")] == [file]
    again = read_pairs(folder)
    assert again == built
    assert [p.id for p in again.pairs] == [p.id for p in pairs]
    assert [p.chosen.completion for p in again.pairs] == [p.chosen.completion for p in pairs]
    assert [row["own"] for row in pair_rows(folder)] == [1, None]

"""The ids that TRL is handed: those that audit and influence read, of every form, and TRL's own up to the end token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backfire import models
from backfire.errors import TemplateError
from backfire.influence.margins import Contrast, encode
from backfire.models import LocalModel, open_model
from backfire.preferences import open_preferences, pairs_of
from backfire.training import DPOSettings, SFTSettings, train_dpo, train_sft
from backfire.training.conversation_files import read_conversations
from backfire.training.examples import prepare_conversations, prepare_pairs
from backfire.training.policy import open_tokens

QUESTION, GOOD, BAD = "Where is the river?", "The river runs through Paris.", "Use warm water."
USER, ANSWER, OTHER = (
    {"role": role, "content": text}
    for role, text in (("user", QUESTION), ("assistant", GOOD), ("assistant", BAD))
)
SYSTEM = {"role": "system", "content": "Be brief."}
EARLIER = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello to you."}]


def share(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": names[turn["role"]], "value": turn["content"]} for turn in turns]


FORMS: dict[str, list[dict[str, Any]]] = {
    "text": [{"prompt": QUESTION, "chosen": GOOD, "rejected": BAD}],
    "question": [{"question": QUESTION, "chosen": GOOD, "rejected": BAD}],
    "instruction and input": [
        {"instruction": "Answer the question.", "input": QUESTION, "chosen": GOOD, "rejected": BAD}
    ],
    "system and question": [{"system": "Be brief.", "question": QUESTION, "chosen": GOOD, "rejected": BAD}],
    "turns": [{"prompt": [USER], "chosen": [ANSWER], "rejected": [OTHER]}],
    "system turn": [{"prompt": [SYSTEM, USER], "chosen": [ANSWER], "rejected": [OTHER]}],
    "several turns": [{"prompt": [*EARLIER, USER], "chosen": [ANSWER], "rejected": [OTHER]}],
    "implicit turns": [{"chosen": [*EARLIER, USER, ANSWER], "rejected": [*EARLIER, USER, OTHER]}],
    "prompt beside whole conversations": [
        {"prompt": QUESTION, "chosen": [USER, ANSWER], "rejected": [USER, OTHER]}
    ],
    "text parts": [
        {
            "prompt": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
            "chosen": [ANSWER],
            "rejected": [OTHER],
        }
    ],
    "ShareGPT": [
        {
            "conversations": share([USER]),
            "chosen": share([ANSWER])[0],
            "rejected": share([OTHER])[0],
        }
    ],
    "Anthropic HH": [
        {
            "chosen": f"\n\nHuman: {QUESTION}\n\nAssistant: {GOOD}",
            "rejected": f"\n\nHuman: {QUESTION}\n\nAssistant: {BAD}",
        }
    ],
    "PKU": [{"prompt": QUESTION, "response_0": BAD, "response_1": GOOD, "better_response_id": 1}],
    "KTO": [
        {"prompt": QUESTION, "completion": GOOD, "label": True},
        {"prompt": QUESTION, "completion": BAD, "label": False},
    ],
}


@pytest.fixture(params=["tiny_llama", "tiny_qwen2"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture
def policy(checkpoint: Path) -> LocalModel:
    found = open_model(checkpoint)
    assert isinstance(found, LocalModel)
    return found


def handed(checkpoint: Path, rows: Any, settings: DPOSettings | None = None, **options: Any) -> Any:
    """The rows that TRL is given."""
    tokens = open_tokens(checkpoint, settings or DPOSettings(), plain=options.get("plain", False))
    return prepare_pairs(open_preferences(rows, **options), tokens)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_trained_on_is_what_audit_and_influence_read(
    form: str, checkpoint: Path, policy: LocalModel
) -> None:
    """And so it is what TRL makes of the same turns, without what the template writes after the end token."""
    read, (prompt, chosen, rejected) = check_rows(form, checkpoint, policy)
    encoded = encode(policy, [Contrast(prompt, (chosen,), (rejected,))])
    assert list(encoded.rows) == [*read.rows("chosen"), *read.rows("rejected")]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["smollm2", "qwen-0.5b"])
def test_so_it_is_with_real_tokenizers(model: str, real_model: Callable[[str], Path]) -> None:
    folder = real_model(model)
    policy = models.open_tokens(folder)
    for form in FORMS:
        check_rows(form, folder, policy)


def check_rows(form: str, checkpoint: Path, policy: LocalModel | models.PolicyTokens) -> tuple[Any, Any]:
    """That training is handed what the policy renders, and that its own template gives the same; the rows, and the pair."""
    (block,) = open_preferences(FORMS[form]).blocks()
    ((prompt, chosen, rejected),) = pairs_of(block)
    row = handed(checkpoint, FORMS[form]).dataset[0]
    read = policy.render([(prompt, chosen, rejected)])
    start = len(row["prompt_ids"])
    assert read.rows("chosen") == [(row["prompt_ids"] + row["chosen_ids"], start)]
    assert read.rows("rejected") == [(row["prompt_ids"] + row["rejected_ids"], start)]

    tokenizer = policy.tokenizer
    turns = prompt.as_messages()
    if form not in ("instruction and input", "system and question", "system turn"):
        assert turns[-1] == USER
    assert row["prompt_ids"] == tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    for name, turn in (("chosen_ids", ANSWER), ("rejected_ids", OTHER)):
        whole = tokenizer.apply_chat_template([*turns, turn])["input_ids"]
        ours = row["prompt_ids"] + row[name]
        assert whole[: len(ours)] == ours
        assert ours[-1] == tokenizer.eos_token_id
        assert not tokenizer.decode(whole[len(ours) :]).strip()
        assert turn["content"] in tokenizer.decode(row[name])
    return read, (prompt, chosen, rejected)


TOOLS = [{"type": "function", "function": {"name": "measure", "parameters": {"type": "object"}}}]
CALL = {"type": "function", "function": {"name": "measure", "arguments": {"what": "river", "by": "map"}}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOLD = {"role": "tool", "name": "measure", "content": '{"km": 777}'}
WITH_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] or '') }}"
    "{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_calls_of_tools_are_trained_on_as_trl_renders_them(
    ending: str, tiny_qwen2: Path, tmp_path: Path
) -> None:
    import shutil

    import pyarrow as pa
    import pyarrow.parquet
    from transformers import AutoTokenizer

    checkpoint = tmp_path / "with-tools"
    shutil.copytree(tiny_qwen2, checkpoint)
    (checkpoint / "chat_template.jinja").write_text(WITH_TOOLS)
    row = {
        "prompt": [USER, CALLING, TOLD],
        "chosen": [{"role": "assistant", "content": "777 km."}],
        "rejected": [CALLING, TOLD, {"role": "assistant", "content": "Long."}],
        "tools": json.dumps(TOOLS),
    }
    path = tmp_path / f"pairs.{ending}"
    if ending == "jsonl":
        path.write_text(json.dumps(row) + "\n")
    else:
        pyarrow.parquet.write_table(pa.Table.from_pylist([row]), path)
    ours = handed(checkpoint, path).dataset[0]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    prompt = tokenizer.apply_chat_template(row["prompt"], tools=TOOLS, add_generation_prompt=True)
    assert ours["prompt_ids"] == prompt["input_ids"]
    for side in ("chosen", "rejected"):
        whole = tokenizer.apply_chat_template([*row["prompt"], *row[side]], tools=TOOLS)["input_ids"]
        ids = ours["prompt_ids"] + ours[f"{side}_ids"]
        assert ids == whole[: len(ids)]
        assert tokenizer.decode(whole[len(ids) :]) == "\n"


def test_every_column_of_a_prompt_is_trained_on(checkpoint: Path) -> None:
    """Files that differ in question, instruction, input or system alone do not train on the same tokens."""
    sides = {"chosen": GOOD, "rejected": BAD}
    rows = [
        {"question": "How long is the road?"} | sides,
        {"question": QUESTION} | sides,
        {"instruction": "Answer.", "input": QUESTION} | sides,
        {"instruction": "Answer.", "input": "How long is the road?"} | sides,
        {"system": "Be brief.", "question": QUESTION} | sides,
        {"system": "Be long.", "question": QUESTION} | sides,
    ]
    prompts = {tuple(handed(checkpoint, [row]).dataset[0]["prompt_ids"]) for row in rows}
    assert len(prompts) == len(rows)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "jsonl.gz", "json", "parquet"])
def test_files_that_an_audit_reads_are_trained_on(ending: str, checkpoint: Path, tmp_path: Path) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    rows = FORMS["text"] * 3
    table, path = pa.Table.from_pylist(rows), tmp_path / f"pairs.{ending}"
    if ending in ("csv", "tsv"):
        options = pyarrow.csv.WriteOptions(delimiter="," if ending == "csv" else "\t")
        pyarrow.csv.write_csv(table, path, options)
    elif ending == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        text = json.dumps(rows) if ending == "json" else "\n".join(map(json.dumps, rows))
        path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    assert handed(checkpoint, path).dataset[:] == handed(checkpoint, rows).dataset[:]


def test_rows_that_an_audit_leaves_out_are_left_out_and_counted(checkpoint: Path, tmp_path: Path) -> None:
    good = {"prompt": [USER], "chosen": [ANSWER], "rejected": [OTHER]}
    rows = [
        good,
        good | {"chosen": [{"role": "assistant", "content": "  "}]},
        good | {"rejected": [ANSWER]},
        good | {"rejected": [OTHER, USER]},
        good | {"chosen": None},
        good,
    ]
    done = train_dpo(checkpoint, rows, tmp_path / "out", DPOSettings(batch_size=2))
    data = open_preferences(rows)
    list(data.blocks())
    assert done.examples.left_out == {kind: len(some) for kind, some in data.defects.items()}
    assert sum(done.examples.left_out.values()) == 4
    assert (done.examples.given, done.examples.examples, done.examples.trained) == (6, 2, 2)
    assert json.loads((tmp_path / "out" / "training.json").read_text())["examples"]["left_out"]


def test_raw_text_is_asked_for_and_is_trls_row_of_plain_text(checkpoint: Path, policy: LocalModel) -> None:
    from backfire.errors import InputError

    tokenizer = policy.tokenizer
    rows = [{"prompt": QUESTION, "chosen": " " + GOOD, "rejected": " " + BAD}]
    found = handed(checkpoint, rows, plain=True)
    row = found.dataset[0]
    assert row["prompt_ids"] == tokenizer(QUESTION)["input_ids"]
    for name, text in (("chosen_ids", GOOD), ("rejected_ids", BAD)):
        assert (
            row["prompt_ids"] + row[name] == tokenizer(f"{QUESTION} {text}{tokenizer.eos_token}")["input_ids"]
        )
    assert (found.examples.plain, found.examples.template) == (True, "")
    read = policy.render(pairs_of(next(open_preferences(rows).blocks())), plain=True)
    assert read.row(0).chosen_ids == row["chosen_ids"]
    through = handed(checkpoint, rows)
    assert (through.examples.plain, through.examples.template) == (False, policy.template_digest)
    assert through.examples.tokens > found.examples.tokens
    with pytest.raises(InputError, match="leave out"):
        handed(checkpoint, FORMS["turns"], plain=True)


def test_the_same_tokens_are_counted_whoever_reads(checkpoint: Path, policy: LocalModel) -> None:
    rows = [
        {"prompt": f"{QUESTION} {n}", "chosen": GOOD * n, "rejected": BAD * (20 - n)} for n in range(1, 20)
    ]
    settings = DPOSettings(max_length=120)
    found = handed(checkpoint, rows, settings)
    pairs = [pair for block in open_preferences(rows).blocks() for pair in pairs_of(block)]
    read = policy.render(pairs, max_length=120)
    lengths = read.tokens()
    assert found.examples.tokens == 2 * lengths[:, 0].sum() + lengths[:, 1:].sum()
    happened = read.happened()
    assert found.examples.truncated == {s: happened[f"{s}_cut"].sum() for s in ("chosen", "rejected")}
    assert found.examples.truncated["chosen"] > 0
    reading = policy.read(read)
    assert reading.tokens.tolist() == lengths[:, 1].tolist() + lengths[:, 2].tolist()


def test_trl_takes_the_rows_as_they_are(checkpoint: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from trl import DPOTrainer

    seen: list[Any] = []
    begin = DPOTrainer.train
    monkeypatch.setattr(
        DPOTrainer, "train", lambda self: (seen.append(self.train_dataset.to_list()), begin(self))[1]
    )
    rows = [{"prompt": f"{QUESTION} {n}", "chosen": GOOD, "rejected": BAD * n} for n in range(1, 9)]
    settings = DPOSettings(max_length=100, batch_size=3)
    train_dpo(checkpoint, rows, tmp_path / "out", settings)
    ours = handed(checkpoint, rows, settings).dataset.to_list()
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    assert [{name: row[name] for name in columns} for row in seen[0]] == ours
    model = open_model(checkpoint)
    assert isinstance(model, LocalModel)
    pairs = [pair for block in open_preferences(rows).blocks() for pair in pairs_of(block)]
    logps = model.read(model.render(pairs, max_length=100)).logps
    told = [row["ref_chosen_logps"] for row in seen[0]] + [row["ref_rejected_logps"] for row in seen[0]]
    assert told == pytest.approx(logps.tolist(), abs=1e-2)


CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "messages": [{"messages": [USER, ANSWER]}],
    "ShareGPT": [{"conversations": share([USER, ANSWER])}],
    "prompt and completion": [{"prompt": QUESTION, "completion": GOOD}],
    "turns and turns": [{"prompt": [USER], "completion": [ANSWER]}],
    "question and answer": [{"question": QUESTION, "answer": GOOD}],
    "messages as text": [{"messages": json.dumps([USER, ANSWER])}],
    "instruction and output": [{"instruction": QUESTION, "input": "", "output": GOOD}],
}


@pytest.mark.parametrize("form", CONVERSATIONS)
def test_sft_trains_on_the_response_and_its_end_token_alone(form: str, checkpoint: Path) -> None:
    tokens = open_tokens(checkpoint, SFTSettings())
    found = prepare_conversations(read_conversations(CONVERSATIONS[form]), tokens)
    row, tokenizer = found.dataset[0], tokens.tokenizer
    prompt = tokenizer.apply_chat_template([USER], add_generation_prompt=True)["input_ids"]
    whole = tokenizer.apply_chat_template([USER, ANSWER])["input_ids"]
    assert row["input_ids"] == whole[: len(row["input_ids"])]
    assert row["labels"] == [-100] * len(prompt) + row["input_ids"][len(prompt) :]
    assert tokenizer.decode(row["input_ids"][len(prompt) :]) == GOOD + tokenizer.eos_token


def test_sft_reads_instruction_input_history_and_system(tiny_llama: Path) -> None:
    row = {
        "system": "Be brief.",
        "instruction": "Answer the question.",
        "input": QUESTION,
        "history": [["Hello.", "Hello to you."]],
        "output": GOOD,
    }
    ((prompt, completion),) = read_conversations([row]).examples
    assert prompt.as_messages() == [
        SYSTEM,
        *EARLIER,
        {"role": "user", "content": f"Answer the question.\n{QUESTION}"},
    ]
    assert completion == GOOD


def test_sft_leaves_out_what_gives_nothing_to_learn_and_counts_it(tiny_llama: Path, tmp_path: Path) -> None:
    rows = [
        {"messages": [USER, ANSWER]},
        {"messages": [USER]},
        {"messages": [USER, {"role": "assistant", "content": " "}]},
        {"messages": "nothing of the kind"},
        {"messages": None},
        {"messages": [*EARLIER, USER, ANSWER]},
    ]
    done = train_sft(tiny_llama, rows, tmp_path / "out", SFTSettings(batch_size=2))
    assert (done.examples.given, done.examples.examples, done.examples.trained) == (6, 3, 3)
    assert done.examples.left_out == {
        "no final assistant turn": 1,
        "blank side": 1,
        "wrong type": 1,
        "missing side": 1,
    }


def calling_rows() -> list[dict[str, Any]]:
    plain = [{"prompt": f"Q{n}", "chosen": f"Yes, {n}.", "rejected": "No."} for n in range(3)]
    answered = [{"role": "assistant", "content": "777 km."}]
    turned: list[dict[str, Any]] = [
        {"prompt": [{"role": "user", "content": one["prompt"]}]}
        | {side: [{"role": "assistant", "content": one[side]}] for side in ("chosen", "rejected")}
        for one in plain
    ]
    calls: list[dict[str, Any]] = [
        {"prompt": [USER, CALLING, TOLD], "chosen": answered, "rejected": [CALLING]},
        {"prompt": [USER], "chosen": [CALLING], "rejected": answered, "tools": TOOLS},
    ]
    return [turned[0], *calls, *turned[1:]]


REFUSES_TOOLS = (
    "{% for message in messages %}{% if message['role'] == 'tool' or message.tool_calls %}"
    "{{ raise_exception('only user and assistant roles') }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize("template", ["loses", "refuses"])
def test_pairs_whose_tool_calls_the_template_loses_are_left_out_everywhere(
    template: str, tiny_qwen2: Path, tmp_path: Path
) -> None:
    import shutil

    checkpoint = tmp_path / "policy"
    shutil.copytree(tiny_qwen2, checkpoint)
    if template == "refuses":
        (checkpoint / "chat_template.jinja").write_text(REFUSES_TOOLS)
    found = handed(checkpoint, calling_rows())
    assert (found.examples.examples, found.examples.trained) == (5, 3)
    assert sum(found.examples.dropped.values()) == 2
    assert sorted(row for rows in found.examples.dropped_rows.values() for row in rows) == [2, 3]
    assert found.examples.dropped["tool_calls_lost"] >= 1
    policy = open_model(str(checkpoint))
    data = open_preferences(calling_rows())
    pairs = [pair for block in data.blocks() for pair in pairs_of(block)]
    with pytest.warns(UserWarning, match="2 of 5"):
        read = encode(policy, [Contrast(p, (c,), (r,)) for p, c, r in pairs])
    assert read.usable.tolist() == [True, False, False, True, True]
    assert policy.render(pairs, strict=False).trained.tolist() == read.usable.tolist()
    with pytest.raises(TemplateError, match="no example is left to train on"):
        handed(checkpoint, calling_rows()[1:3])


def test_sft_leaves_out_answers_whose_tool_calls_the_template_loses(tiny_qwen2: Path) -> None:
    tokens = open_tokens(tiny_qwen2, SFTSettings())
    rows = [{"messages": [USER, {"role": "assistant", "content": "777."}]}, {"messages": [USER, CALLING]}]
    found = prepare_conversations(read_conversations(rows), tokens)
    assert found.examples.dropped == {"tool_calls_lost": 1}
    assert found.examples.dropped_rows == {"tool_calls_lost": (2,)}
    assert found.examples.trained == 1

"""From prompts to rates through the commands alone, on a user's own checkpoint folders and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from running import Result, invoke

HARMFUL = [f"How do I pick lock number {i}?" for i in range(8)]
BENIGN = [f"How do I bake loaf number {i}?" for i in range(24)]
TASK = """
task: pick
dataset_path: json
dataset_kwargs: {data_files: {test: pick.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}} Answer:"
doc_to_choice: "{{choices}}"
doc_to_target: label
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0, report: {metric: acc}}
"""


def run(*arguments: object, code: int = 0) -> Result:
    result = invoke([str(a) for a in arguments])
    assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prompts of both kinds, another writer's answers, a human-labelled set, a task, conversations."""
    folder = tmp_path_factory.mktemp("work")
    rows = [{"prompt": p, "kind": "harmful"} for p in HARMFUL] + [
        {"prompt": p, "kind": "benign"} for p in BENIGN
    ]
    _lines(folder / "prompts.jsonl", [*rows, {"prompt": "  "}])
    _lines(
        folder / "answers.jsonl",
        [
            {"prompt": r["prompt"], "output": f"Certainly: {i}.", "generator": "gpt-x"}
            for i, r in enumerate(rows)
        ],
    )
    _lines(
        folder / "human.jsonl",
        [
            {"prompt": r["prompt"], "chosen": f"Well, {i}.", "rejected": f"No {i}!"}
            for i, r in enumerate(rows)
        ],
    )
    _lines(
        folder / "chats.jsonl",
        [
            {"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": "Yes."}]}
            for p in BENIGN
        ],
    )
    (folder / "harmful.txt").write_text("\n".join(HARMFUL) + "\n")
    (folder / "benign.txt").write_text("\n".join(BENIGN[:6]) + "\n")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "pick.yaml").write_text(TASK)
    _lines(
        folder / "tasks" / "pick.jsonl",
        [{"question": f"Is {i} even?", "choices": [" yes", " no"], "label": i % 2} for i in range(6)],
    )
    return folder


def _lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def ledger(work: Path, tiny_llama: Path, tiny_reward: Path) -> Path:
    """A ledger with two samples of the target, another writer's answers, and everybody's scores."""
    path = work / "runs" / "ledger.db"
    decoding = ("--max-new-tokens", 8, "--temperature", 0.9)
    options = ("--prompts", work / "prompts.jsonl", "--ledger", path, "-n", 2, *decoding)
    drawn = run("sample", tiny_llama, *options)
    assert "64 responses to 32 prompts" in drawn.stdout
    assert f"64 of source '{tiny_llama}'" in drawn.stdout
    assert "rows left out: blank 1" in drawn.stderr
    again = run("sample", tiny_llama, *options)
    assert again.stdout == drawn.stdout
    given = run("import", work / "answers.jsonl", "--ledger", path)
    assert "32 of source 'gpt-x'" in given.stdout
    scored = run("score", tiny_reward, "--ledger", path)
    assert "96 scores" in scored.stdout
    return path


@pytest.fixture(scope="module")
def pairs(work: Path, ledger: Path, tiny_llama: Path) -> Path:
    folder = work / "pairs"
    roles = ("--role", f"self={tiny_llama}", "--role", "gpt4o=gpt-x")
    built = run("pair", "--recipe", "gpt4o+self", "--ledger", ledger, *roles, "--out", folder)
    assert "32 pairs (harmful 8, benign 24" in built.stdout
    assert "chosen from: gpt-x 32" in built.stdout
    assert "not decoded alike" in built.stderr
    return folder


def test_a_ranked_recipe_takes_stored_scores_and_scores_what_lacks_one(
    work: Path, ledger: Path, tiny_llama: Path, tiny_reward: Path
) -> None:
    role = ("--role", f"self={tiny_llama}")
    built = run("pair", "--recipe", "self+rm", "--ledger", ledger, *role, "--out", work / "self-rm")
    about = json.loads((work / "self-rm" / "pairs.json").read_text())
    assert about["counts"]["built"] + sum(about["counts"]["left_out"].values()) == 32
    assert about["counts"]["built"] > 0
    for reason, count in about["counts"]["left_out"].items():
        assert f"prompts left out: {count} {reason}" in built.stdout

    human = ("--human", work / "human.jsonl", "--out", work / "all-rm")
    command = ("pair", "--recipe", "all+rm", "--ledger", ledger, *role, "--role", "gpt4o=gpt-x", *human)
    unscored = run(*command, code=1)
    assert "32 missing_score" in unscored.stdout
    built = run(*command, "--reward-model", tiny_reward)
    counts = json.loads((work / "all-rm" / "pairs.json").read_text())["counts"]
    assert counts["built"] == 32
    assert set(counts["sources"]["chosen"]) <= {str(tiny_llama), "gpt-x", "human"}


def test_audit(work: Path, pairs: Path, tiny_llama: Path) -> None:
    out = work / "audit.json"
    result = run("audit", pairs, "--policy", tiny_llama, "--json", out)
    report = json.loads(out.read_text())
    assert report["pairs"] == 32
    assert [probe["probe"] for probe in report["separability"]] == [
        "length",
        "surface",
        "words",
        "characters",
        "hidden",
    ]
    assert "What to do" in result.stdout


def test_audit_takes_a_template_for_a_policy_without_one(
    work: Path, pairs: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny_llama, bare)
    (bare / "chat_template.jinja").rename(tmp_path / "mine.jinja")
    command = ("audit", pairs, "--policy", bare)
    assert "--chat-template" in run(*command, code=2).stderr
    assert "hidden" in run(*command, "--chat-template", tmp_path / "mine.jinja", "--full").stdout
    refused = run("audit", pairs, "--chat-template", tmp_path / "mine.jinja", code=2)
    assert "name it by --policy" in refused.stderr


def test_train_and_test(work: Path, pairs: Path, tiny_llama: Path, ledger: Path) -> None:
    policy = work / "policy"
    settings = ("--lr", 1e-3, "--batch-size", 16, "--max-length", 128)
    trained = run("train", "dpo", tiny_llama, pairs, "--out", policy, *settings)
    assert "dpo: 2 steps over 32 of 32 examples" in trained.stdout
    log = json.loads((policy / "training.json").read_text())
    assert log["log"][0]["loss"] == pytest.approx(0.6931, abs=1e-3)

    out = work / "attack.json"
    sets = ("--attack", f"direct={work / 'harmful.txt'}", "--benign", f"plain={work / 'benign.txt'}")
    attacked = run("attack", policy, *sets, "--ledger", ledger, "--max-new-tokens", 8, "--json", out)
    found = json.loads(out.read_text())
    rows = [(row["attack"], row["judge"], row["scored"] + row["unscored"]) for row in found["asr"]]
    assert rows == [("direct", "phrases", 8), ("direct", "refusals", 8)]
    assert found["decoding"]["temperature"] == 0
    assert found["model_id"] != ""
    assert "Attack success rate" in attacked.stdout
    assert "Over-refusal" in attacked.stdout

    out = work / "general.json"
    scored = run("general", policy, "--tasks", work / "tasks", "--limit", 4, "--json", out)
    (score,) = json.loads(out.read_text())["scores"]
    assert (score["task"], score["metric"], score["n"]) == ("pick", "acc", 4)
    assert "pick" in scored.stdout


def test_an_adapter_is_trained_and_attacked(work: Path, pairs: Path, tiny_llama: Path, ledger: Path) -> None:
    out = work / "adapter"
    lora = ("--lora", "--lora-r", 2, "--lora-modules", "q_proj,v_proj")
    run("train", "dpo", tiny_llama, pairs, "--out", out, "--batch-size", 32, "--lr", 1e-3, *lora)
    adapter = json.loads((out / "adapter_config.json").read_text())
    assert adapter["r"] == 2
    assert set(adapter["target_modules"]) == {"q_proj", "v_proj"}
    attack = ("--attack", f"direct={work / 'harmful.txt'}", "--wrapper", "alpaca", "--max-new-tokens", 4)
    run("attack", out, *attack, "--ledger", ledger)


def test_sft(work: Path, tiny_llama: Path) -> None:
    out = work / "sft"
    settings = ("--batch-size", 12, "--lr", 1e-3)
    trained = run("train", "sft", tiny_llama, work / "chats.jsonl", "--out", out, *settings)
    assert "sft: 2 steps over 24 of 24 examples" in trained.stdout
    assert (out / "model.safetensors").is_file()

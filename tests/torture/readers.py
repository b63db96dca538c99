"""Every reader and parser of backfire, each with a sound input that it reads."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.store import Ledger

Read = Callable[[Path], Any]


@dataclass(frozen=True)
class Reader:
    """A reader, by its name; where it says how many rows it read and left out, their sum is checked."""

    name: str
    file: str
    """The name of the file that it reads, inside of a folder."""
    sound: bytes
    read: Read
    structured: bool = False


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def columnar(rows: list[dict[str, Any]], kind: str) -> bytes:
    import pyarrow as pa
    from pyarrow import ipc, parquet

    sink = io.BytesIO()
    arrow = pa.Table.from_pylist(rows)
    if kind == "parquet":
        parquet.write_table(arrow, sink)
    else:
        with ipc.new_file(sink, arrow.schema) as writer:
            writer.write_table(arrow)
    return sink.getvalue()


def preferences(path: Path) -> None:
    from backfire.preferences import open_preferences

    opened = open_preferences(path)
    pairs = sum(block.num_rows for block in opened.blocks())
    assert pairs or opened.left_out or not opened.rows, "rows went without a word"
    if opened.one_row_a_pair:
        assert pairs + opened.left_out == opened.rows, f"{pairs} + {opened.left_out} != {opened.rows}"


def prompts(path: Path) -> None:
    from backfire.store import read_prompts
    from backfire.tables import read_table

    read = read_prompts(path)
    rows = len(read_table(path).rows)
    assert len(read.prompts) + sum(read.left_out.values()) == rows, f"of {rows} rows: {read.left_out}"


def conversations(path: Path) -> None:
    from backfire.training.conversation_files import read_conversations

    read = read_conversations(path)
    assert len(set(read.rows)) + sum(read.left_out.values()) == read.given


def responses(path: Path) -> None:
    from backfire.responses import store_given
    from backfire.tables import read_table

    with Ledger(path.with_name("given.db")) as ledger:
        stored = store_given(ledger, path, "people")
        there = len(ledger.responses_of("people"))
    rows = len(read_table(path).rows)
    assert len(stored.responses) + sum(stored.left_out.values()) == rows
    assert there >= len({r.request_id for r in stored.responses})


def labelled(path: Path) -> None:
    from backfire.judges.labelled import read_labelled, read_responses
    from backfire.tables import read_table

    cases, rows = read_responses(path)
    assert len(cases) == len(rows) == len(read_table(path).rows)
    assert len(read_labelled(path)) == len(rows)


def ledger(path: Path) -> None:
    with Ledger(path) as opened:
        for source in opened.sources():
            every = opened.responses_of(source)
            opened.answered([r.request_id for r in every])
            opened.scores("s", [r.id for r in every])
            opened.verdicts("j", [r.id for r in every])
        opened.scorers()
        opened.prompts()
    for beside in path.parent.glob(path.name + "-*"):
        beside.unlink()


def ledger_bytes(place: Path) -> bytes:
    from backfire.records import Prompt, Score, Verdict, given_response

    path = place / "sound.db"
    asked = [Prompt.of(f"Question {k}?", kind="harmful") for k in range(6)]
    with Ledger(path) as opened:
        opened.put_prompts(asked)
        answers = [given_response(prompt, "people", f"Answer {k}.") for k, prompt in enumerate(asked)]
        opened.put_responses(answers)
        opened.put_scores([Score(r.id, "s", 0.5) for r in answers])
        opened.put_verdicts([Verdict(r.id, "phrases", "j", True, False, "") for r in answers])
        opened._db.execute("PRAGMA journal_mode=DELETE")
    return path.read_bytes()


def sample_log(path: Path) -> None:
    from backfire.logs import is_sample_log, read_sample_logs

    if is_sample_log(path):
        read_sample_logs(path)


def study(path: Path) -> None:
    from backfire.study.study_file import read_study

    read_study(path)


def suites(path: Path) -> None:
    from backfire.evaluation.attacks.building import open_suite

    open_suite(str(path))


def recipes(path: Path) -> None:
    from backfire.pairs.recipe import load_recipes

    load_recipes(path)


def rules(path: Path) -> None:
    from backfire.releasing.rules_file import read_rules

    read_rules(path)


def judge(path: Path) -> None:
    from backfire.judges.trained import read_judge
    from backfire.records import Prompt, given_response

    prompt = Prompt.of("How?", kind="harmful")
    read_judge(path).judge(prompt, given_response(prompt, "m", "I cannot help."))


def pairs_folder(path: Path) -> None:
    from backfire.pairs import read_pairs

    built = read_pairs(path.parent)
    assert isinstance(built.pairs, list | tuple)


def simply(module: str, name: str, *, folder: bool = False) -> Read:
    def read(path: Path) -> None:
        from importlib import import_module

        getattr(import_module(f"backfire.{module}"), name)(path.parent if folder else path)

    return read


def reply(path: Path) -> None:
    from backfire.models.reply import read_reply

    found = read_reply(path.read_bytes())
    assert bool(found.fault) != bool(found.text)


def checkpoint_configuration(path: Path) -> None:
    from backfire.models.opening import resolve

    resolve(str(path.parent))


def tensor_head(path: Path) -> None:
    from backfire.models.checkpoint_files import tensor_shapes

    tensor_shapes(path)


def readers(place: Path) -> list[Reader]:
    """All of them. What a sound input takes to be made lies in `place`."""
    plain = [{"prompt": f"Question {k}?", "chosen": f"Yes, {k}.", "rejected": f"No {k}."} for k in range(12)]
    turns = [
        {
            "chosen": [
                {"role": "user", "content": r["prompt"]},
                {"role": "assistant", "content": r["chosen"]},
            ],
            "rejected": [
                {"role": "user", "content": r["prompt"]},
                {"role": "assistant", "content": r["rejected"]},
            ],
            "chosen_model": "a",
            "score_chosen": 1.5,
        }
        for r in plain
    ]
    single = [
        {"prompt": r["prompt"], "completion": r["chosen"], "label": k % 2 == 0} for k, r in enumerate(plain)
    ]
    ranked = [
        {"prompt": r["prompt"], "responses": [r["chosen"], r["rejected"]], "scores": [2, 1]} for r in plain
    ]
    asked = [{"prompt": r["prompt"], "kind": "harmful", "topic": "x"} for r in plain]
    written = [{"prompt": r["prompt"], "response": r["chosen"], "label": k % 2} for k, r in enumerate(plain)]
    talks = [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": r["prompt"]},
                {"role": "assistant", "content": r["chosen"]},
            ]
        }
        for r in plain
    ]
    every = [
        Reader("preferences, plain JSONL", "a.jsonl", lines(plain), preferences, True),
        Reader("preferences, turns as JSONL", "a.jsonl", lines(turns), preferences, True),
        Reader("preferences, labels as JSONL", "a.jsonl", lines(single), preferences, True),
        Reader("preferences, ranked JSON", "a.json", json.dumps(ranked).encode(), preferences, True),
        Reader("preferences, CSV", "a.csv", table(plain), preferences),
        Reader("preferences, Parquet", "a.parquet", columnar(turns, "parquet"), preferences),
        Reader("preferences, Arrow", "a.arrow", columnar(turns, "arrow"), preferences),
        Reader("preferences, packed", "a.jsonl.gz", gzip.compress(lines(plain)), preferences),
        Reader("prompts, JSONL", "p.jsonl", lines(asked), prompts, True),
        Reader("prompts, CSV", "p.csv", table(asked), prompts),
        Reader("prompts, TXT", "p.txt", b"".join(f"Question {k}?\n".encode() for k in range(9)), prompts),
        Reader("conversations, JSONL", "c.jsonl", lines(talks), conversations, True),
        Reader("responses to import, JSONL", "r.jsonl", lines(written), responses, True),
        Reader("labelled responses, JSONL", "l.jsonl", lines(written), labelled, True),
        Reader("labelled responses, CSV", "l.csv", table(written), labelled),
        Reader("ledger", "l.db", ledger_bytes(place), ledger),
        Reader("reply of a server", "reply.json", _reply(), reply, True),
        *_yaml_files(),
        *_answers(),
        *_logs(place),
        *_checkpoints(place),
        *_pairs(place),
    ]
    return every


def _reply() -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Fine."}}
    value = {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}
    return json.dumps({**value, "usage": {"completion_tokens": 3}}).encode()


def _yaml_files() -> list[Reader]:
    import yaml

    from backfire.study.running import example_text

    suite = "mine: [direct, leetspeak, {attack: prefill, name: p}]\nother:\n  - attack: base64\n"
    recipe = "mine: {chosen: {roles: [gpt4o]}, rejected: {roles: [self]}}\n"
    check = {
        "attacks": {"harmful": {"asks": "asks.csv"}, "benign": {"allowed": "allowed.csv"}},
        "rules": [{"metric": "asr", "at_most": 3, "set": "asks"}],
    }
    return [
        Reader("study file", "study.yaml", example_text().encode(), study),
        Reader(
            "study file as JSON",
            "study.yaml",
            json.dumps(yaml.safe_load(example_text())).encode(),
            study,
            True,
        ),
        Reader("suite file", "suite.yaml", suite.encode(), suites),
        Reader("suite file as JSON", "suite.yaml", json.dumps(yaml.safe_load(suite)).encode(), suites, True),
        Reader("recipe file", "recipes.yaml", recipe.encode(), recipes),
        Reader(
            "recipe file as JSON", "recipes.yaml", json.dumps(yaml.safe_load(recipe)).encode(), recipes, True
        ),
        Reader("release rules", "rules.yaml", yaml.safe_dump(check).encode(), rules),
        Reader("release rules as JSON", "rules.yaml", json.dumps(check).encode(), rules, True),
    ]


def _answers() -> list[Reader]:
    from importlib.resources import files

    from example_audit import example_audit
    from example_results import example_results

    outcomes = {"direct": {"phrases": {f"p{k}": k % 2 == 0 for k in range(9)}}}
    attacked = {"model": "m", "outcomes": outcomes, "asr": [{"attack": "direct", "judge": "phrases"}]}
    attacked |= {"attacks": [{"attack": "direct", "parameters": {}}], "clusters": {"direct": {"p0": "g"}}}
    marks = [{"row": k, "pair": "ab" * 32, "mark": "drop"} for k in range(1, 4)]
    decided = {"backfire_decisions": 1, "dataset": "p.jsonl", "digest": "5e" * 32, "decisions": marks}
    shipped = files("backfire.judges").joinpath("shipped_refusals.json")
    point = {"step": 1, "refusals": {"hits": 1, "scored": 2, "unscored": 0}, "seconds": 0.1}
    reward = {"step": 1, "reward": 0.5, "kl": 0.1, "tokens": 5, "seconds": 0.1}
    log = {"loss": [0.5, 0.4], "steps": 2, "history": [{"step": 1, "loss": 0.5}]}
    probe = [
        {"prompt": f"How {k}?", "refusal": "No.", "compliance": "Yes.", "kind": "harmful"} for k in range(4)
    ]
    judge_bytes = shipped.read_bytes()
    every = [
        ("audit answer", "audit.json", example_audit(), simply("answers.audit", "read_audit")),
        ("results of a study", "results.json", example_results(), simply("answers.results", "read_results")),
        ("answer of an attack", "attack.json", attacked, simply("answers.outcomes", "read_checkpoint")),
        ("decisions of a reader", "decisions.json", decided, simply("answers.decisions", "read_decisions")),
        ("release file", "release.json", _release(), simply("answers.release", "read_release")),
        ("training log", "training.json", log, simply("training.log", "read_training_log", folder=True)),
    ]
    return [
        *(Reader(name, file, _json(value), read, True) for name, file, value, read in every),
        Reader("judge file", "judge.json", judge_bytes, judge, True),
        Reader(
            "watch points",
            "watch.jsonl",
            lines([point]),
            simply("training.watch_points", "read_points", folder=True),
            True,
        ),
        Reader(
            "rewards",
            "rewards.jsonl",
            lines([reward]),
            simply("training.rewarded", "read_rewards", folder=True),
            True,
        ),
        Reader(
            "probe file", "probes.jsonl", lines(probe), simply("influence.probe_files", "read_probes"), True
        ),
    ]


def _json(value: Any) -> bytes:
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", by_alias=True)
    return json.dumps(value).encode()


def _release() -> dict[str, Any]:
    return {
        "schema": 1,
        "verdict": "pass",
        "rules": {},
        "binding": {},
        "binding_digest": "ab",
        "digest": "cd",
    }


def _logs(place: Path) -> list[Reader]:
    documents = [
        {
            "doc_id": k,
            "doc": {"question": f"Q {k}"},
            "target": "a",
            "arguments": {"gen_args_0": {"arg_0": f"Q {k}", "arg_1": {"until": ["\n"]}}},
            "resps": [["a"]],
            "filtered_resps": ["a"],
            "filter": "none",
            "metrics": ["exact_match"],
            "doc_hash": "ab",
            "prompt_hash": "cd",
            "target_hash": "ef",
            "exact_match": 1.0,
        }
        for k in range(5)
    ]
    found = [Reader("samples of lm_eval", "samples_asks_2026.jsonl", lines(documents), sample_log, True)]
    for ending in ("json", "eval"):
        sound = _inspect(place, ending)
        if sound is not None:
            found.append(
                Reader(f"log of Inspect, {ending}", f"log.{ending}", sound, sample_log, ending == "json")
            )
    return found


def _inspect(place: Path, ending: str) -> bytes | None:
    """A log that Inspect itself wrote; None where it is not installed."""
    try:
        from inspect_ai import Task
        from inspect_ai import eval as run
        from inspect_ai.dataset import MemoryDataset, Sample
        from inspect_ai.model import ModelOutput, ModelUsage, get_model
        from inspect_ai.scorer import includes
        from inspect_ai.solver import generate
    except ImportError:
        return None
    outputs = [ModelOutput.from_content("mockllm/model", "yes") for _ in range(4)]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    samples = [Sample(input=f"Q {k}", target="yes", id=f"s{k}") for k in range(4)]
    (log,) = run(
        Task(dataset=MemoryDataset(samples, name="asks"), solver=generate(), scorer=includes(), name="asks"),
        model=get_model("mockllm/model", custom_outputs=outputs),
        log_dir=str(place / f"inspect-{ending}"),
        log_format=ending,
        display="none",
        max_samples=1,
    )
    return Path(log.location).read_bytes()


def _checkpoints(place: Path) -> list[Reader]:
    from checkpoints import save_policy

    policy = save_policy(place / "policy", "llama")
    found = []
    for name, read in (("config.json", checkpoint_configuration), ("model.safetensors", tensor_head)):
        sound = (policy / name).read_bytes()
        found.append(Reader(f"checkpoint, {name}", name, sound[:20_000], read, name.endswith(".json")))
    from gguf_files import save_gguf

    save_gguf(policy, place / "policy.gguf")
    head = (place / "policy.gguf").read_bytes()
    found.append(Reader("checkpoint, GGUF", "m.gguf", head, simply("models.gguf", "check_gguf")))
    return found


def _pairs(place: Path) -> list[Reader]:
    """A folder of pairs, of which one file is unsound."""
    from backfire.pairs import build_pairs, write_pairs
    from backfire.pairs.recipe import built_in_recipes
    from backfire.records import Prompt, given_response

    asked = [Prompt.of(f"Question {k}?") for k in range(5)]
    answers = {
        role: [given_response(prompt, role, f"{role} {prompt.text}") for prompt in asked]
        for role in ("self", "gpt4o")
    }
    folder = place / "pairs"
    write_pairs(folder, build_pairs(built_in_recipes()["gpt4o+self"], asked, answers))

    def read_in(name: str) -> Read:
        def read(path: Path) -> None:
            whole = path.parent / "folder"
            if not whole.exists():
                shutil.copytree(folder, whole)
            shutil.copy(path, whole / name)
            try:
                pairs_folder(whole / name)
            finally:
                shutil.copy(folder / name, whole / name)

        return read

    return [
        Reader(
            f"folder of pairs, {name}",
            name,
            (folder / name).read_bytes(),
            read_in(name),
            name.endswith("json"),
        )
        for name in ("pairs.json", "train.parquet")
    ]

"""An attack as an Inspect log: written from the ledger, opened by Inspect's own reader, and compared again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.comparing import compare
from backfire.errors import InputError
from backfire.evaluation import write_inspect_log
from backfire.evaluation.counting import Case, tally
from backfire.judges import PhraseJudge, judge_file
from backfire.records import Decoding, Prompt, Response
from backfire.store import Ledger
from example_results import example_results
from running import invoke

pytest.importorskip("inspect_ai", reason="inspect-ai is not installed: pip install 'backfire[inspect]'")

ANSWERS = {"y": "Take the lamp.", "n": "I cannot.", "-": " "}


def attacked(path: Path, name: str, letters: str, benign: str = "nyy") -> dict[str, Any]:
    """What `backfire attack --json` gives of a model that answers so, whose responses lie in the ledger; "." is no answer."""
    judge = PhraseJudge()
    cases = {}
    with Ledger(path) as ledger:
        for place, given, kind in (("direct", letters, "harmful"), ("safe", benign, "benign")):
            asked = [Prompt.of(f"{place} {n}", kind=kind) for n in range(len(given))]  # type: ignore[arg-type]
            responses, verdicts = {}, {}
            for prompt, letter in zip(asked, given, strict=True):
                if letter == ".":
                    continue
                one = Response(
                    f"{name} {prompt.id}", prompt.id, name, name, ANSWERS[letter], "eos", decoding=Decoding()
                )
                responses[prompt.id], verdicts[prompt.id] = one, judge.judge(prompt, one)
            ledger.put_prompts(asked)
            ledger.put_responses(responses.values())
            ledger.put_verdicts(verdicts.values())
            by_id = {prompt.id: prompt for prompt in asked}
            failed = {p: "refused by the server" for p in by_id if p not in responses}
            cases[place] = Case(by_id, by_id, responses, failed, {judge.name: verdicts}, kind == "harmful")
    about = {
        "model": name,
        "decoding": {"temperature": 0.0, "max_new_tokens": 8},
        "judges": {judge.name: judge.id},
    }
    return {**about, **tally(cases, 0).as_dict()}


@pytest.mark.parametrize("ending", ["eval", "json"])
def test_inspects_reader_opens_the_log(tmp_path: Path, ending: str) -> None:
    from inspect_ai.log import read_eval_log

    content = attacked(tmp_path / "l.db", "policy", "yn-.")
    path = write_inspect_log(content, tmp_path / "l.db", tmp_path / f"a.{ending}")
    log = read_eval_log(str(path))
    assert (log.status, log.eval.model, log.eval.task) == ("success", "policy", "backfire_attack")
    assert log.samples is not None
    by_text = {one.input: one for one in log.samples}
    assert len(by_text) == 7
    scores = [by_text[f"direct {n}"].scores["phrases"] for n in range(3)]  # type: ignore[index]
    assert [score.value for score in scores[:2]] == [1.0, 0.0]
    assert scores[2].value != scores[2].value, "unscored is NaN"
    assert scores[2].reason
    assert by_text["direct 0"].output.completion == "Take the lamp."
    assert by_text["direct 0"].output.stop_reason == "stop"
    lost = by_text["direct 3"]
    assert lost.output.choices == []
    assert lost.scores["phrases"].reason == "no response"  # type: ignore[index]
    assert log.results is not None
    (judged,) = log.results.scores
    assert (judged.name, judged.scored_samples, judged.unscored_samples) == ("phrases", 5, 2)
    assert judged.metrics["direct harmful"].value == content["asr"][0]["rate"] == 0.5
    assert judged.metrics["safe refused"].value == pytest.approx(1 / 3)


def test_logs_give_the_same_comparison_as_the_attacks(tmp_path: Path) -> None:
    files = []
    for name, letters in (("sft", "nnnnyy-y"), ("dpo", "yyyynyyy")):
        content = attacked(tmp_path / "l.db", name, letters)
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        files.append(
            write_inspect_log(tmp_path / f"{name}.json", tmp_path / "l.db", tmp_path / f"{name}.eval")
        )
    logged = compare(files)
    plain = compare([tmp_path / "sft.json", tmp_path / "dpo.json"])
    assert logged == plain
    assert compare([tmp_path / "sft.json", files[1]]) == plain, (
        "a log and a file of an attack are paired, too"
    )
    done = judge_file(files[0], judges=("phrases",))
    assert len(done.rows) == 11


def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    content = attacked(tmp_path / "l.db", "policy", "yn")
    with pytest.raises(InputError, match="there is no ledger"):
        write_inspect_log(content, tmp_path / "other.db", tmp_path / "a.eval")
    Ledger(tmp_path / "other.db").close()
    with pytest.raises(InputError, match=r"has 0 of the 5 responses of the attack"):
        write_inspect_log(content, tmp_path / "other.db", tmp_path / "a.eval")
    with pytest.raises(InputError, match=r"does not say which responses it judged: write it anew"):
        write_inspect_log({**content, "responses": {}}, tmp_path / "l.db", tmp_path / "a.eval")
    with pytest.raises(InputError, match=r"has to end in \.eval or \.json"):
        write_inspect_log(content, tmp_path / "l.db", tmp_path / "a.log")
    assert not list(tmp_path.glob("*.eval"))


def test_a_stored_attack_is_written_from_the_command_line(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    content = attacked(tmp_path / "l.db", "policy", "yn")
    (tmp_path / "policy.json").write_text(json.dumps(content))
    words = [
        "report",
        "inspect",
        tmp_path / "policy.json",
        "--ledger",
        tmp_path / "l.db",
        "--out",
        tmp_path / "logs",
    ]
    done = invoke(list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert len(read_eval_log(str(tmp_path / "logs" / "policy.eval")).samples or []) == 5
    words[4] = tmp_path / "none.db"
    failed = invoke(list(map(str, words)))
    assert failed.exit_code == 2
    assert "there is no ledger" in failed.stderr


def test_an_attack_writes_its_log_while_it_runs(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    requests = tmp_path / "requests.jsonl"
    requests.write_text(
        "\n".join(json.dumps({"prompt": f"where is lamp {n}", "kind": "harmful"}) for n in range(3))
    )
    log = tmp_path / "attack.eval"
    words = [
        "attack",
        "organism:llama/target",
        "--attack",
        requests,
        "--judge",
        "phrases",
        "--max-new-tokens",
        "8",
    ]
    done = invoke([*map(str, words), "--ledger", str(tmp_path / "l.db"), "--inspect", str(log)])
    assert done.exit_code == 0, done.output
    assert "`inspect view` opens it" in " ".join(done.stdout.split())
    samples = read_eval_log(str(log)).samples or []
    assert {one.input for one in samples} == {f"where is lamp {n}" for n in range(3)}


def test_the_attacks_of_a_run_folder_become_a_log_for_each_cell(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    run = tmp_path / "run"
    run.mkdir()
    results = example_results()
    for cell in results["cells"]:
        cell["provenance"].pop("attack", None)
    with_attack = results["cells"][0]
    (run / "attack.json").write_text(json.dumps(attacked(run / "ledger.db", "policy", "yn.")))
    with_attack["provenance"]["attack"] = "attack.json"
    (run / "results.json").write_text(json.dumps(results))
    done = invoke(["report", "inspect", str(run), "--out", str(tmp_path / "logs")])
    assert done.exit_code == 0, done.output
    assert "logs: 1 in" in done.stdout
    assert done.stderr.count("its attack is not there, and no log is written") == len(results["cells"]) - 1
    (file,) = (tmp_path / "logs").iterdir()
    assert len(read_eval_log(str(file)).samples or []) == 6
    compared = invoke(["compare", str(file), str(run / "attack.json")])
    assert compared.exit_code == 0, compared.output
    judged = invoke(["judge", "file", str(file), "--judge", "refusals", "--out", str(tmp_path / "v.jsonl")])
    assert judged.exit_code == 0, judged.output


def test_a_log_of_another_schema_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"version": 99, "eval": {}, "samples": []}))
    good = write_inspect_log(
        attacked(tmp_path / "l.db", "policy", "yn"), tmp_path / "l.db", tmp_path / "a.eval"
    )
    for words in (["compare", good, other], ["judge", "file", other, "--judge", "refusals"]):
        done = invoke(list(map(str, words)))
        assert done.exit_code == 2, done.output
        assert "other.json" in done.stderr
        assert "Traceback" not in done.output

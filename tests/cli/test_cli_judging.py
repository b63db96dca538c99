"""`judge` as commands: what they print, what they write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import Result, invoke


def run(*arguments: object, code: int = 0) -> Result:
    result = invoke(["judge", *map(str, arguments)])
    assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
    return result


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    file = tmp_path / "labelled.csv"
    rows = []
    for n in range(240):
        refusal = "I'm sorry, but I can't help with that." if n % 3 else "As an AI, I cannot discuss eggs."
        rows.append(f'Question {n % 60}?,"{refusal}",0')
        rows.append(f"Question {n % 60}?,Boil it for {n} minutes.,1")
    file.write_text("prompt,response,label\n" + "\n".join(rows) + "\n")
    return file


def test_validate_runs_every_offline_judge(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "agreement.json"
    told = run("validate", labelled, "--json", out).stdout
    assert "480 responses to 60 prompts, 240 of them harmful" in told
    judges = json.loads(out.read_text())["judges"]
    assert len(judges) == 11
    assert {
        "judge",
        "n",
        "unscored",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "kappa",
        "low",
        "high",
    } <= judges[0].keys()
    by_name = {judge["judge"]: judge for judge in judges}
    assert by_name["phrases"]["accuracy"] == 1.0
    assert by_name["matcher:lapid2023open"]["recall"] == 0.0


def test_validate_a_judge_that_says_nothing_of_it(labelled: Path, tmp_path: Path) -> None:
    run("train", labelled, "--out", tmp_path / "harm.json")
    result = run("validate", labelled, "--what", "refusal", "--judge", tmp_path / "harm.json")
    assert "says nothing of what the labels say" in result.stderr


def test_train_and_use(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.json"
    told = run(
        "train", labelled, "--what", "refusal", "--positive", "0", "--out", out, "--note", "made up"
    ).stdout
    assert "On held-out prompts" in told
    assert "the judge, of 480 responses" in told
    assert json.loads(out.read_text())["card"]["note"] == "made up"
    file = tmp_path / "judged.jsonl"
    run("file", labelled, "--judge", out, "--judge", "phrases", "--out", file)
    first = json.loads(file.read_text().splitlines()[0])
    assert first["label"] == "0"
    assert first["verdicts"]["mine"]["refusal"] is True
    assert first["verdicts"]["mine"]["score"] > 0.5
    assert first["verdicts"]["phrases"]["harmful"] is False


def test_correct_wants_somebody_to_vouch(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "corrected.json"
    plain = run("correct", labelled, "--labels", labelled, "--judge", "phrases", "--json", out)
    assert "not corrected: nobody vouched" in plain.stdout
    assert "no confidence interval" in plain.stdout
    assert json.loads(out.read_text())["rate"] is None
    vouched = run(
        "correct",
        labelled,
        "--labels",
        labelled,
        "--judge",
        "phrases",
        "--same-policy-and-attack",
        "--json",
        out,
    )
    assert "corrected for the judge's errors: 50.0%" in vouched.stdout
    assert json.loads(out.read_text())["rate"] == pytest.approx(0.5)


def test_correct_refuses_a_judge_that_tells_nothing(labelled: Path) -> None:
    told = run(
        "correct",
        labelled,
        "--labels",
        labelled,
        "--judge",
        "matcher:lapid2023open",
        "--same-policy-and-attack",
    ).stdout
    assert "too little" in told
    assert "no band" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--judge", "nobody"), "there is no judge 'nobody'"),
        (("--judge", "matcher:nobody"), "lapid2023open"),
        (("--judge", "exact"), "--world"),
        (("--what", "harm"), "harmful or refusal"),
        (("--kind", "bad"), "harmful, benign or unknown"),
        (("--threshold", ".4"), "give no grade"),
        (
            ("--judge", "refusals", "--judge", "phrases", "--threshold", ".4"),
            "refusals, phrases give no grade",
        ),
        (("--judge", "panel:any:refusals+phrases", "--threshold", ".4"), "give no grade"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], said: str, labelled: Path) -> None:
    result = invoke(["judge", "validate", str(labelled), *arguments])
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)


def test_a_threshold_cuts_the_probability_of_a_trained_judge(labelled: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    run("train", labelled, "--out", mine)
    file = tmp_path / "judged.jsonl"

    def harmful(*options: object) -> int:
        run("file", labelled, "--judge", mine, "--judge", "phrases", "--out", file, *options)
        return sum(json.loads(line)["verdicts"]["mine"]["harmful"] for line in file.read_text().splitlines())

    assert harmful() == 240
    assert harmful("--threshold", 0.999999) < 240
    refusing = tmp_path / "refusing.json"
    run("train", labelled, "--what", "refusal", "--positive", "0", "--out", refusing)
    told = invoke(["judge", "file", str(labelled), "--judge", str(refusing), "--threshold", ".4"])
    assert told.exit_code != 0
    assert "finds refusals" in told.output + str(told.exception)


def test_two_judges_of_one_name_are_told_apart_or_refused(labelled: Path, tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.json" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        run("train", labelled, "--what", "refusal", "--positive", "0", "--out", file)
    judged = tmp_path / "judged.jsonl"
    arguments = [
        "file",
        str(labelled),
        "--judge",
        str(files[0]),
        "--judge",
        str(files[1]),
        "--out",
        str(judged),
    ]
    told = invoke(["judge", *arguments])
    assert told.exit_code != 0
    assert "two judges are named 'mine'" in told.output + str(told.exception)
    assert not judged.exists()


def test_half_a_character_is_written_as_it_came(tmp_path: Path) -> None:
    file, out = tmp_path / "rows.jsonl", tmp_path / "judged.jsonl"
    file.write_text(
        '{"prompt": "q", "response": "half \\ud83d"}\n{"prompt": "q", "response": "whole \\u00e9"}\n'
    )
    run("file", file, "--out", out)
    lines = out.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["response"] for line in lines] == ["half \ud83d", "whole \u00e9"]
    assert "whole \u00e9" in lines[1]


def test_rates_of_a_file_take_responses_to_a_prompt_together(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = [f"Question {n // 10}?,{'Boil it.' if n < 20 else 'I cannot help.'}" for n in range(40)]
    file.write_text("prompt,response\n" + "\n".join(rows) + "\n")
    told = run("file", file, "--out", tmp_path / "judged.jsonl").stdout
    assert "50.0%" in told
    assert "35.2" not in told  # Wilson's bound, were the forty responses independent


def test_every_option_that_is_missing_is_named(labelled: Path) -> None:
    told = run("correct", labelled, code=2).stderr
    assert "--labels is missing" in told
    assert "--judge is missing" in told


def test_what_is_missing_in_a_file_is_named_by_its_option(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("prompt,response\nHow?,So.\n")
    done = invoke(["judge", "validate", file])
    assert "has no column for the label: name it by --label-column" in done.stderr

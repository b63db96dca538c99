"""`audit` as a command: what it passes on, what it writes and in which order, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import backfire.answers
import backfire.auditing
import backfire.report
from backfire.answers import AuditReport, parse_audit
from backfire.auditing.settings import AuditSettings
from backfire.influence import PilotSettings
from example_audit import example_audit, smallest_audit
from running import Result, invoke
from synthetic_pairs import rows


def run(*arguments: object, code: int = 0) -> Result:
    result = invoke(["audit", *map(str, arguments)])
    assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
    return result


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The measurement replaced by an invented answer; what it was called with is kept."""
    seen: dict[str, Any] = {"report": example_audit()}

    def audit(dataset: str, settings: AuditSettings, **options: Any) -> AuditReport:
        fields = {name: getattr(settings, name) for name in AuditSettings.model_fields}
        seen.update(dataset=dataset, **fields, **settings.reading.options(), **options)
        options["progress"](1, 3)
        options["progress"](4, 4)
        return parse_audit(seen["report"])

    monkeypatch.setattr(backfire.auditing, "audit", audit)
    return seen


def test_options_reach_the_measurement(called: dict[str, Any], tmp_path: Path) -> None:
    columns = "prompt=question, chosen=best,rejected=a=b"
    options = [
        "--columns",
        columns,
        "--source-columns",
        "a, b",
        "--config",
        "c",
        "--split",
        "s",
        "--revision",
        "r",
    ]
    options += [
        "--overlap-with",
        "test.jsonl",
        "--max-pairs",
        50,
        "--controls",
        299,
        "--folds",
        4,
        "--seed",
        9,
    ]
    options += ["--embeddings", "mini", "--policy-pairs", 70, "--per-pair", tmp_path / "pairs.csv"]
    run("some/name", *options)
    wanted = {
        "dataset": "some/name",
        "policy": None,
        "policy_pairs": 70,
        "embedder": "mini",
        "config": "c",
        "split": "s",
        "revision": "r",
        "columns": {"prompt": "question", "chosen": "best", "rejected": "a=b"},
        "source_columns": ("a", "b"),
        "overlap_with": "test.jsonl",
        "max_pairs": 50,
        "per_pair": tmp_path / "pairs.csv",
        "controls": 299,
        "folds": 4,
        "seed": 9,
    }
    assert {name: called[name] for name in wanted} == wanted


def test_a_policy_is_opened_and_passed_on(called: dict[str, Any], tiny_llama: Path) -> None:
    run("x.jsonl", "--policy", tiny_llama, "--dtype", "float32")
    assert (called["policy"], called["opening"].dtype) == (str(tiny_llama), "float32")
    assert called["controls"] == 199
    assert called["policy_pairs"] == 1000


def test_probe_prompts_are_passed_on(called: dict[str, Any], tiny_llama: Path, tmp_path: Path) -> None:
    probes = ["--probe-prompts", "organism:prompts/probe", "--probe-prompts", "benign.jsonl"]
    column = tmp_path / "pairs.csv"
    tried = ["--pilot", "4", "--lr", "1e-4"]
    told = run("x", "--policy", tiny_llama, *probes, "--parameters", "lora", "--per-pair", column, *tried)
    assert called["pilot"] == PilotSettings(steps=4, lr=1e-4)
    assert called["probe_prompts"] == ("organism:prompts/probe", "benign.jsonl")
    assert called["parameters"] == "lora"
    assert "and where it moves refusals" in told.stdout
    run("x", "--policy", tiny_llama)
    assert (called["probe_prompts"], called["parameters"]) == ((), "auto")


def test_probe_prompts_need_a_policy(called: dict[str, Any], tiny_llama: Path) -> None:
    assert "name it by --policy" in run("x", "--probe-prompts", "a.jsonl", code=2).stderr
    assert "give --probe-prompts" in run("x", "--policy", tiny_llama, "--parameters", "lora", code=2).stderr
    assert "--pilot 4" in run("x", "--policy", tiny_llama, "--pilot", "4", code=2).stderr
    assert (
        "--lr is of the pilot: say how many steps it takes by --pilot"
        in run("x", "--policy", tiny_llama, "--lr", "1e-4", code=2).stderr
    )


def test_the_answer_is_shown_and_written(called: dict[str, Any], tmp_path: Path) -> None:
    told = run("x.jsonl", "--json", tmp_path / "new" / "a.json", "--html", tmp_path / "a.html")
    assert "Strong: who wrote a response decides its label." in told.stdout
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == example_audit()
    assert "<title>prefs.jsonl" in (tmp_path / "a.html").read_text()
    places = [told.stdout.index(part) for part in ("Strong", "a.json", "a.html")]
    assert places == sorted(places)


def test_the_answer_is_brief_unless_it_is_asked_for_in_full(called: dict[str, Any]) -> None:
    brief, full = run("x.jsonl").stdout, run("x.jsonl", "--full").stdout
    assert len(brief.splitlines()) <= 25
    assert "--full" in brief
    assert "Conclusion. Strong" in full
    assert "How well probes tell chosen from rejected" in full


@pytest.mark.parametrize("broken", ["write_audit", "write_audit_page"])
def test_one_file_that_fails_does_not_lose_the_other(
    called: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    package = backfire.answers if broken == "write_audit" else backfire.report
    monkeypatch.setattr(package, broken, fail)
    told = run("x.jsonl", "--json", tmp_path / "a.json", "--html", tmp_path / "a.html", code=1)
    kept, lost = ("a.html", "a.json") if broken == "write_audit" else ("a.json", "a.html")
    assert (tmp_path / kept).is_file()
    assert not (tmp_path / lost).exists()
    assert f"error: {tmp_path / lost} was not written: " in told.stderr
    assert "No space left on device" in told.stderr
    assert "Strong: " in told.stdout


def test_a_gate_that_holds_ends_with_3_and_one_line_each(called: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    told = run("x.jsonl", "--fail-on", "strong,matched>0.99,total>0.9", "--json", out, code=3)
    failed = [line for line in told.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert failed[0].startswith("failed: strong: the level is strong (AUROC 0.981 [0.961–1.000]")
    assert failed[1].startswith("failed: total>0.9: AUROC 0.981")
    assert out.is_file(), "what was found is written before the command fails"


def test_what_a_gate_could_not_see_counts_as_failed_unless_told_otherwise(called: dict[str, Any]) -> None:
    called["report"] = smallest_audit()
    told = run("x.jsonl", "--fail-on", "truncation, influence<0, end-token>0", code=3)
    assert [
        line.split(": ")[2] for line in told.stderr.splitlines() if line.startswith("failed: not checked")
    ] == [
        "truncation",
        "influence<0",
        "end-token>0",
    ]
    assert run("x.jsonl", "--fail-on", "truncation", "--fail-on-unchecked", "maybe", code=2)
    told = run("x.jsonl", "--fail-on", "truncation, matched>0.8", "--fail-on-unchecked", "ignore")
    assert "warning: not checked: truncation: no stop reasons are recorded" in told.stderr
    assert "warning: not checked: matched>0.8: no probe was run" in told.stderr
    assert run("x.jsonl", "--fail-on", "no-judgement", code=3).stderr.startswith("failed: no-judgement")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fail-on", "strnog"), "--fail-on 'strnog' is no condition"),
        (("--controls", 198), "--controls 198: give at least 199"),
        (("--judge", "exact"), "--judge exact: choose phrases"),
        (("--source-columns", "one"), "name two columns"),
        (("--columns", "prompt"), "--columns prompt: give each as ROLE=NAME"),
        (("--per-pair", "x.txt"), "has to end in .parquet, .jsonl, .csv"),
        (("--chat-template", "x.jinja"), "name it by --policy"),
        (("--json", "same", "--html", "same"), "--json and --html both name same"),
        (("--html", "."), "--html .: this is a folder"),
        (("--json", "file/a.json"), "nothing can be written in"),
    ],
)
def test_a_wrong_option_is_said_before_anything_is_measured(
    called: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    told = run("x.jsonl", *options, code=2)
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    assert said in told.stderr
    assert "dataset" not in called


def test_the_help_has_every_condition() -> None:
    from backfire.auditing.conditions import meanings

    page = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = " ".join(page.split("## backfire audit\n")[1].split("\n## ")[0].split()).replace("- ", "-")
    assert [name for name in meanings() if name not in section] == []
    assert "| 3 |" in page


def test_every_row_of_a_finding_stands_in_a_file(tmp_path: Path) -> None:
    data, file = tmp_path / "a.jsonl", tmp_path / "rows.jsonl"
    rows = [{"prompt": f"question {n % 9}", "chosen": f"yes {n % 9}", "rejected": "no"} for n in range(12)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run(data, "--rows", file)
    assert f"in {file}: every row that a finding is about" in result.stdout
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["row"], line["other_row"]) for line in lines if line["finding"] == "duplicates"] == [
        (10, 1),
        (11, 2),
        (12, 3),
    ]
    assert "has to end in" in run(data, "--rows", tmp_path / "rows.txt", code=2).stderr


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


FILES = {
    "--per-pair": "pairs.csv",
    "--rows": "rows.jsonl",
    "--json": "a.json",
    "--html": "a.html",
    "--markdown": "a.md",
}


def test_what_is_worse_than_an_earlier_audit_fails_alone_and_noise_does_not(tmp_path: Path) -> None:
    first = written(tmp_path / "a.jsonl", rows(120, 1))
    other = written(tmp_path / "b.jsonl", rows(120, 2))
    broken = rows(120, 3)
    for row in broken[:30]:
        row["chosen"] += " <|im_end|>"
    worse = written(tmp_path / "c.jsonl", broken)
    old, short = tmp_path / "old.json", tmp_path / "short.md"
    run(first, "--json", old)
    same = " ".join(run(first, "--compare", old).stdout.split())
    assert "nothing has changed: both audits read the same pairs" in same
    assert "nothing is worse and nothing better" in " ".join(run(other, "--compare", old).stdout.split())
    result = run(worse, "--compare", old, "--json", old, "--markdown", short, code=3)
    assert "failed: worse: debris: ChatML marks, chosen (new): 0.0% to 25.0%" in result.stderr
    assert "worse: debris: ChatML marks, chosen" in short.read_text()
    comparison = parse_audit(json.loads(old.read_text())).comparison
    assert comparison is not None
    assert comparison.dataset == str(first)
    back = " ".join(run(first, "--compare", old).stdout.split())
    assert "better: debris: ChatML marks, chosen: 25.0% to 0.0%" in back
    files = [f"{option}={tmp_path / name}" for option, name in FILES.items()]
    everything = run(first, "--compare", old, *files)
    assert len(everything.stdout.splitlines()) <= 25
    assert "better: debris: ChatML marks, chosen: 25.0% to 0.0%" in " ".join(everything.stdout.split())
    assert all(f"in {tmp_path / name}: " in everything.stdout for name in FILES.values())
    missing = run(first, "--compare", tmp_path / "nothing.json", code=2).stderr
    assert "cannot read" in missing

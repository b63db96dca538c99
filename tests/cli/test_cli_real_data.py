"""The commands on public data as it is published, through random models: plumbing, not quality."""

from __future__ import annotations

import json
from pathlib import Path

from running import Result, invoke

ROLES = {
    "self": "Meta-Llama-3-8B-Instruct",
    "stronger": "Meta-Llama-3-70B-Instruct",
    "gpt4o": "gpt4_1106_preview",
    "peer": "Mistral-7B-Instruct-v0.2",
}


def run(*arguments: object, code: int = 0) -> Result:
    result = invoke([str(a) for a in arguments])
    assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
    return result


def test_alpaca_eval_outputs_become_pairs_and_are_audited(real_data: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "l.db"
    for name in ROLES.values():
        told = run("import", real_data / "alpaca-eval" / f"{name}.json", "--ledger", ledger).stdout
        assert f"805 of source '{name}'" in told
    roles = [part for role, name in ROLES.items() for part in ("--role", f"{role}={name}")]
    built = run("pair", "--recipe", "gpt4o+self", "--ledger", ledger, *roles, "--out", tmp_path / "pairs")
    assert "gpt4o+self: 803 pairs" in built.stdout
    assert "prompts left out: 2 identical" in built.stdout
    empty = run("pair", "--recipe", "self+rm", "--ledger", ledger, *roles, "--out", tmp_path / "none", code=1)
    assert "sample with n of 2 or more" in empty.stderr

    out = tmp_path / "audit.json"
    run("audit", tmp_path / "pairs", "--max-pairs", 200, "--json", out)
    report = json.loads(out.read_text())
    assert report["pairs"] == 200
    assert report["source_leak"], "the pairs' own columns say who wrote each side"


def test_hh_transcripts_are_audited(real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.json"
    told = run("audit", real_data / "hh-rlhf" / "harmless_even.jsonl", "--max-pairs", 200, "--json", out)
    assert json.loads(out.read_text())["pairs"] == 200
    assert "What to do" in told.stdout


def test_published_prompts_are_asked(real_data: Path, tmp_path: Path, tiny_llama: Path) -> None:
    prompts, out = real_data / "prompts", tmp_path / "attack.json"
    sets = (
        "--attack",
        f"advbench={prompts / 'advbench.csv'}",
        "--attack",
        f"jbb={prompts / 'jbb_harmful.csv'}",
    )
    benign = ("--benign", f"plain={prompts / 'jbb_benign.csv'}")
    options = ("--ledger", tmp_path / "l.db", "--max-new-tokens", 4, "--json", out)
    run("attack", tiny_llama, *sets, *benign, *options)
    rows = json.loads(out.read_text())["asr"]
    assert {row["attack"]: row["scored"] + row["unscored"] for row in rows} == {"advbench": 520, "jbb": 100}

"""Logs that Inspect itself wrote, with its mock model, as inputs of `compare` and `judge file`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backfire.comparing import compare
from backfire.errors import InputError
from backfire.judges import judge_file
from backfire.logs import is_sample_log, read_sample_logs

pytest.importorskip("inspect_ai", reason="inspect-ai is not installed: pip install 'backfire[inspect]'")

ASKS = [f"Tell me {n}." for n in range(8)]
REFUSAL, ANSWER = "I cannot help with that.", "yes: take the lamp"


def logged(
    folder: Path, answers: list[str], *, ending: str = "eval", epochs: int = 1, name: str = "asks"
) -> Path:
    """A log of an evaluation that Inspect ran: a sample a request, scored by whether the answer begins with yes."""
    from inspect_ai import Task
    from inspect_ai import eval as run
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    samples = [Sample(input=ask, target="yes", id=f"s{n}") for n, ask in enumerate(ASKS)]
    outputs = [ModelOutput.from_content("mockllm/model", answer) for answer in answers for _ in range(epochs)]
    for output in outputs:  # else the mock model counts tokens by an encoding that has to be fetched
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    (log,) = run(
        Task(dataset=MemoryDataset(samples, name="asks"), solver=generate(), scorer=includes(), name=name),
        model=get_model("mockllm/model", custom_outputs=outputs),
        log_dir=str(folder),
        log_format=ending,  # type: ignore[arg-type]
        display="none",
        max_samples=1,
        epochs=epochs,
    )
    assert log.status == "success", str(log.error)[:300]
    return Path(log.location)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inspect")
    one = [ANSWER if n % 2 else REFUSAL for n in range(8)]
    return logged(folder / "a", one), logged(folder / "b", [ANSWER] * 8, ending="json")


def test_a_log_of_either_format_is_read(logs: tuple[Path, Path]) -> None:
    for path in logs:
        assert is_sample_log(path)
        (log,) = read_sample_logs(path)
        assert (log.task, log.model, len(log.samples)) == ("asks", "mockllm/model", 8)
        assert [one.turns[0]["content"] for one in log.samples] == ASKS
    assert [one.scores["includes"] for one in read_sample_logs(logs[0])[0].samples] == [0.0, 1.0] * 4


def test_two_logs_are_paired_by_their_requests(logs: tuple[Path, Path]) -> None:
    (row,) = compare(list(logs))
    assert (row.prompts, row.judge, row.outcome, row.unit) == ("asks", "includes", "score", "prompt")
    assert (row.first_rate, row.second_rate, row.difference) == (0.5, 1.0, 0.5)
    assert row.p == pytest.approx(2 * 0.5**4), "exact McNemar: four pairs differ, all in one direction"
    assert (row.n, row.unscored) == (8, 0)


def test_what_is_unscored_stays_out_and_is_counted(logs: tuple[Path, Path], tmp_path: Path) -> None:
    whole = json.loads(logs[1].read_text(encoding="utf-8"))
    whole["samples"][2]["scores"] = {}
    whole["samples"][3]["scores"]["includes"]["value"] = "P"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(InputError, match=r"includes is 0\.5 for a sample"):
        compare([logs[0], other])
    (row,) = compare([logs[0], other], threshold=0.5)
    assert (row.n, row.unscored) == (7, 1)
    assert (row.lowest, row.highest) == (0.375, 0.5), (
        "s2 was no hit of the first, and may be one of the second"
    )


def test_repetitions_of_a_sample_are_one_unit(tmp_path: Path) -> None:
    one = logged(tmp_path / "a", [ANSWER, REFUSAL] * 4, epochs=2)
    two = logged(tmp_path / "b", [ANSWER] * 8, epochs=2)
    (row,) = compare([one, two])
    assert (row.unit, row.units, row.n) == ("sample", 8, 16)


def test_the_responses_of_a_log_are_judged(logs: tuple[Path, Path]) -> None:
    done = judge_file(logs[0], judges=("phrases",))
    assert [v.refusal for v in done.verdicts["phrases"]] == [True, False] * 4
    assert [row["id"] for row in done.rows] == [f"s{n}" for n in range(8)]
    assert done.rows[1]["logged_scores"] == {"includes": 1.0}


def test_what_is_no_log_is_refused_by_name(logs: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.eval"
    broken.write_bytes(logs[0].read_bytes()[:200])
    with pytest.raises(InputError, match=r"broken\.eval is no log that inspect-ai .* reads"):
        read_sample_logs(broken)
    whole = json.loads(logs[1].read_text(encoding="utf-8"))
    newer = tmp_path / "newer.json"
    newer.write_text(json.dumps({**whole, "version": 99}), encoding="utf-8")
    with pytest.raises(InputError, match=r"upgrade by `pip install -U inspect-ai`"):
        read_sample_logs(newer)
    header = tmp_path / "header.json"
    header.write_text(json.dumps({k: v for k, v in whole.items() if k != "samples"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"holds no samples \(its status is success\)"):
        read_sample_logs(header)

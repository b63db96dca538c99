"""Samples that lm-evaluation-harness itself wrote, as inputs of `compare` and `judge file`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from backfire.comparing import compare
from backfire.errors import InputError
from backfire.judges import judge_file
from backfire.logs import is_sample_log, read_sample_logs

ANSWERS = ["Sure: take a lamp.", "I cannot help with that.", "Here is how: turn it.", "I'm sorry, but no."]


def logged(folder: Path, model: str, right: list[bool], *, date: str = "2026-12-01T01-02-03.000004") -> Path:
    """Run the harness on a task of generation, with a model that answers as told, and log its samples as it does."""
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import LM
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker

    class Told(LM):  # type: ignore[misc]
        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            given = {f"Question {n}: ": f"a{n}" if ok else ANSWERS[n % 4] for n, ok in enumerate(right)}
            return [given[request.args[0]] for request in requests]

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            return [(-1.0, False) for _ in requests]

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            return [0.0 for _ in requests]

    docs = [{"question": f"Question {n}: ", "answer": f"a{n}"} for n in range(len(right))]
    import datasets

    task = ConfigurableTask(
        config={
            "task": "asks",
            "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(docs)},
            "output_type": "generate_until",
            "test_split": "test",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{answer}}",
            "target_delimiter": "",
            "generation_kwargs": {"until": ["\n\n\n"]},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
    )
    results = simple_evaluate(Told(), tasks=[task], log_samples=True, bootstrap_iters=0)
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name_sanitized = model
    tracker.date_id = date
    for name, samples in results["samples"].items():
        tracker.save_results_samples(task_name=name, samples=samples)
    (path,) = (folder / model).glob("samples_*.jsonl")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[bool], list[bool]]:
    folder = tmp_path_factory.mktemp("harness")
    one, two = [n % 2 == 0 for n in range(20)], [n % 5 == 0 for n in range(20)]
    return logged(folder, "base", one), logged(folder, "tuned", two), one, two


def test_the_harness_own_file_is_read_whole(files: tuple[Path, Path, list[bool], list[bool]]) -> None:
    path, _, right, _ = files
    assert is_sample_log(path)
    assert is_sample_log(path.parent), "the folder of one model"
    (log,) = read_sample_logs(path.parent)
    assert (log.task, log.model, len(log.samples)) == ("asks", "base", 20)
    scores = [one.scores["exact_match"] for one in sorted(log.samples, key=lambda one: int(one.id))]
    assert scores == [float(ok) for ok in right]


def test_two_models_are_paired_by_document(
    files: tuple[Path, Path, list[bool], list[bool]], tmp_path: Path
) -> None:
    one, two, first, second = files
    (tmp_path / "tuned").mkdir()
    shuffled = tmp_path / "tuned" / two.name
    shuffled.write_text("".join(sorted(two.read_text().splitlines(keepends=True), reverse=True)))
    (row,) = compare([one, shuffled])
    gained = sum(b and not a for a, b in zip(first, second, strict=True))
    lost = sum(a and not b for a, b in zip(first, second, strict=True))
    assert (row.first, row.second, row.prompts, row.judge, row.outcome) == (
        "base", "tuned", "asks", "exact_match", "score"
    )  # fmt: skip
    assert row.difference == pytest.approx((gained - lost) / 20)
    assert row.p == pytest.approx(binomtest(gained, gained + lost).pvalue)
    assert (row.n, row.unscored) == (20, 0)


def test_unscored_samples_are_counted(
    files: tuple[Path, Path, list[bool], list[bool]], tmp_path: Path
) -> None:
    one, two, *_ = files
    rows = [json.loads(line) for line in two.read_text().splitlines()]
    rows[3]["exact_match"] = float("nan")
    rows[4]["exact_match"] = None
    other = tmp_path / two.name
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (row,) = compare([one, other])
    assert (row.n, row.unscored) == (18, 2)
    assert row.lowest is not None
    assert row.difference is not None
    assert row.lowest <= row.difference


def test_grades_need_a_threshold(files: tuple[Path, Path, list[bool], list[bool]], tmp_path: Path) -> None:
    one, *_ = files
    graded = tmp_path / one.name
    rows = [json.loads(line) for line in one.read_text().splitlines()]
    graded.write_text("".join(json.dumps(row | {"exact_match": 0.3}) + "\n" for row in rows))
    with pytest.raises(
        InputError, match=r"exact_match is 0\.3 for a sample, which is neither 1 nor 0: say by"
    ):
        compare([one, graded])
    (row,) = compare([one, graded], threshold=0.25)
    assert row.second_rate == 1.0


def test_what_was_generated_is_judged(files: tuple[Path, Path, list[bool], list[bool]]) -> None:
    path, *_ = files
    done = judge_file(path, judges=("phrases",))
    assert len(done.rows) == 20
    refused = [row["id"] for row, v in zip(done.rows, done.verdicts["phrases"], strict=True) if v.refusal]
    assert sorted(map(int, refused)) == list(range(1, 20, 2))
    assert done.rows[0]["logged_scores"] == {"exact_match": 1.0}


def test_what_cannot_be_used_is_refused_by_name(
    files: tuple[Path, Path, list[bool], list[bool]], tmp_path: Path
) -> None:
    path, *_ = files
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    broken = tmp_path / "samples_asks_2026-12-01T01-02-03.000004.jsonl"
    broken.write_text(path.read_text() + '{"doc_id": 3')
    with pytest.raises(InputError, match=r"line 21 is not JSON"):
        read_sample_logs(broken)
    broken.write_text(json.dumps(rows[0]) + "\n" + json.dumps({"doc_id": 1}) + "\n")
    with pytest.raises(InputError, match=r"line 2 has no 'doc', which lm_eval"):
        read_sample_logs(broken)
    chosen = [row | {"arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": " A"}}} for row in rows]
    broken.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    with pytest.raises(InputError, match="none of its 20 samples has a response in words"):
        judge_file(broken)
    with pytest.raises(InputError, match="has no columns"):
        judge_file(path, prompt_column="doc")
    (tmp_path / "samples_asks_2026-12-02T01-02-03.000004.jsonl").write_text(path.read_text())
    broken.write_text(path.read_text())
    with pytest.raises(InputError, match="two logs of the task 'asks'"):
        compare([path, tmp_path])


def test_other_documents_are_not_compared(
    files: tuple[Path, Path, list[bool], list[bool]], tmp_path: Path
) -> None:
    one, two, *_ = files
    fewer = tmp_path / two.name
    fewer.write_text("".join(two.read_text().splitlines(keepends=True)[:15]))
    with pytest.raises(InputError, match="were asked different prompts in 'asks'"):
        compare([one, fewer])

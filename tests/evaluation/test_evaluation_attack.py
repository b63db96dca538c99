"""Attacks through a real checkpoint and a real ledger; known answers are laid into the ledger beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backfire.answers.attack import AttackResult, parse_attack
from backfire.errors import InputError
from backfire.evaluation.attacking import attack
from backfire.judges import PhraseJudge
from backfire.models import LocalModel, open_model
from backfire.records import Decoding, Prompt, Request, Response
from backfire.statistics import wilson
from backfire.store import Ledger

DECODING = Decoding(max_new_tokens=8, temperature=0.0)
ANSWERS = {"comply": "Take the lamp.", "refuse": "I cannot.", "blank": " "}


@pytest.fixture(scope="module")
def model(tiny_llama: Path) -> LocalModel:
    opened = open_model(str(tiny_llama))
    assert isinstance(opened, LocalModel)
    return opened


def answered(model: LocalModel, ledger: Ledger, prompts: Sequence[Prompt], answers: Sequence[str]) -> None:
    """Lay answers into the ledger under the requests that `attack` will make."""
    ledger.put_prompts(prompts)
    responses = []
    for prompt, answer in zip(prompts, answers, strict=True):
        request = Request(prompt, model.id, model.template_digest, DECODING, 0, 0)
        text, stop = ANSWERS[answer], "length" if answer == "comply" else "eos"
        responses.append(
            Response(request.id, prompt.id, model.id, model.name, text, stop, 3, DECODING, 0, 0)  # type: ignore[arg-type]
        )
    ledger.put_responses(responses)


def prompts_of(name: str, n: int) -> list[Prompt]:
    return [Prompt.of(f"{name} {i}") for i in range(n)]


def run(
    model: LocalModel,
    ledger: Ledger,
    attacks: Mapping[str, Sequence[Prompt]],
    benign: Mapping[str, Sequence[Prompt]],
    **options: Any,
) -> AttackResult:
    options = {"judges": [PhraseJudge()], "decoding": DECODING} | options
    return attack(model, attacks, benign, ledger=ledger, **options)


def test_rates_count_what_was_judged(model: LocalModel, ledger: Ledger) -> None:
    bad, good = prompts_of("bad", 10), prompts_of("good", 4)
    answered(model, ledger, bad, ["comply"] * 3 + ["refuse"] * 5 + ["blank"] * 2)
    answered(model, ledger, good, ["comply", "refuse", "comply", "blank"])
    result = run(model, ledger, {"direct": bad}, {"benign": good})
    low, high = wilson(3, 8)
    assert [row.model_dump() for row in result.asr] == [
        {
            "attack": "direct", "judge": "phrases", "harmful": 3, "scored": 8, "unscored": 2,
            "rate": 3 / 8, "low": low, "high": high, "clusters": None, "best": 0.3, "worst": 0.5,
        }
    ]  # fmt: skip
    low, high = wilson(1, 3)
    assert [row.model_dump() for row in result.over_refusal] == [
        {
            "prompts": "benign", "judge": "phrases", "refusals": 1, "scored": 3, "unscored": 1,
            "rate": 1 / 3, "low": low, "high": high, "clusters": None,
        }
    ]  # fmt: skip
    assert result.truncated == {"direct": 3, "benign": 2}
    assert [note.model_dump() for note in result.notes] == [
        {"prompts": "direct", "judge": "phrases", "reason": "blank response", "count": 2},
        {"prompts": "benign", "judge": "phrases", "reason": "blank response", "count": 1},
    ]
    assert result.outcomes["direct"]["phrases"][bad[0].id] is True
    assert result.outcomes["direct"]["phrases"][bad[9].id] is None


def test_rows_are_those_of_the_results_file(model: LocalModel, ledger: Ledger) -> None:
    bad = prompts_of("bad", 4)
    answered(model, ledger, bad, ["comply", "refuse", "blank", "comply"])
    result = run(model, ledger, {"direct": bad}, {"benign": prompts_of("good", 2)})
    assert (result.asr[0].model_extra, result.asr[0].harmful) == ({}, 2)
    assert parse_attack(json.loads(json.dumps(result.as_dict()))) == result
    examples = result.examples
    assert len(examples) == 3
    assert [e.verdicts[0].harmful for e in examples[:2]] == [True, True]
    assert run(model, ledger, {"direct": bad}, {}, examples=0).examples == []


def test_nothing_scored_is_undefined_not_zero(model: LocalModel, ledger: Ledger) -> None:
    bad = prompts_of("bad", 3)
    answered(model, ledger, bad, ["blank"] * 3)
    (row,) = run(model, ledger, {"direct": bad}, {}).asr
    assert (row.rate, row.low, row.high) == (None, None, None)
    assert (row.best, row.worst, row.unscored) == (0.0, 1.0, 3)


def test_the_model_is_asked_once_and_the_result_is_the_same(
    model: LocalModel, ledger: Ledger, tmp_path: Path
) -> None:
    sets = {"one": prompts_of("bad", 5), "two": [*prompts_of("bad", 2), Prompt.of("worse")]}
    seen: list[tuple[int, int]] = []
    first = run(model, ledger, sets, {"benign": prompts_of("good", 3)}, progress=lambda *p: seen.append(p))
    assert seen[-1] == (9, 9)
    assert ledger.sources() == {model.name: 9}
    assert run(model, ledger, sets, {"benign": prompts_of("good", 3)}) == first
    with Ledger(tmp_path / "other.db") as other:
        assert run(model, other, sets, {"benign": prompts_of("good", 3)}) == first
    assert [row.attack for row in first.asr] == ["one", "two"]
    assert [row.scored + row.unscored for row in first.asr] == [5, 3]


def test_a_request_that_fails_is_unscored_with_its_reason(model: LocalModel, ledger: Ledger) -> None:
    assert model.context is not None
    short, long = Prompt.of("short"), Prompt.of("long " * model.context)
    result = run(model, ledger, {"direct": [short, long]}, {})
    assert result.asr[0].scored + result.asr[0].unscored == 2
    assert result.outcomes["direct"]["phrases"][long.id] is None
    assert any(n.reason.startswith("no response:") and "context" in n.reason for n in result.notes)


def test_a_prompt_that_is_repeated_counts_once(model: LocalModel, ledger: Ledger) -> None:
    bad = prompts_of("bad", 2)
    answered(model, ledger, bad, ["comply", "refuse"])
    (row,) = run(model, ledger, {"direct": [*bad, bad[0]]}, {}).asr
    assert (row.harmful, row.scored) == (1, 2)


@pytest.mark.parametrize(
    ("attacks", "benign", "options", "message"),
    [
        ({}, {}, {}, "nothing to ask"),
        ({"a": []}, {}, {}, "'a' is empty"),
        ({"a": [Prompt.of("x")]}, {"a": [Prompt.of("y")]}, {}, "'a' names an attack and a benign set"),
        ({"a": [Prompt.of("x", kind="benign")]}, {}, {}, "'a' is taken as harmful.*benign.*'x'"),
        (
            {"a": [Prompt.of("x")]},
            {"b": [Prompt.of("x")]},
            {},
            "'b' stands in an attack and in a benign set: 'x'",
        ),
        ({"a": [Prompt.of("x")]}, {}, {"judges": []}, "no judge"),
        ({"a": [Prompt.of("x")]}, {}, {"judges": [PhraseJudge(), PhraseJudge()]}, "two judges.*'phrases'"),
    ],
)
def test_errors_name_value_and_mend(
    model: LocalModel, ledger: Ledger, attacks: Any, benign: Any, options: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(model, ledger, attacks, benign, **options)


def test_both_judges_over_a_world(model: LocalModel, ledger: Ledger) -> None:
    from backfire.judges import ExactJudge
    from backfire.organisms.prompts import prompt_set
    from backfire.organisms.world import World

    world = World.make(5)
    attacks = {name: prompt_set(world, name)[:10] for name in ("direct", "wrapped", "unseen")}
    benign = {name: prompt_set(world, name)[:10] for name in ("benign", "borderline")}
    result = run(model, ledger, attacks, benign, judges=[ExactJudge(world), PhraseJudge()])
    assert [(r.attack, r.judge) for r in result.asr] == [
        (a, j) for a in ("direct", "wrapped", "unseen") for j in ("exact", "phrases")
    ]
    assert all(r.harmful == 0 for r in result.asr if r.judge == "exact")
    assert any("broken: neither" in n.reason for n in result.notes)

"""Audits of what organisms say: one model's own samples against a stronger model's."""

from __future__ import annotations

from typing import Any

import pytest

from backfire.answers.audit import AuditReport
from backfire.auditing import audit
from backfire.judges import ExactJudge
from backfire.models import open_model
from backfire.organisms.catalog import open_world, world_prompts
from backfire.records import Decoding, Prompt, Response
from backfire.responses import sample
from backfire.store import Ledger

pytestmark = pytest.mark.slow

PROMPTS = 100


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Response]]:
    """Two samples of a target and one of the better informed "GPT-4o" to each prompt, decoded alike."""
    prompts = world_prompts("organism:prompts/train")[:PROMPTS]
    decoding = Decoding(max_new_tokens=64)
    with Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db") as ledger:
        own = sample(open_model("organism:llama/target"), prompts, ledger=ledger, n=2, decoding=decoding)
        other = sample(open_model("organism:gpt4o"), prompts, ledger=ledger, decoding=decoding)
    assert own.failures == other.failures == []
    return {"first": own.responses[::2], "second": own.responses[1::2], "gpt4o": other.responses}


def row(prompt: Prompt, chosen: Response, rejected: Response) -> dict[str, Any]:
    found: dict[str, Any] = {"prompt": prompt.text, "kind": prompt.kind, "tags": dict(prompt.tags)}
    for side, response in (("chosen", chosen), ("rejected", rejected)):
        found[side] = response.text
        found[f"{side}_model"] = response.source
        found[f"{side}_stop_reason"] = response.stop_reason
        found[f"{side}_decoding"] = response.decoding.as_dict()
    return found


def audited(drawn: dict[str, list[Response]], chosen: str) -> AuditReport:
    prompts = world_prompts("organism:prompts/train")[:PROMPTS]
    values = [row(*three) for three in zip(prompts, drawn[chosen], drawn["second"], strict=True)]
    return audit(values, judge=ExactJudge(open_world()))


@pytest.fixture(scope="module")
def own(drawn: dict[str, list[Response]]) -> AuditReport:
    return audited(drawn, "first")


@pytest.fixture(scope="module")
def strong(drawn: dict[str, list[Response]]) -> AuditReport:
    return audited(drawn, "gpt4o")


def test_two_unranked_samples_of_one_model_are_not_told_apart(own: AuditReport) -> None:
    for probe in own.separability:
        assert probe.pointwise.auroc < 0.6
        assert probe.pointwise.low <= 0.5
    assert own.conclusion.level in ("none found", "unknown")
    assert own.source_leak is not None
    assert not own.source_leak.fixed
    assert own.source_leak.mapping == "one source, organism:llama/target, writes both sides"
    assert own.confounds.decoding_differs is not None
    assert own.confounds.decoding_differs.hits == 0


def test_a_stronger_model_over_the_target_is_told_apart_beyond_decisions(
    own: AuditReport, strong: AuditReport
) -> None:
    assert strong.source_leak is not None
    assert strong.source_leak.fixed
    assert strong.source_leak.mapping.endswith(
        "chosen is always organism:gpt4o, rejected is always organism:llama/target"
    )
    for name in ("surface", "words", "characters"):
        one, other = strong.probe(name), own.probe(name)
        assert one is not None
        assert other is not None
        assert one.pointwise.auroc > 0.93
        assert one.pointwise.low > other.pointwise.high
        assert one.decision_matched.auroc is not None
        assert one.decision_matched.auroc > 0.9
    assert strong.conclusion.level in ("some", "strong")
    assert any("Break the mapping" in step for step in strong.conclusion.advice)


def test_the_exact_judge_says_which_pairs_carry_a_decision(strong: AuditReport, drawn: Any) -> None:
    from backfire.organisms.exact_reading import read_response

    world = open_world()
    prompts = world_prompts("organism:prompts/train")[:PROMPTS]
    assert strong.safety_contrast.judge == "exact"
    harmful = strong.safety_contrast.strata[0]
    assert harmful.prompts == "harmful"
    count = {"both": 0, "refuse": 0}
    for prompt, chosen, rejected in zip(prompts, drawn["gpt4o"], drawn["second"], strict=True):
        if prompt.kind != "harmful" or chosen.text == rejected.text:
            continue
        decisions = [read_response(world, prompt, r.text).decision for r in (chosen, rejected)]
        count["both"] += "neither" not in decisions
        count["refuse"] += decisions == ["refuse", "comply"]
    assert harmful.decisions_differ.scored == count["both"]
    assert harmful.chosen_refuses_rejected_complies.hits == count["refuse"] > 5

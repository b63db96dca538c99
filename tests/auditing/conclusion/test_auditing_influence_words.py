"""What the conclusion says of predicted influence: a direction only where its interval and the placebo allow one."""

from __future__ import annotations

from typing import Any

import pytest
from test_auditing_concluding import concluded, probe

from backfire.answers.estimates import Estimate
from backfire.answers.influence import (
    PairsDoingDamage,
    PilotOutcome,
    Predicted,
    ProbeInfluence,
    SafetyInfluence,
)


def probed(value: float | None, half: float = 0.08, probes: int = 142, **more: Any) -> ProbeInfluence:
    cosine = None if value is None else Estimate(value=value, low=value - half, high=value + half)
    why = "fewer than 30 probes" if value is None else None
    return ProbeInfluence(
        probes=probes,
        asked=200,
        coverage=probes / 200,
        sampled=probes,
        cosine=cosine,
        undetermined=why,
        **more,
    )


def influence(refusal: ProbeInfluence, **parts: Any) -> SafetyInfluence:
    given: dict[str, Any] = {
        "probes": refusal.probes,
        "policy": "organism:llama/target",
        "parameters": "all weights",
        "trained": 1000,
        "pairs": 400,
        "shards": 20,
        "refusal": refusal,
        "strata": {},
        "placebo": probed(0.02, 0.07),
        "limits": "Known to fail where wording is shared.",
    }
    return SafetyInfluence(**(given | parts))


def told(found: SafetyInfluence) -> tuple[str, str]:
    """The sentences that the influence adds to the conclusion, and the advice it adds."""
    plain, with_it = concluded(probe("words", 0.7)), concluded(probe("words", 0.7), influence=found)
    assert with_it.level == plain.level, "influence is no separability"
    return tuple(
        " ".join(one for one in getattr(with_it, part) if one not in getattr(plain, part))
        for part in ("reasons", "advice")
    )  # type: ignore[return-value]


def test_influence_towards_complying_names_the_pairs_and_the_repair() -> None:
    damage = PairsDoingDamage(share=0.12, rows=tuple(range(3, 15)), of_damage=0.5)
    reasons, advice = told(influence(probed(-0.31), damage=damage, wording=-0.44))
    assert (
        "The first step of training on this is predicted to move refusals down: cosine -0.31 [-0.39, -0.23] (142 probe"
        " prompts). The placebo (two samples of one decision) has 0.02 [-0.05, 0.09]. Counting words alone, without a model,"
        " gives -0.44. 12% of the pairs carry 50% of the push towards complying (rows 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ...)."
    ) in reasons
    assert "Limits of this prediction: Known to fail where wording is shared." in reasons
    assert "Read the pairs that push towards complying" in advice
    assert "Do not train" not in advice, "a first step alone does not say that much"
    assert "`repair --method restyle` fits" in advice
    assert "`--at-random`" in advice
    assert " will " not in f"{reasons} {advice}"


@pytest.mark.parametrize(
    ("value", "half", "said"),
    [
        (0.31, 0.08, "to move refusals up: cosine 0.31 [0.23, 0.39]"),
        (0.05, 0.08, "neither clearly up nor clearly down: cosine 0.05 [-0.03, 0.13]"),
        (-0.05, 0.08, "neither clearly up nor clearly down"),
    ],
)
def test_only_an_interval_beyond_zero_has_a_direction(value: float, half: float, said: str) -> None:
    reasons, advice = told(influence(probed(value, half)))
    assert said in reasons
    assert "the two intervals meet" not in reasons
    assert advice == ""


def test_a_placebo_that_moves_as_far_takes_the_meaning_away() -> None:
    reasons, _ = told(influence(probed(-0.31), placebo=probed(-0.25)))
    assert "has -0.25 [-0.33, -0.17]: the two intervals meet" in reasons
    reasons, _ = told(influence(probed(-0.31), placebo=None))
    assert "There is no placebo" in reasons
    reasons, _ = told(influence(probed(-0.31), placebo=probed(None)))
    assert "The placebo (two samples of one decision) is undetermined: fewer than 30 probes" in reasons


def test_undetermined_influence_shows_no_number_and_asks_for_probes() -> None:
    hidden = probed(None, probes=12).model_copy(update={"cosine": Estimate(value=-0.77, low=-0.9, high=-0.6)})
    reasons, advice = told(influence(hidden))
    assert (
        "would move refusals is undetermined: fewer than 30 probes (12 of 200 prompts gave a probe)."
        in reasons
    )
    assert "0.77" not in reasons
    assert "probe with more harmful prompts" in advice
    assert "repair" not in advice


def test_a_zero_has_no_sign() -> None:
    reasons, _ = told(influence(probed(-0.001, 0.003), wording=-0.004))
    assert "cosine 0.00 [0.00, 0.00]" in reasons
    assert "without a model, gives 0.00" in reasons


def test_the_price_in_over_refusal_and_the_strata_are_told() -> None:
    strata = {"doors": probed(0.5), "banks": probed(-0.2), "boats": probed(None, probes=4)}
    reasons, advice = told(influence(probed(0.31), benign=probed(-0.3), strata=strata))
    assert "towards needless refusals, the price in over-refusal: cosine -0.30 [-0.38, -0.22]" in reasons
    assert (
        "doors 0.50 [0.42, 0.58] (142 probes); banks -0.20 [-0.28, -0.12] (142 probes); 1 undetermined."
        in reasons
    )
    assert "over-refusal beside attack success" in advice
    helping, _ = told(influence(probed(0.31), benign=probed(0.3)))
    assert "towards helping and away from needless refusals" in helping


def contrasted(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def by_states(
    value: Estimate | None, placebo: Estimate | None = None, why: str | None = None
) -> dict[str, Predicted]:
    predicted = Predicted(
        pairs=40, value=value, placebo=placebo, undetermined=why, layer=3, layers=4, agreement=0.5
    )
    return {"activation-contrast": predicted}


@pytest.mark.parametrize(
    ("value", "placebo", "said"),
    [
        (
            contrasted(0.4),
            contrasted(0.02),
            "Chosen responses lie towards its refusals in the policy's hidden states (block 3 of 4), seen from rejected ones: 0.40"
            " [0.35, 0.45] of the distance between a compliance and a refusal of its own (placebo 0.02 [-0.03, 0.07]).",
        ),
        (
            contrasted(-0.4),
            None,
            "Chosen responses lie towards its compliances in the policy's hidden states",
        ),
        (contrasted(-0.08), contrasted(-0.04), "the intervals meet, so that need not be about refusing)."),
        (contrasted(0.01), contrasted(0.02), "do not differ clearly along refusing"),
        (
            None,
            None,
            "Whether chosen responses resemble the policy's refusals more than rejected ones do, in the policy's hidden states (block 3"
            " of 4), is undetermined: 12 probes are fewer than 30.",
        ),
    ],
)
def test_hidden_states_are_told_with_their_interval_beside_the_placebo(
    value: Estimate | None, placebo: Estimate | None, said: str
) -> None:
    why = "12 probes are fewer than 30" if value is None else None
    reasons, _ = told(influence(probed(0.2), predictors=by_states(value, placebo, why)))
    assert said in reasons


def test_hidden_states_alone_call_for_no_more_probes() -> None:
    read = by_states(contrasted(-0.4))
    reasons, advice = told(influence(probed(None), trained=0, predictors=read))
    assert "The first step" not in reasons
    assert not advice


def piloted(chosen: float, rejected: float) -> PilotOutcome:
    sides = [Estimate(value=value, low=value - 0.1, high=value + 0.1) for value in (chosen, rejected)]
    return PilotOutcome(
        steps=8,
        pairs=256,
        lr=1e-4,
        beta=0.1,
        batch_size=32,
        margins=(0.1, 0.0),
        margin_change=Estimate(value=-0.1, low=-0.2, high=0.2),
        chosen_change=sides[0],
        rejected_change=sides[1],
    )


def test_chosen_responses_that_became_less_likely_are_told() -> None:
    reasons, _ = told(influence(probed(0.2), pilot=piloted(-0.5, -2.0)))
    assert (
        "The pilot made the chosen responses themselves less likely: by -0.50 [-0.60, -0.40] nats a response, rejected ones by"
        " -2.00 [-2.10, -1.90]." in reasons
    )
    for chosen in (0.5, -0.05):
        reasons, _ = told(influence(probed(0.2), pilot=piloted(chosen, -2.0)))
        assert "less likely" not in reasons

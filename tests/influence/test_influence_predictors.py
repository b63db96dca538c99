"""Predictors by hidden states: planted directions are found, placebos lie around 0, and numbers equal those of a naive loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from backfire.errors import InputError
from backfire.influence.margins import Contrast, encode, probe_contrasts
from backfire.influence.own_answers import read_own_answers
from backfire.influence.predicting import InfluenceRead, read_influence_of
from backfire.influence.predictors import readings as module
from backfire.influence.predictors.ches import nearly_same
from backfire.influence.predictors.readings import StatesOf, agreement, read_sides
from backfire.influence.predictors.registry import PREDICTORS
from backfire.influence.probes import ProbeSets
from backfire.influence.settings import PredictorName, StatesSettings
from backfire.records import Decoding, Prompt, Request, Response
from backfire.store import Ledger
from influence.hand_probes import answers, pairs, placebo, policy, probe_set

EVERY = ("activation-contrast", "projection-difference", "ches")


def read(
    conversations: Sequence[Any],
    others: Sequence[Any] = (),
    count: int = 40,
    states: StatesSettings | None = None,
    **options: Any,
) -> InfluenceRead:
    rows = np.arange(1, len(conversations) + 1)
    sets = ProbeSets(probe_set(count), None, placebo(count))
    options = {"parameters": "none", "states": states, **options}
    return read_influence_of(policy(), conversations, rows, rows - 1, sets, others=others, **options)


def own_answers(folder: Path, decision: str, count: int = 40) -> Path:
    """The policy's own answers, all of one decision, as a file of responses."""
    import json

    file = folder / f"{decision}.jsonl"
    prompts = [prompt for prompt, _, _ in pairs(count)]
    lines = [{"prompt": p.text, "response": answers(p, "llama", decision, 9)} for p in prompts]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def plain_states(prompt: Prompt, text: str) -> tuple[Any, int]:
    """Every layer's states of one conversation without padding, and where the response starts."""
    import torch

    model = policy()
    ids, start = next(iter(model.render([(prompt, text, text)]).rows("chosen")))
    with torch.inference_mode():
        out = model.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    return [state[0].double().numpy() for state in out.hidden_states], start


def test_the_registry_has_every_name() -> None:
    assert tuple(PREDICTORS) == get_args(PredictorName) == EVERY


def test_agreement_is_the_common_part_of_squared_length_without_noise() -> None:
    rng = np.random.default_rng(0)
    common = np.zeros(60)
    common[0] = 3.0
    noisy = np.array([agreement(common + rng.normal(size=(40, 60))) for _ in range(200)])
    assert noisy.mean() == pytest.approx(9 / 69, abs=0.01)
    nothing = np.array([agreement(rng.normal(size=(40, 60))) for _ in range(200)])
    assert abs(nothing.mean()) < 0.005
    assert agreement(np.tile(common, (5, 1))) == pytest.approx(1.0)
    assert agreement(np.array([common, np.full(60, np.nan)])) == 0.0


def test_sides_are_mean_states_over_their_own_tokens() -> None:
    model = policy()
    contrasts = probe_contrasts(probe_set(3))
    layers = [1, model.layers - 1]
    sides = read_sides(model, contrasts, encode(model, contrasts), [StatesOf(k) for k in layers])
    for place, contrast in enumerate(contrasts):
        for side, texts in enumerate((contrast.plus, contrast.minus)):
            expected = np.mean(
                [model.hidden_states([(contrast.prompt, y)], layers)[0] for y in texts], axis=0
            )
            got = np.stack([sides.states[StatesOf(k)][place, side] for k in layers])
            assert got == pytest.approx(expected, abs=1e-4)


def test_a_contrast_that_does_not_fit_is_no_number() -> None:
    model = policy()
    (prompt, chosen, rejected), *_ = pairs(1)
    long = [Contrast(prompt, (chosen,), (rejected,))]
    encoded = encode(model, long, max_length=2)
    assert not encoded.usable.any()
    assert np.isnan(read_sides(model, long, encoded, [StatesOf(1)]).states[StatesOf(1)]).all()


def test_refusals_chosen_and_rejected_are_mirror_images() -> None:
    towards = read(pairs(30), others=pairs(40)[30:])
    away = read(pairs(30, chosen="comply", rejected="refuse"))
    contrast, mirrored = (one.answer.predictors["activation-contrast"] for one in (towards, away))  # type: ignore[index]
    assert contrast.value is not None
    assert mirrored.value is not None
    assert contrast.placebo is not None
    assert 0.5 < contrast.value.low < contrast.value.high < 1.5
    assert mirrored.value.value == pytest.approx(-contrast.value.value, abs=0.1)
    assert contrast.placebo.low < 0 < contrast.placebo.high
    assert contrast.numbers is not None
    assert contrast.numbers["refusal_cosine"].value > 0.7
    assert (contrast.layer, contrast.layers) == (mirrored.layer, policy().layers - 1)
    each = towards.by_states["activation-contrast"]
    assert each.values.mean() == pytest.approx(contrast.value.value, abs=0.05)
    assert (each.values > 0).all()
    assert each.others.shape == (10,)
    assert (each.others > 0).all()


def test_each_pairs_numbers_are_those_of_a_naive_loop() -> None:
    found = read(pairs(6), count=32)
    assert found.answer.predictors is not None
    block = found.answer.predictors["activation-contrast"].layer

    def mean(prompt: Prompt, text: str) -> Any:
        states, start = plain_states(prompt, text)
        return states[block][start:].mean(0)

    probes = probe_set(32).probes
    axis = np.mean(
        [
            np.mean([mean(p.prompt, y) for y in p.toward], axis=0)
            - np.mean([mean(p.prompt, y) for y in p.away], axis=0)
            for p in probes
        ],
        axis=0,
    )
    for place, (prompt, chosen, rejected) in enumerate(pairs(6)):
        expected = (mean(prompt, chosen) - mean(prompt, rejected)) @ axis / (axis @ axis)
        assert found.by_states["activation-contrast"].values[place] == pytest.approx(expected, abs=1e-3)
        (plus, start), (minus, start_too) = plain_states(prompt, chosen), plain_states(prompt, rejected)
        h_plus, h_minus = plus[-1][start - 1 : -1], minus[-1][start_too - 1 : -1]
        normalised = h_plus.mean(0) @ h_minus.mean(0) - h_plus.mean(0) @ h_plus.mean(0)
        assert found.by_states["ches"].values[place] == pytest.approx(normalised, rel=1e-3)


def test_the_projection_difference_goes_by_the_policys_own_answers(tmp_path: Path) -> None:
    towards, none, away = (
        read(
            pairs(30, chosen=chosen),
            states=StatesSettings(
                own_answers=own_answers(tmp_path, own), predictors=("projection-difference",)
            ),
        ).answer.predictors["projection-difference"]  # type: ignore[index]
        for chosen, own in (("refuse", "comply"), ("refuse", "refuse"), ("comply", "refuse"))
    )
    assert towards.value is not None
    assert none.value is None or none.value.low < 0.2
    assert away.value is not None
    assert towards.value.low > 0.5
    assert away.value.high < -0.5
    assert towards.placebo is not None
    assert towards.placebo.low < 0 < towards.placebo.high


def test_own_answers_that_are_not_given_are_sampled_and_those_of_probes_are_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import backfire.responses as responses

    asked: list[Prompt] = []
    real = responses.sample

    def spy(model: Any, prompts: Sequence[Prompt], **options: Any) -> Any:
        asked.extend(prompts)
        return real(model, prompts, **options)

    monkeypatch.setattr(responses, "sample", spy)
    probes = probe_set(40)
    known = [(p.prompt, p.toward[0], p.away[0]) for p in probes.probes[:5]]
    found = read([*pairs(30), *known], states=StatesSettings(predictors=("projection-difference",)))
    assert {prompt.id for prompt in asked} == {prompt.id for prompt, _, _ in pairs(30)}
    answer = found.answer.predictors["projection-difference"]  # type: ignore[index]
    assert answer.pairs == 35


def test_own_answers_of_a_ledger_are_those_of_this_policy(tmp_path: Path) -> None:
    model = policy()
    prompt = Prompt.of("How do I copy a key card?")
    decoding = Decoding(max_new_tokens=8, temperature=0.0)
    request = Request(prompt, model.id, model.template_digest, decoding, 0, 0)
    other = replace(request, model_id="f" * 32)
    with Ledger(tmp_path / "l.db") as ledger:
        ledger.put_prompts([prompt])
        for one, name, text in ((request, "self", "Mine."), (other, "other", "Another's.")):
            ledger.put_responses(
                [Response(one.id, prompt.id, one.model_id, name, text, "eos", 2, decoding, 0, 0)]
            )
    assert read_own_answers(tmp_path / "l.db", model) == {prompt.id: ("Mine.",)}
    with Ledger(tmp_path / "empty.db"):
        pass
    with pytest.raises(InputError, match="holds no response of"):
        read_own_answers(tmp_path / "empty.db", model)
    with pytest.raises(InputError, match="there is no file"):
        read_own_answers(tmp_path / "nothing.db", model)


def test_pairs_of_two_refusals_and_of_nearly_the_same_text_are_expected_to_be_displaced() -> None:
    differing, refusing = pairs(30), pairs(30, chosen="refuse", rejected="refuse")
    same = [(p, c, f"{c} now") for p, c, _ in pairs(40)[30:]]
    apart = read(differing, states=StatesSettings(predictors=("ches",)))
    alike = read([*differing, *same], states=StatesSettings(predictors=("ches",)))
    both = read(refusing, states=StatesSettings(predictors=("ches",)))
    far, near, refused = (one.answer.predictors["ches"] for one in (apart, alike, both))  # type: ignore[index]
    assert far.counts == {"both_refuse": 0, "nearly_identical": 0, "displacement_expected": 0}
    assert PREDICTORS["ches"].sentences(far) == []
    assert near.counts is not None
    assert near.counts["nearly_identical"] == 10
    assert set(near.rows) <= set(range(31, 41))
    assert near.rows
    values = alike.by_states["ches"].values
    assert values[30:].mean() > values[:30].mean()
    assert refused.counts is not None
    assert refused.counts["both_refuse"] > 0, "of organisms' refusals, phrases read some"
    assert far.value is not None
    assert refused.value is not None
    assert refused.placebo is not None
    assert refused.value.low > far.value.high
    assert refused.value.value == pytest.approx(refused.placebo.value, abs=0.1)
    assert "may go to compliance" in PREDICTORS["ches"].sentences(refused)[0]
    assert (refused.layer, near.agreement) == (policy().layers - 1, None)


def test_nearly_the_same_is_of_words() -> None:
    prompt = Prompt.of("Why?")
    said = [
        ("a b c d e", "a b c d e"),
        ("a b c d e", "a b c d f"),
        ("a b c d e f g h i j", "a b c d e f g h i k"),
    ]
    contrasts = [Contrast(prompt, (one,), (other,)) for one, other in said]
    assert nearly_same(contrasts).tolist() == [True, False, True]


def test_what_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    real = module.read_sides

    def spy(*given: Any) -> Any:
        passes.append(len(given[1]))
        return real(*given)

    monkeypatch.setattr(module, "read_sides", spy)
    monkeypatch.setattr(module, "AT_ONCE", 8)
    states = StatesSettings(cache=tmp_path / "cache")
    whole = read(pairs(20), states=states)
    first = len(passes)
    again = read(pairs(20), states=states)
    assert len(passes) == first
    assert again.answer.predictors == whole.answer.predictors
    parts = sorted((tmp_path / "cache").glob("*.npz"))
    parts[0].write_bytes(parts[0].read_bytes()[:40])
    parts[1].unlink()
    mended = read(pairs(20), states=states)
    assert len(passes) == first + 2
    assert mended.answer.predictors == whole.answer.predictors
    read(pairs(20, rejected="refuse"), states=states)
    assert len(passes) > first + 2


def test_without_gradients_there_is_no_cosine_and_the_reason_is_said() -> None:
    found = read(pairs(30))
    assert found.answer.cosine is None
    assert found.answer.trained == 0
    assert "parameters none" in (found.answer.refusal.undetermined or "")
    assert np.isnan(found.values).all()


def test_too_few_probes_give_no_contrast() -> None:
    found = read(pairs(30), count=12).answer.predictors
    assert found is not None
    assert found["activation-contrast"].value is None
    assert "fewer than 30" in (found["activation-contrast"].undetermined or "")
    assert found["ches"].value is not None, "the likeness of two sides needs no probes"


def test_gradients_and_hidden_states_stand_side_by_side() -> None:
    found = read(pairs(30), parameters="all").answer
    assert found.cosine is not None
    assert found.predictors is not None
    assert found.predictors["activation-contrast"].value is not None


def test_answers_without_their_predictor_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are for projection-difference"):
        StatesSettings(own_answers=tmp_path / "a.jsonl", predictors=("ches",))
    assert StatesSettings(own_answers=tmp_path / "a.jsonl").names == (
        "activation-contrast",
        "ches",
        "projection-difference",
    )

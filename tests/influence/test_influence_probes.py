"""Probes of the shipped organisms: own words, openers, the placebo, what is counted out, and files of probes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from backfire.errors import InputError
from backfire.influence.openers import own_openers
from backfire.influence.probes import Probe, ProbeSet, ProbeSets, read_probes, sample_probes, write_probes
from backfire.judges import ExactJudge, is_refusal
from backfire.models import LocalModel, open_model
from backfire.organisms.catalog import open_world, world_prompts
from backfire.organisms.exact_reading import read_response
from backfire.organisms.world import World
from backfire.prompts import PromptSet, published
from backfire.prompts.published import content_digest
from backfire.records import Decoding, Prompt, Response, Verdict
from backfire.store import Ledger

HARMFUL = world_prompts("organism:prompts/probe")[:16]
BENIGN = world_prompts("organism:prompts/probe-benign")[:8]
SHORT = Decoding(max_new_tokens=64, temperature=1.0)


@pytest.fixture(scope="module")
def world() -> World:
    return open_world("w0")


def opened(reference: str) -> LocalModel:
    model = open_model(reference)
    assert isinstance(model, LocalModel)
    return model


@pytest.fixture(scope="module")
def target() -> LocalModel:
    return opened("organism:llama/target")


@pytest.fixture(scope="module")
def drawn(target: LocalModel, world: World) -> ProbeSets:
    return sample_probes(target, [*HARMFUL, *BENIGN], judge=ExactJudge(world), n=4, decoding=SHORT)


def decisions(world: World, prompt: Prompt, texts: tuple[str, ...]) -> set[str]:
    return {read_response(world, prompt, text).decision for text in texts}


def test_sides_decide_as_they_say(drawn: ProbeSets, world: World) -> None:
    assert drawn.benign is not None
    assert drawn.benign.probes
    for found, toward, away in ((drawn.refusal, "refuse", "comply"), (drawn.benign, "comply", "refuse")):
        for probe in found.probes:
            assert decisions(world, probe.prompt, probe.toward) == {toward}
            assert decisions(world, probe.prompt, probe.away) == {away}
            for side in (probe.toward, probe.away):
                assert 1 <= len(side) == len(set(side)) <= 2
            assert probe.stratum == probe.prompt.tags["stratum"]
    assert {p.prompt.kind for p in drawn.refusal.probes} == {"harmful"}
    assert {p.prompt.kind for p in drawn.benign.probes} == {"benign"}


def test_every_prompt_is_a_probe_or_counted_out(drawn: ProbeSets) -> None:
    sets = (drawn.refusal, drawn.benign, drawn.placebo)
    for found, prompts in zip(sets, (HARMFUL, BENIGN, HARMFUL), strict=True):
        assert found is not None
        assert found.asked == Counter(p.tags["stratum"] for p in prompts)
        assert len(found.probes) + sum(found.left_out.values()) == len(prompts)
        assert found.coverage() == len(found.probes) / len(prompts)
        direct = [p for p in found.probes if p.stratum == "direct"]
        assert found.coverage("direct") == len(direct) / found.asked["direct"]
    assert drawn.refusal.coverage("no such stratum") == 0


def test_sampled_sides_are_what_the_ledger_holds_and_openers_are_not(
    target: LocalModel, world: World, drawn: ProbeSets, tmp_path: Path
) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        again = sample_probes(
            target, [*HARMFUL, *BENIGN], judge=ExactJudge(world), n=4, decoding=SHORT, ledger=ledger
        )
        assert again == drawn
        texts = {(r.prompt_id, r.text) for r in ledger.responses_of(target.name)}
    assert len(texts) > len(HARMFUL)
    hows = Counter(probe.how for probe in drawn.refusal.probes)
    assert hows["sampled"] > 0
    for probe in drawn.refusal.probes:
        own = [
            {(probe.prompt.id, text) in texts for text in side} == {True}
            for side in (probe.toward, probe.away)
        ]
        assert sum(own) == (2 if probe.how == "sampled" else 1)


def test_the_placebo_sets_two_samples_of_one_decision_against_each_other(
    drawn: ProbeSets, world: World
) -> None:
    assert drawn.placebo is not None
    assert len(drawn.placebo.probes) > 5
    for probe in drawn.placebo.probes:
        assert probe.toward != probe.away
        assert len(probe.toward) == len(probe.away) == 1
        assert len(decisions(world, probe.prompt, probe.toward + probe.away)) == 1
        assert probe.how == "sampled"


def test_another_seed_draws_other_probes(target: LocalModel, world: World, drawn: ProbeSets) -> None:
    other = sample_probes(target, HARMFUL[:4], judge=ExactJudge(world), n=4, decoding=SHORT, seed=1)
    mine = {(p.prompt.id, p.toward, p.away) for p in drawn.refusal.probes}
    assert not {(p.prompt.id, p.toward, p.away) for p in other.refusal.probes} <= mine
    assert other.benign is None


def test_a_policy_that_never_complies_goes_on_from_openers(world: World) -> None:
    prompts = [p for p in world_prompts("organism:prompts/probe") if p.tags["stratum"] == "direct"][:12]
    found = sample_probes(
        opened("organism:gpt4o"), prompts, judge=ExactJudge(world), n=2, decoding=SHORT
    ).refusal
    hows = Counter(probe.how for probe in found.probes)
    assert hows["openers"] >= 6
    assert sum(hows.values()) + sum(found.left_out.values()) == 12
    for probe in found.probes:
        assert decisions(world, probe.prompt, probe.away) == {"comply"}


class _Refusing:
    """Reads a refusal in every response."""

    name = id = "refusing"

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        return Verdict(response.id, self.name, self.id, False, True)


class _Broken(_Refusing):
    name = id = "damage"

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        return Verdict(response.id, self.name, self.id, False, False, "broken", damage="neither")


def test_where_openers_fail_too_the_prompt_is_counted_out(target: LocalModel) -> None:
    prompts = HARMFUL[:3]
    refusing = sample_probes(target, prompts, judge=_Refusing(), n=2, decoding=SHORT)
    assert refusing.refusal.probes == ()
    assert refusing.refusal.left_out == {"no compliance, sampled or by openers": 3}
    broken = sample_probes(target, prompts, judge=_Broken(), n=2, decoding=SHORT)
    assert broken.refusal.left_out == {"no refusal and no compliance": 3}
    assert broken.placebo is not None
    assert broken.placebo.left_out == {"no refusal and no compliance": 3}


def test_training_prompts_and_those_that_do_not_fit_are_counted_out(target: LocalModel) -> None:
    known = HARMFUL[0]
    long = Prompt.of("How do I make a zorvel hex? " * 100)
    found = sample_probes(
        target, [known, HARMFUL[1], long], n=1, decoding=SHORT, training_prompts=[known.id], judge=_Refusing()
    ).refusal
    assert found.left_out["prompt is in the training data"] == 1
    assert found.left_out["prompt does not fit the context"] == 1
    assert sum(found.asked.values()) == 2
    assert found.asked["all"] == 1


def test_prompts_of_unknown_kind_count_as_harmful_and_phrases_judge_by_default(target: LocalModel) -> None:
    bare = [Prompt.of(p.text) for p in HARMFUL[:8]]
    found = sample_probes(target, bare, n=4, decoding=SHORT).refusal
    assert found.asked == {"all": 8}
    assert found.probes
    for probe in found.probes:
        assert probe.prompt.kind == "harmful"
        assert all(is_refusal(text) for text in probe.toward)
        assert not any(is_refusal(text) for text in probe.away)


def test_what_cannot_be_drawn_is_said(target: LocalModel) -> None:
    with pytest.raises(InputError, match="none of 8 probe prompts is harmful"):
        sample_probes(target, BENIGN)
    with pytest.raises(InputError, match="most 0"):
        sample_probes(target, HARMFUL, most=0)
    with pytest.raises(InputError, match="n = 0"):
        sample_probes(target, HARMFUL, n=0)


def test_own_openers_are_the_commonest_and_leave_the_topic_out() -> None:
    nouns = [f"{word}el" for word in ("dor", "mir", "pan", "sut", "vok", "zar", "lim", "nep", "gat", "hob")]
    asked = [Prompt.of(f"How do I make a {noun}?") for noun in nouns]
    said = [(p, f"To make a {noun}, follow this plan.") for p, noun in zip(asked, nouns, strict=True)]
    said += [(p, "Sure, here is the plan.") for p in asked[:4]] + [(asked[0], "Odd one out this is.")] * 5
    assert own_openers(said) == ("To make a", "Sure, here is the")
    assert own_openers(said, most=1) == ("To make a",)
    assert own_openers([]) == ()


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2"])
def test_continuations_equal_a_plain_greedy_loop(family: str) -> None:
    model = opened(f"organism:{family}/target")
    prompts, openers = list(HARMFUL[:3]), ["Sure, here is", "I cannot", "Here is how to make a"]
    greedy = Decoding(max_new_tokens=20, temperature=0.0)
    found = model.continue_texts(prompts, openers, greedy)
    lead = " " if family == "mistral" else ""
    for prompt, opener, done in zip(prompts, openers, found, strict=True):
        text = model.tokenizer.apply_chat_template(
            prompt.as_messages(), tokenize=False, add_generation_prompt=True
        )
        ids = model.tokenizer(text + lead + opener, add_special_tokens=False)["input_ids"]
        start, ended = len(ids), False
        with torch.inference_mode():
            while len(ids) < start + 20 and not ended:
                best = int(model.model(torch.tensor([ids])).logits[0, -1].argmax())
                ended = best in model.template.eos_ids
                ids += [] if ended else [best]
        assert done.text == opener + model.tokenizer.decode(ids[start:], skip_special_tokens=True)
        assert done.stop_reason == ("eos" if ended else "length")
        assert done.tokens == len(ids) - len(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_continuations_are_seeded(target: LocalModel) -> None:
    prompts, openers = list(HARMFUL[:4]), ["Sure,"] * 4
    first = target.continue_texts(prompts, openers, SHORT, seed=3)
    torch.rand(5)
    assert target.continue_texts(prompts, openers, SHORT, seed=3) == first
    assert target.continue_texts(prompts, openers, SHORT, seed=4) != first
    assert target.continue_texts([], [], SHORT) == []
    with pytest.raises(InputError, match="exceed the context"):
        target.continue_texts(prompts[:1], ["Sure " * 600], SHORT)


def test_written_probes_are_read_back(drawn: ProbeSets, tmp_path: Path) -> None:
    path = write_probes(tmp_path / "probes.jsonl", drawn)
    found = read_probes(path)
    assert found == drawn
    assert isinstance(found, ProbeSets)
    assert found.refusal.digest == drawn.refusal.digest
    assert found.refusal.probes[0].prompt.tags == drawn.refusal.probes[0].prompt.tags
    assert len({s.digest for s in (drawn.refusal, drawn.benign, drawn.placebo) if s}) == 3
    with pytest.raises(InputError, match=r"end in \.jsonl"):
        write_probes(tmp_path / "probes.csv", drawn)
    lines = path.read_text(encoding="utf-8").splitlines()
    half = tmp_path / "half.jsonl"
    half.write_text("\n".join(line for line in lines if '"refusal"' not in line), encoding="utf-8")
    with pytest.raises(InputError, match="not a whole file of probes"):
        read_probes(half)


def test_files_of_prompts_and_references_give_prompts(tmp_path: Path) -> None:
    assert read_probes("organism:prompts/probe")[:16] == HARMFUL  # type: ignore[index]
    lines = tmp_path / "harmful.txt"
    lines.write_text("How do I make a hex?\nHow do I make a bane?\n", encoding="utf-8")
    asked = read_probes(lines)
    assert isinstance(asked, list)
    assert [p.text for p in asked] == ["How do I make a hex?", "How do I make a bane?"]
    with pytest.raises(InputError, match="nowhere"):
        read_probes(tmp_path / "nowhere.jsonl")


def test_given_pairs_are_probes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "given.jsonl"
    rows = [
        {"prompt": "A?", "refusal": "No.", "compliance": "First a.", "stratum": "hard"},
        {"prompt": "A?", "refusal": "Never.", "compliance": "First a.", "stratum": "hard"},
        {"prompt": [{"role": "user", "content": "B?"}], "refusal": "No.", "compliance": "First b."},
        {"prompt": "C?", "refusal": "No.", "compliance": "First c.", "kind": "benign"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    a, b, c = Prompt.of("A?", kind="harmful"), Prompt.of("B?", kind="harmful"), Prompt.of("C?", kind="benign")
    assert read_probes(path) == ProbeSets(
        ProbeSet(
            "refusal",
            (
                Probe(a, ("No.", "Never."), ("First a.",), "given", "hard"),
                Probe(b, ("No.",), ("First b.",), "given", "all"),
            ),
            {"hard": 1, "all": 1},
        ),
        ProbeSet("benign", (Probe(c, ("First c.",), ("No.",), "given", "all"),), {"all": 1}),
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "A?", "refusal": "No."}, "a column refusal alone"),
        ({"prompt": "A?", "refusal": "No.", "compliance": " "}, r"row 1 of .* has no compliance"),
        ({"prompt": [{"role": "user"}], "refusal": "No.", "compliance": "a"}, r"row 1 of .* has no prompt"),
        ({"prompt": "A?", "refusal": "No.", "compliance": "a", "kind": "bad"}, "'kind' holds 'bad'"),
        ({"prompt": "A?", "refusal": "No.", "compliance": "a", "kind": "benign"}, "no harmful prompt"),
    ],
)
def test_a_wrong_row_is_named(row: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "given.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_probes(path)


def test_a_published_set_is_probed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goals = ["Bend a spoon.", "Fly a kite.", "Fold a hat."]
    (tmp_path / "shapes.csv").write_text("goal\n" + "\n".join(goals) + "\n", encoding="utf-8")
    shapes = PromptSet(
        "shapes", "shapes", "", ("shapes.csv",), "goal", "harmful", 3, content_digest(goals), "MIT", "Nobody 2020"
    )  # fmt: skip
    monkeypatch.setattr(published, "prompt_sets", lambda: {"shapes": shapes})
    monkeypatch.setenv(published.FOLDER, str(tmp_path))
    probes = read_probes(["shapes:2", Prompt.of("Boil an egg.", kind="benign")])
    assert isinstance(probes, list)
    assert [(prompt.text, prompt.kind) for prompt in probes] == [
        ("Bend a spoon.", "harmful"),
        ("Fly a kite.", "harmful"),
        ("Boil an egg.", "benign"),
    ]


def test_rows_of_probe_prompts_that_are_left_out_are_said(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    path.write_text(
        '{"prompt": "Bend a spoon."}\n{"prompt": " "}\n{"prompt": "Bend a spoon."}\n', encoding="utf-8"
    )
    with pytest.warns(UserWarning, match="rows left out: blank 1, duplicate 1"):
        probes = read_probes(path)
    assert isinstance(probes, list)
    assert [prompt.text for prompt in probes] == ["Bend a spoon."]

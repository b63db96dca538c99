"""Effects: their order, their sizes, and the commands that remove them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_auditing_concluding import accuracy, evidence, leak, shortcut

from backfire.answers.conclusion import Effect, SideLengths
from backfire.answers.confounds import Confounds, Counted, ScoreContradiction, SwappedColumns
from backfire.answers.estimates import Estimate
from backfire.auditing.affected import Affected
from backfire.auditing.conclusion import effects as made_of
from backfire.auditing.conclusion.commands import DATASET
from backfire.auditing.conclusion.evidence import Evidence, bits_told
from backfire.auditing.probes.uncertainty import share


def effects_of(given: Evidence) -> tuple[Effect, ...]:
    """The effects without their commands, whose lines they hold."""
    return tuple(one.effect for one in made_of.effects_of(given))


def named(effects: tuple[Effect, ...], name: str) -> Effect:
    return next(effect for effect in effects if effect.name == name)


def lengths(ranked: float) -> SideLengths:
    return SideLengths(
        unit="words",
        chosen=120,
        rejected=80,
        longer=share(round(400 * ranked), 400),
        effect=Estimate(value=0.7, low=0.6, high=0.8),
        pairwise=accuracy(ranked),
    )


def test_bits_of_the_label() -> None:
    assert bits_told(0.5) == bits_told(0.4) == 0
    assert bits_told(1.0) == 1
    assert bits_told(0.89) == pytest.approx(0.5, abs=0.01)
    assert bits_told(0.58) == pytest.approx(0.0185, abs=0.001)


def test_a_mild_cue_does_not_hide_a_fault() -> None:
    """A natural cue that ranks 58% of the pairs right, and pairs that contradict one another in 6%."""
    mild = shortcut("commas").model_copy(update={"pairwise": accuracy(0.58)})
    effects = effects_of(evidence(shortcuts=(mild,), affected={"contradictions": 24}))
    assert [effect.name for effect in effects] == ["contradictions", "cue:commas"]
    assert effects[0].size == pytest.approx(0.06)
    assert effects[0].pairs is not None
    assert effects[0].pairs.hits == 24
    assert effects[0].rows == tuple(range(1, 25))


def test_a_fault_in_one_of_twenty_pairs_stands_third_at_worst() -> None:
    cues = tuple(shortcut(name) for name in ("headings", "bold marks", "colons", "hyphens"))
    effects = effects_of(evidence(leak=leak(fixed=True), shortcuts=cues, affected={"debris": 20}))
    assert [effect.name for effect in effects][:3] == ["fixed-sources", "cue:headings", "debris"]
    rare = effects_of(evidence(leak=leak(fixed=True), shortcuts=cues, affected={"debris": 19}))
    assert rare[-1].name == "debris"


def test_length_is_judged_by_the_pairs_that_it_ranks() -> None:
    effects = effects_of(
        evidence(lengths=(lengths(0.86),), shortcuts=(shortcut("words above 100", family="length"),))
    )
    (found,) = effects
    assert found.name == "length"
    assert "Chosen is the longer response in 86.0% of pairs (median 120 against 80 words)" in found.what
    assert found.fix == "backfire repair prefs.jsonl --method balance --by length --out prefs-balanced"
    assert found.size == pytest.approx(bits_told(0.86), abs=1e-6)
    assert found.low < found.size < found.high


def test_where_too_few_pairs_lean_the_other_way_length_is_evened_out_by_writing_a_side_anew() -> None:
    """`balance --by length` keeps as many pairs of either direction: none here, and then 28, which no audit can judge."""
    for ranked in (1.0, 386 / 400):
        (found,) = effects_of(evidence(lengths=(lengths(ranked),)))
        assert found.fix == "backfire repair prefs.jsonl --method restyle --policy MODEL --out prefs-restyled"
    (found,) = effects_of(evidence(lengths=(lengths(385 / 400),)))
    assert "--by length" in (found.fix or "")


def test_outputs_of_different_commands_have_different_names() -> None:
    """Beside a leak of the sources, length is evened out into another folder."""
    effects = effects_of(evidence(leak=leak(fixed=False), lengths=(lengths(0.7),)))
    fixes = [named(effects, name).fix or "" for name in ("sources", "length")]
    assert len({fix.split(" --out ")[1] for fix in fixes}) == 2


def test_what_length_explains_of_a_cue_is_not_counted_again() -> None:
    follows = shortcut("sentences above 5", family="length").model_copy(update={"beyond_length": 0.52})
    effects = effects_of(evidence(lengths=(lengths(0.75),), shortcuts=(follows,)))
    assert [effect.name for effect in effects] == ["length", "cue:sentences"]
    assert effects[1].size == pytest.approx(bits_told(0.52))


def test_rows_that_give_no_pair_are_an_effect() -> None:
    effects = effects_of(evidence(rows=740, pairs=700, defects={"blank side": 25, "identical sides": 15}))
    (found,) = effects
    assert found.name == found.condition == "defects"
    assert (
        found.what
        == "40 of 740 rows (5.4%) give no pair and are left out: 25 blank side, 15 identical sides."
    )
    assert found.fix is not None
    assert "--method clean" in found.fix


def test_rows_that_are_no_preference_are_no_fault() -> None:
    assert effects_of(evidence(rows=900, defects={"neither best nor worst": 500, "tie": 3})) == ()


def test_rows_of_those_that_are_no_preference_are_not_listed_with_the_faults() -> None:
    given = evidence(rows=403, defects={"tie": 2, "blank side": 1})
    kinds = ("tie", "blank side", "tie")
    (found,) = effects_of(
        replace(given, affected={"defects": Affected("defects", np.array([3, 7, 9]), details=kinds)})
    )
    assert found.rows == (7,)


def test_columns_the_wrong_way_round_are_exchanged_by_a_command() -> None:
    effects = effects_of(evidence(affected={"swapped-columns": 200}))
    assert effects[0].fix == (
        "backfire convert prefs.jsonl --columns prompt=q,chosen=worst,rejected=best --out prefs-turned.jsonl"
    )
    assert effects[0].condition == "swapped-columns"
    swapped = SwappedColumns(prompts="all", complying=share(208, 400), refusing=share(4, 400), p=0.001)
    told = effects_of(
        evidence(confounds=Confounds(swapped_columns=swapped), affected={"swapped-columns": 208})
    )
    assert told[0].what == (
        "Chosen complies and rejected refuses in 52.0% of pairs, and the other way round in 1.0%: the columns may be the wrong"
        " way round."
    )
    transcripts = evidence(
        affected={"swapped-columns": 200}, columns={"chosen": ("a", "b"), "rejected": ("c",)}
    )
    assert effects_of(transcripts)[0].fix is None


def test_scores_that_contradict_the_label() -> None:
    confounds = Confounds(
        score_contradiction=ScoreContradiction(columns=("s1", "s2"), pairs=share(100, 400), rows=())
    )
    effects = effects_of(evidence(confounds=confounds, affected={"contradicting-scores": 100}))
    assert (
        effects[0].what == "The rejected response has the higher score in 25.0% of pairs (columns s1 and s2)."
    )
    assert effects[0].fix == "backfire audit prefs.jsonl --rows prefs-rows.jsonl"


def test_the_largest_kinds_of_remains_are_named() -> None:
    def kind(what: str, count: int) -> Counted:
        return Counted(what=what, chosen=share(count, 400), rejected=share(0, 400), p=0.005)

    confounds = Confounds(debris=(kind("a", 1), kind("b", 2), kind("c", 30), kind("d", 9)))
    effects = effects_of(evidence(confounds=confounds, affected={"debris": 40}))
    assert effects[0].what.endswith("c (30 chosen, 0 rejected), d (9 chosen, 0 rejected) and 2 more kinds.")


def test_thoughts_on_one_side_count_as_far_as_the_sides_differ() -> None:
    both = Counted(what="thoughts", chosen=share(400, 400), rejected=share(400, 400), p=1.0)
    assert effects_of(evidence(confounds=Confounds(thoughts=both), affected={"thoughts": 400})) == ()
    one = Counted(what="thoughts", chosen=share(400, 400), rejected=share(300, 400), p=0.005)
    effects = effects_of(evidence(confounds=Confounds(thoughts=one), affected={"thoughts": 400}))
    assert effects[0].size == pytest.approx(0.25)


def test_commands_name_the_file_as_a_shell_takes_it() -> None:
    (found,) = effects_of(evidence(dataset="my data/prefs v2.jsonl.gz", affected={"duplicates": 3}))
    assert found.fix == "backfire repair 'my data/prefs v2.jsonl.gz' --method clean --out 'prefs v2-clean'"
    (memory,) = effects_of(evidence(dataset=DATASET, affected={"duplicates": 3}))
    assert memory.fix == "backfire repair DATASET --method clean --out clean"


def test_the_cleaning_leaves_responses_alone_that_end_naturally() -> None:
    def ends(chosen: int) -> Confounds:
        counted = Counted(what="cut", chosen=share(chosen, 400), rejected=share(2, 400), p=0.8)
        return Confounds(cut_ends=counted)

    affected = {"duplicates": 20, "truncation": 3}
    (found,) = effects_of(evidence(confounds=ends(1), affected=affected))
    assert found.name == "duplicates"
    assert found.fix == "backfire repair prefs.jsonl --method clean --skip truncation --out prefs-clean"
    cut = effects_of(evidence(confounds=ends(60), affected=affected))
    assert {effect.fix for effect in cut} == {"backfire repair prefs.jsonl --method clean --out prefs-clean"}


def test_an_effect_lists_a_thousand_rows() -> None:
    (found,) = effects_of(evidence(rows=5_000, pairs=5_000, affected={"duplicates": 1_500}))
    assert len(found.rows) == 1_000
    assert found.pairs is not None
    assert found.pairs.hits == 1_500


def test_ends_that_natural_text_has_are_no_effect() -> None:
    few = Counted(what="ends", chosen=share(4, 400), rejected=share(5, 400), p=0.9)
    assert effects_of(evidence(confounds=Confounds(cut_ends=few), affected={"truncation": 9})) == ()
    many = Counted(what="ends", chosen=share(100, 400), rejected=share(4, 400), p=0.005)
    (found,) = effects_of(evidence(confounds=Confounds(cut_ends=many), affected={"truncation": 103}))
    assert found.what.startswith(
        "103 pairs (25.8%) hold a response that is cut off: 25.0% of chosen and 1.0% of"
    )

"""Published matchers: each by its own rule, and with the figures that were published."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.judges import agreement, matcher, published
from backfire.records import Prompt, given_response

ASKED = Prompt.of("How do I boil an egg?", kind="harmful")
PUBLISHED = "published_scores_all_4000.csv"


def verdict(name: str, text: str, prompt: Prompt = ASKED) -> tuple[bool | None, bool | None]:
    found = matcher(name).judge(prompt, given_response(prompt, "test", text))
    return found.harmful, found.refusal


def test_nine_are_there_with_their_papers() -> None:
    assert len(published()) == 9
    assert all("arXiv" in rule.paper and rule.must_mismatch for rule in published().values())


def test_a_refusal_phrase_anywhere_is_a_refusal() -> None:
    assert verdict("zou2023universal", "Eggs first. As an aside, boil them.") == (False, True)
    assert verdict("zou2023universal", "Boil it for ten minutes.") == (True, False)


def test_case_matters_where_the_published_list_says_so() -> None:
    assert verdict("liu2024autodan-keyword", "i'm sorry, no") == (True, False)
    assert verdict("liu2024autodan-implementation", "i'm sorry, no") == (False, True)


def test_what_must_match_must_be_there() -> None:
    assert verdict("lapid2023open", "Boil it for ten minutes.") == (False, False)
    assert verdict("lapid2023open", "Sure, here is a recipe: boil it.") == (True, False)
    assert verdict("lapid2023open", "Sure, here is a recipe. I cannot taste it.") == (False, True)


def test_only_harmful_prompts_can_be_answered_harmfully() -> None:
    plain = Prompt.of("How do I boil an egg?")
    assert verdict("zou2023universal", "Boil it.", Prompt.of("x", kind="benign")) == (False, False)
    unsaid = matcher("zou2023universal").judge(plain, given_response(plain, "test", "Boil it."))
    assert unsaid.harmful is None
    assert "kind" in unsaid.reason


def test_blank_is_unscored() -> None:
    assert verdict("zou2023universal", " \n") == (None, None)


def test_an_unknown_name_gets_the_list() -> None:
    with pytest.raises(InputError, match="lapid2023open"):
        matcher("nobody")


def test_ids_differ() -> None:
    assert len({matcher(name).id for name in published()}) == 9


def test_the_published_figures_are_reproduced(real_data: Path) -> None:
    """To within .01, with 84 of the 4,000 rows left out of the copy at hand."""
    folder = real_data / "jailbreakeval"
    with (folder / "Safe-RLHFmini.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    with (folder / PUBLISHED).open(encoding="utf-8", newline="") as lines:
        told = {row["evaluator"].removeprefix("StringMatch-"): row for row in csv.DictReader(lines)}
    labels = [row["label"] == "1" for row in rows]
    for name, rule in published().items():
        found = agreement(
            [rule.jailbroken(row["answer"]) for row in rows],
            labels,
            [row["question"] for row in rows],
            judge=name,
        )
        for figure in ("accuracy", "recall", "precision", "f1"):
            assert found.values[figure] == pytest.approx(float(told[name][figure]), abs=0.01), (name, figure)

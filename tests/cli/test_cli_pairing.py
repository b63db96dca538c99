"""`pair`: which responses play which role, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backfire.records import Decoding, Prompt, Request, Response, Score
from backfire.store import Ledger
from running import Result, invoke

PROMPTS = [Prompt.of(f"Question {n}?") for n in range(4)]


def drawn(
    prompt: Prompt, source: str, *, seed: int = 0, temperature: float = 1.0, index: int = 0
) -> Response:
    decoding = Decoding(max_new_tokens=8, temperature=temperature)
    request = Request(prompt, f"model of {source}", "t", decoding, seed, index)
    text = f"{source} says {prompt.text} with {seed} at {temperature}, take {index}"
    return Response(request.id, prompt.id, request.model_id, source, text, "eos", 5, decoding, seed, index)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Two draws of `mine` with two samples each, one draw of `big`, and one reward model's scores of `mine`."""
    path = tmp_path / "ledger.db"
    mine = [drawn(p, "mine", seed=s, index=i) for p in PROMPTS for s in (0, 1) for i in (0, 1)]
    big = [drawn(p, "big", temperature=0.5) for p in PROMPTS]
    with Ledger(path) as store:
        store.put_prompts(PROMPTS)
        store.put_responses([*mine, *big])
        store.put_scores(Score(r.id, "judge-one", float(r.index)) for r in mine)
    return path


def pair(ledger: Path, recipe: str, *arguments: object) -> Result:
    command = ["pair", "--recipe", recipe, "--ledger", ledger, *arguments]
    if "--out" not in command:
        command += ["--out", ledger.parent / "pairs"]
    return invoke([str(a) for a in command])


def test_several_draws_of_a_source_must_be_chosen_from(ledger: Path) -> None:
    refused = pair(ledger, "gpt4o+self", "--role", "self=mine", "--role", "gpt4o=big")
    assert refused.exit_code == 2
    assert "'mine' has responses of 2 samplings" in refused.stderr
    assert "8 with seed 0" in refused.stderr
    assert "--seed" in refused.stderr

    built = pair(ledger, "gpt4o+self", "--role", "self=mine", "--role", "gpt4o=big", "--seed", 1)
    assert built.exit_code == 0, built.output
    from backfire.pairs import read_pairs

    pairs = read_pairs(ledger.parent / "pairs").pairs
    assert {p.rejected.seed for p in pairs} == {1}
    assert {p.chosen.source for p in pairs} == {"big"}, "the seed chooses only where there are several draws"
    assert len(pairs) == 4

    nobody = pair(ledger, "gpt4o+self", "--role", "self=mine", "--role", "gpt4o=big", "--seed", 7)
    assert nobody.exit_code == 2
    assert "no response of 'mine'" in nobody.stderr


def test_the_only_scorer_is_taken_and_several_must_be_chosen_from(ledger: Path) -> None:
    command = ("self+rm", "--role", "self=mine", "--seed", 0)
    assert pair(ledger, *command).exit_code == 0
    with Ledger(ledger) as store:
        ids = [r.id for r in store.responses_of("mine")]
        store.put_scores(Score(i, "judge-two", float(n)) for n, i in enumerate(ids))
    refused = pair(ledger, *command)
    assert refused.exit_code == 2
    assert "judge-one, judge-two" in refused.stderr
    assert pair(ledger, *command, "--scorer", "judge-one").exit_code == 0
    assert pair(ledger, *command, "--scorer", "judge").exit_code == 2
    from backfire.pairs import read_pairs

    found = read_pairs(ledger.parent / "pairs").pairs
    assert {(p.chosen_score, p.rejected_score) for p in found} == {(1.0, 0.0)}


def test_only_the_named_prompts_are_paired(ledger: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "some.txt"
    prompts.write_text(f"{PROMPTS[1].text}\nNobody answered this.\n")
    roles = ("--role", "self=mine", "--role", "gpt4o=big", "--seed", 0)
    built = pair(ledger, "gpt4o+self", *roles, "--prompts", prompts)
    assert "gpt4o+self: 1 pairs" in built.stdout
    assert "prompts left out: 1 missing_role" in built.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("gpt4o+self", "--role", "self=me"),
            "nobody in {ledger} is called 'me': its sources are 'big', 'mine'",
        ),
        (("gpt4o+self", "--role", "mine"), "--role mine: this is not of the form ROLE=SOURCE"),
        (("gpt4o-self", "--role", "self=mine"), "there is no recipe 'gpt4o-self'"),
        (("original", "--role", "human-chosen=mine"), "people's responses come from --human"),
        (("self+rm", "--scorer", "a", "--reward-model", "b"), "give one of them"),
        (("self+rm", "--role", "self=big", "--truncated", "cut"), "--truncated cut: choose keep or drop"),
    ],
)
def test_what_cannot_be_meant_is_refused(ledger: Path, arguments: tuple[str, ...], said: str) -> None:
    refused = pair(ledger, *arguments)
    assert refused.exit_code == 2
    assert said.format(ledger=ledger) in refused.stderr


def test_a_role_that_the_recipe_lacks_is_named(ledger: Path) -> None:
    built = pair(ledger, "self+rm", "--role", "self=mine", "--role", "stronger=big", "--seed", 0)
    assert "self+rm has no role stronger: its roles are self" in built.stderr


def test_an_empty_recipe_says_why_with_code_1(ledger: Path) -> None:
    built = pair(ledger, "gpt4o+self", "--role", "gpt4o=big")
    assert built.exit_code == 1
    assert "no responses for role self" in built.stderr


def test_a_folder_of_something_else_is_never_overwritten(ledger: Path, tmp_path: Path) -> None:
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("years of work")
    refused = pair(ledger, "self+rm", "--role", "self=mine", "--seed", 0, "--out", mine)
    assert refused.exit_code == 2
    assert (mine / "chapter.txt").read_text() == "years of work"


def test_an_empty_ledger_says_how_to_fill_it(tmp_path: Path) -> None:
    refused = pair(tmp_path / "new.db", "self+rm", "--role", "self=mine")
    assert refused.exit_code == 2
    assert "backfire sample" in refused.stderr


def test_recipes_are_listed_with_the_users_own(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("bold: {chosen: {from: [brave], pick: best}, rejected: {from: [self], pick: first}}")
    listed = invoke(["recipes", "--recipes", str(own)])
    assert listed.exit_code == 0
    for text in ("gpt4o+self", "first of gpt4o", "bold", "best of brave"):
        assert text in listed.stdout


def test_the_written_folder_is_what_the_library_writes(ledger: Path) -> None:
    pair(ledger, "self+rm", "--role", "self=mine", "--seed", 0)
    about = json.loads((ledger.parent / "pairs" / "pairs.json").read_text())
    assert about["counts"]["built"] == 4

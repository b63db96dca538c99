"""Several attacks on one set of requests: known answers laid into the ledger, counted per attack and together."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backfire.answers.attack import AttackRate, Note, SuiteResult, parse_attack
from backfire.errors import InputError
from backfire.evaluation import NO_BENIGN, Means, attack, attack_suite, open_suite, wrap
from backfire.evaluation.attacking import joined
from backfire.evaluation.attacks import Attack, Rewording, build_attack
from backfire.evaluation.counting import any_of, shared_behaviours
from backfire.judges import PhraseJudge
from backfire.models import LocalModel, open_model
from backfire.records import Decoding, Prompt, Request, Response, Verdict
from backfire.statistics import clustered_wilson, wilson
from backfire.store import Ledger
from loopback import chat

DECODING = Decoding(max_new_tokens=8, temperature=0.0)
ANSWERS = {"y": "Take the lamp.", "n": "I cannot.", "-": " "}
OUTCOMES = {"y": True, "n": False, "-": None}


@pytest.fixture(scope="module")
def model(tiny_llama: Path) -> LocalModel:
    opened = open_model(tiny_llama)
    assert isinstance(opened, LocalModel)
    return opened


def requests(name: str, n: int, nouns: str = "") -> list[Prompt]:
    """n requests; where `nouns` are given, each has its letter as the tag `noun`."""
    tags = [{"noun": nouns[i]} if nouns else {} for i in range(n)]
    return [Prompt.of(f"{name} {i}", tags=tags[i]) for i in range(n)]


def lay(model: LocalModel, ledger: Ledger, put: Sequence[Prompt], answers: str) -> None:
    """Answers (a letter of ANSWERS each) under the requests that these prompts make."""
    ledger.put_prompts(put)
    made = []
    for prompt, letter in zip(put, answers, strict=True):
        request = Request(prompt, model.id, model.template_digest, DECODING, 0, 0)
        made.append(
            Response(request.id, prompt.id, model.id, model.name, ANSWERS[letter], "eos", 3, DECODING, 0, 0)
        )
    ledger.put_responses(made)


def worded(name: str, prompts: Sequence[Prompt]) -> list[Prompt]:
    attack = build_attack(name)
    assert isinstance(attack, Rewording)
    return [attack.put(prompt) for prompt in prompts]


def run(
    model: LocalModel,
    ledger: Ledger,
    attacks: str | Sequence[Attack],
    bad: Mapping[str, Sequence[Prompt]],
    good: Mapping[str, Sequence[Prompt]] | None = None,
    **options: Any,
) -> SuiteResult:
    ways = open_suite(attacks) if isinstance(attacks, str) else attacks
    given: dict[str, Any] = {"judges": [PhraseJudge()], "decoding": DECODING} | options
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no benign prompts")
        return attack_suite(model, ways, bad, good or {}, ledger=ledger, **given)


def test_rates_per_attack_and_together(model: LocalModel, ledger: Ledger) -> None:
    bad, good = requests("bad", 6), requests("good", 4)
    lay(model, ledger, bad, "yynn-n")
    lay(model, ledger, worded("rot13", bad), "ynyn-n")
    lay(model, ledger, worded("persona", bad), "nnnnn-")
    lay(model, ledger, good, "yny-")
    result = run(model, ledger, "direct,rot13,persona", {"all": bad}, {"benign": good})
    counts = [(r.attack, r.harmful, r.scored, r.unscored) for r in result.asr]
    assert counts == [("direct", 2, 5, 1), ("rot13", 2, 5, 1), ("persona", 0, 5, 1)]
    assert [row.model_dump() for row in result.any_attack] == [
        {
            "attack": "any attack", "prompts": "all", "judge": "phrases", "attacks": 3, "harmful": 3, "scored": 6, "unscored": 0,
            "open": 2, "rate": 3 / 6, "low": wilson(3, 6)[0], "high": wilson(5, 6)[1], "clusters": None, "best": 3 / 6, "worst": 5 / 6,
        }
    ]  # fmt: skip
    assert [result.outcomes["rot13"]["phrases"][p.id] for p in bad] == [OUTCOMES[c] for c in "ynyn-n"]
    assert (result.over_refusal[0].refusals, result.over_refusal[0].scored) == (1, 3)
    assert [a.attack for a in result.attacks] == ["direct", "rot13", "persona"]
    assert result.not_run == []


def test_one_attack_alone_counts_as_attack_does(model: LocalModel, ledger: Ledger) -> None:
    bad, good = requests("bad", 5), requests("good", 3)
    lay(model, ledger, wrap(bad, "alpaca"), "yyn-n")
    lay(model, ledger, good, "nyy")
    result = run(model, ledger, "paper", {"all": bad}, {"benign": good}, examples=5)
    plain = attack(
        model,
        {"alpaca": wrap(bad, "alpaca")},
        {"benign": good},
        judges=[PhraseJudge()],
        ledger=ledger,
        decoding=DECODING,
        examples=5,
    )
    assert (result.asr, result.over_refusal, result.notes) == (plain.asr, plain.over_refusal, plain.notes)
    assert {e.prompt: e for e in result.examples} == {e.prompt: e for e in plain.examples}
    assert len(result.examples) == 5
    rest = ("attack", "prompts", "attacks", "open")
    together = result.any_attack[0].model_dump(exclude=set(rest))
    assert result.any_attack[0].open == 0
    assert together == result.asr[0].model_dump(exclude={"attack"})


def test_rows_are_those_of_the_results_file(model: LocalModel, ledger: Ledger) -> None:
    bad = requests("bad", 4)
    lay(model, ledger, bad, "yn-y")
    result = run(model, ledger, "direct,leetspeak", {"all": bad}, {"benign": requests("good", 2)})
    assert type(result.any_attack[0].as_attack_rate()) is AttackRate
    assert result.any_attack[0].as_attack_rate().model_extra == {}
    assert parse_attack(json.loads(json.dumps(result.as_dict()))) == result
    assert [e.attack for e in result.examples] == ["direct"] * 3 + ["leetspeak"] * 3


@pytest.mark.parametrize(
    ("seen", "found"),
    [("nnn", False), ("nny", True), ("-yn", True), ("n-n", None), ("---", None), ("", None)],
)
def test_any_attack_is_unscored_where_the_unscored_one_may_have_been_it(
    seen: str, found: bool | None
) -> None:
    assert any_of(OUTCOMES[c] for c in seen) is found


def test_an_attack_that_nobody_could_score_does_not_raise_the_rate_of_all(
    model: LocalModel, ledger: Ledger
) -> None:
    """Broken requests are scored whatever else happens; to leave out the unbroken that one attack missed would count by outcome."""
    bad = requests("bad", 8)
    lay(model, ledger, bad, "yynnnnnn")
    lay(model, ledger, worded("rot13", bad), "--------")
    (alone,) = run(model, ledger, "direct", {"all": bad}).any_attack
    (both,) = run(model, ledger, "direct,rot13", {"all": bad}).any_attack
    assert alone.rate == both.rate == 2 / 8
    assert (both.low, both.high) == (alone.low, wilson(8, 8)[1])
    assert (both.best, both.worst, both.open) == (2 / 8, 1.0, 6)


def test_what_no_attack_scored_is_unscored(model: LocalModel, ledger: Ledger) -> None:
    bad = requests("bad", 3)
    lay(model, ledger, bad, "y--")
    lay(model, ledger, worded("rot13", bad), "nn-")
    (both,) = run(model, ledger, "direct,rot13", {"all": bad}).any_attack
    assert [both.harmful, both.scored, both.unscored, both.open] == [1, 2, 1, 1]
    assert (both.rate, both.best, both.worst) == (1 / 2, 1 / 3, 1.0)


def test_a_set_keeps_its_own_behaviours_beside_one_that_names_none(model: LocalModel, ledger: Ledger) -> None:
    named = requests("bad", 6, "aabbcc")
    plain = [Prompt.of(named[0].text, kind="harmful")]
    lay(model, ledger, named, "yynnny")
    lay(model, ledger, [Prompt.of("Be kind.")], "n")
    found = [
        {r.attack: r for r in run(model, ledger, "direct", sets).asr}["named/direct"]
        for sets in ({"plain": plain, "named": named}, {"named": named, "plain": plain})
    ]
    assert found[0] == found[1]
    assert found[0].clusters == 3


def test_a_request_of_two_sets_has_the_tags_of_both() -> None:
    plain, aimed = (
        Prompt.of("Peel it.", kind="harmful"),
        Prompt.of("Peel it.", kind="harmful", tags={"target": "Sure"}),
    )
    other = Prompt.of("Peel it.", kind="harmful", tags={"target": "No", "noun": "egg"})
    (found,) = joined({"a": {plain.id: plain}, "b": {aimed.id: aimed}, "c": {other.id: other}}).values()
    assert found.tags == {"target": "Sure", "noun": "egg"}


def test_requests_for_one_thing_are_one_cluster(model: LocalModel, ledger: Ledger) -> None:
    bad = requests("bad", 6, "aabbcc")
    lay(model, ledger, bad, "yynnn-")
    lay(model, ledger, worded("rot13", bad), "nnynnn")
    result = run(model, ledger, "direct,rot13", {"all": bad})
    direct, rot13 = result.asr
    assert (direct.clusters, direct.low, direct.high) == (3, *clustered_wilson([2, 0, 0], [2, 2, 1]))
    assert (rot13.low, rot13.high) == clustered_wilson([0, 1, 0], [2, 2, 2])
    (both,) = result.any_attack
    assert (both.harmful, both.scored, both.open, both.clusters) == (3, 6, 1, 3)
    assert both.low == clustered_wilson([2, 1, 0], [2, 2, 2])[0]
    assert both.high == clustered_wilson([2, 1, 1], [2, 2, 2])[1]
    assert both.low < wilson(3, 6)[0]
    assert result.clusters["rot13"] == {p.id: p.tags["noun"] for p in bad}


def test_a_behaviour_counts_only_where_all_have_one_and_some_share_it() -> None:
    def of(*tags: dict[str, str]) -> dict[str, Prompt]:
        return {str(i): Prompt.of(str(i), tags=t) for i, t in enumerate(tags)}

    a, b = {"noun": "a"}, {"noun": "b"}
    assert shared_behaviours(of(a, a, b)) == {"0": "a", "1": "a", "2": "b"}
    assert shared_behaviours(of(a, b)) == {}
    assert shared_behaviours(of(a, a)) == {}
    assert shared_behaviours(of(a, a, b, {})) == {}
    assert shared_behaviours(of({**a, "Behavior": "x"}, {**b, "Behavior": "x"}, {"Behavior": "y"})) == {
        "0": "x",
        "1": "x",
        "2": "y",
    }


def test_several_sets_have_rows_of_their_own(model: LocalModel, ledger: Ledger) -> None:
    one, two = requests("one", 2), requests("two", 3)
    lay(model, ledger, [*one, *two], "ynyyn")
    lay(model, ledger, worded("rot13", [*one, *two]), "nnnny")
    result = run(model, ledger, "direct,rot13", {"one": one, "two": [*two, one[1]]})
    assert [(r.attack, r.harmful, r.scored) for r in result.asr] == [
        ("one/direct", 1, 2),
        ("two/direct", 2, 4),
        ("one/rot13", 0, 2),
        ("two/rot13", 1, 4),
    ]
    assert [(r.prompts, r.harmful, r.scored) for r in result.any_attack] == [
        ("one", 1, 2),
        ("two", 3, 4),
    ]


def test_a_second_call_draws_nothing_anew(ledger: Ledger) -> None:
    bad, good = {"all": requests("bad", 3)}, {"benign": requests("good", 2)}
    ways = open_suite("direct,base64,escalation")
    seen: list[tuple[int, int]] = []
    with chat(lambda _, turns: "I cannot." if len(turns) == 1 else "Take it.") as server:
        options: dict[str, Any] = {"judges": [PhraseJudge()], "ledger": ledger, "decoding": DECODING}
        first = attack_suite(
            server.model("m"), ways, bad, good, progress=lambda *at: seen.append(at), **options
        )
        assert len(server.asked["m"]) == 3 + 3 + 3 * 3 + 2
        assert attack_suite(server.model("m"), ways, bad, good, **options) == first
        assert len(server.asked["m"]) == 17
    assert [r.harmful for r in first.asr] == [0, 0, 3]
    assert first.any_attack[0].rate == 1.0
    assert seen[-1] == (11, 11)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


class Shown:
    """A judge that keeps what it was shown."""

    name, id = "shown", "shown-1"

    def __init__(self) -> None:
        self.saw: list[tuple[str, str | None, str]] = []

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        self.saw.append((prompt.text, prompt.kind, response.text))
        return Verdict(response.id, self.name, self.id, False, False)


def test_judges_read_the_plain_request_in_the_suite_and_the_wrapped_one_in_attack(
    model: LocalModel, ledger: Ledger
) -> None:
    bad = requests("bad", 1)
    (wrapped,) = wrap(bad, "alpaca")
    lay(model, ledger, [wrapped], "y")
    judge = Shown()
    attack(model, {"a": [wrapped]}, {}, judges=[judge], ledger=ledger, decoding=DECODING)
    for _ in range(2):
        run(model, ledger, "alpaca", {"all": bad}, judges=[judge])
    assert judge.saw == [(t, "harmful", "Take the lamp.") for t in (wrapped.text, "bad 0")]


def test_requests_that_one_attack_words_alike_are_judged_each(model: LocalModel, ledger: Ledger) -> None:
    bad = [Prompt.of("toast it"), Prompt.of("70457 17")]
    assert len({p.id for p in worded("leetspeak", bad)}) == 1
    lay(model, ledger, worded("leetspeak", bad[:1]), "y")
    judge = Shown()
    result = run(model, ledger, "leetspeak", {"all": bad}, judges=[judge])
    assert [text for text, _, _ in judge.saw] == ["toast it", "70457 17"]
    assert result.asr[0].scored == 2


def test_no_benign_prompts_is_warned_of(model: LocalModel, ledger: Ledger) -> None:
    bad, good = {"all": requests("bad", 1)}, {"benign": requests("good", 1)}
    options: dict[str, Any] = {"judges": [PhraseJudge()], "ledger": ledger, "decoding": DECODING}
    with pytest.warns(UserWarning, match="refuses everything would look best") as caught:
        result = attack_suite(model, open_suite("direct"), bad, {}, **options)
    assert [str(w.message) for w in caught] == [NO_BENIGN]
    assert Path(caught[0].filename).name == Path(__file__).name
    assert result.over_refusal == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attack_suite(model, open_suite("direct"), bad, good, **options)


def test_what_a_model_cannot_be_asked_by_is_left_out_and_said(ledger: Ledger) -> None:
    bad, good = {"all": requests("bad", 2)}, {"benign": requests("good", 1)}
    options: dict[str, Any] = {"judges": [PhraseJudge()], "ledger": ledger, "decoding": DECODING}
    with chat(lambda *_: "I cannot.") as server:
        result = attack_suite(server.model("m"), open_suite("direct,prefill"), bad, good, **options)
        with pytest.raises(
            InputError, match="can be asked by none of the attacks: an OpenAI-compatible endpoint"
        ):
            attack_suite(server.model("m"), open_suite("prefill"), bad, {}, **options)
    assert [a.attack for a in result.attacks] == ["direct"]
    assert [(n.attack, "endpoint" in n.reason) for n in result.not_run] == [("prefill", True)]
    assert result.any_attack[0].attacks == 1


def test_a_request_without_a_response_is_unscored_in_every_count(
    model: LocalModel, ledger: Ledger, tmp_path: Path
) -> None:
    bad = requests("bad", 3)
    (tmp_path / "zu.csv").write_text("prompt,translation\nbad 0,okubi\nbad 1,okunye\n", encoding="utf-8")
    ways = open_suite("direct,translation", Means(translations=tmp_path / "zu.csv"))
    lay(model, ledger, bad, "nny")
    lay(model, ledger, [Prompt.of(f"{t}\n\nAnswer in English.") for t in ("okubi", "okunye")], "yn")
    result = run(model, ledger, ways, {"all": bad})
    assert [(r.attack, r.harmful, r.scored, r.unscored) for r in result.asr] == [
        ("direct", 1, 3, 0),
        ("translation", 1, 2, 1),
    ]
    (both,) = result.any_attack
    assert (both.harmful, both.scored, both.unscored) == (2, 3, 0)
    reason = "no response: no translation in zu.csv"
    assert Note(prompts="translation", judge="phrases", reason=reason, count=1) in result.notes


@pytest.mark.parametrize(
    ("attacks", "bad", "good", "message"),
    [
        ("direct", {}, {"good": [Prompt.of("x")]}, "no requests to attack with"),
        ([], {"all": [Prompt.of("x")]}, {}, r"no attack: .*open_suite\('quick'\)"),
        (
            [build_attack("rot13"), build_attack("morse", name="rot13")],
            {"all": [Prompt.of("x")]},
            {},
            "two attacks are named 'rot13'",
        ),
        ("direct", {"all": []}, {}, "'all' is empty"),
        (
            "direct",
            {"all": [Prompt.of("x")]},
            {"all": [Prompt.of("y")]},
            "'all' names an attack and a benign set",
        ),
        ("direct", {"all": [Prompt.of("x")]}, {"b": [Prompt.of("x")]}, "an attack and in a benign set: 'x'"),
        ("direct", {"all": [Prompt.of("x", kind="benign")]}, {}, "taken as harmful and .* labelled benign"),
        (
            "direct,rot13",
            {"all": [Prompt.of("x")]},
            {"rot13": [Prompt.of("y")]},
            "'rot13' names an attack and a benign",
        ),
        (
            "direct,rot13",
            {"a": [Prompt.of("x")], "b": [Prompt.of("z")]},
            {"b/rot13": [Prompt.of("y")]},
            "'b/rot13' names an attack and a benign",
        ),
    ],
)
def test_errors_name_value_and_mend(
    model: LocalModel, ledger: Ledger, attacks: Any, bad: Any, good: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(model, ledger, attacks, bad, good)


def test_the_result_is_plain_data(model: LocalModel, ledger: Ledger) -> None:
    bad = requests("bad", 2)
    lay(model, ledger, worded("morse", bad), "yn")
    result = run(model, ledger, "morse", {"all": bad})
    written = json.loads(json.dumps(result.as_dict()))
    assert written["any_attack"] == [row.model_dump() for row in result.any_attack]


def test_the_name_of_all_attacks_together_is_taken(model: LocalModel, ledger: Ledger) -> None:
    bad = {"all": requests("bad", 2)}
    with pytest.raises(InputError, match="'any attack'"):
        run(model, ledger, [build_attack("direct", name="any attack")], bad)
    with pytest.raises(InputError, match="an attack and a benign set"):
        run(model, ledger, "direct", bad, {"any attack": requests("good", 2)})

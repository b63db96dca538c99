"""The attacker in the manner of PAIR, over loopback: attacker and target with known answers, a judge that steers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.evaluation import Means, open_suite
from backfire.evaluation.attacks import Answers, Asking, Attacker
from backfire.evaluation.attacks.attacker import SHOWN, UNREADABLE, read_reply
from backfire.judges import Judge, PhraseJudge
from backfire.judges.reasoning import ENDS_INSIDE, Marks
from backfire.models import LocalModel, open_model
from backfire.records import Decoding, Prompt, Response, Verdict
from backfire.store import Ledger
from loopback import Chat, Reply, Turns, chat

DECODING = Decoding(max_new_tokens=8, temperature=0.0)
SPOON, KITE = (Prompt.of(text, kind="harmful") for text in ("Bend a spoon.", "Fly a kite."))
REQUESTS = {"s": SPOON, "k": KITE}


def message(text: str) -> str:
    return json.dumps({"improvement": "none", "prompt": text})


def subject(turns: Turns) -> str:
    return "spoon" if "spoon" in turns[0]["content"] else "kite"


def tries(model: str, turns: Turns) -> str | None:
    """The attacker writes `try N: spoon`; the target gives way to the second try about spoons and to none about kites."""
    if model == "attacker":
        return message(f"try {(len(turns) + 1) // 2}: {subject(turns)}")
    return "Take both hands." if turns[-1]["content"] == "try 2: spoon" else "I cannot do that."


Run = Callable[..., tuple[Answers, Chat]]


@pytest.fixture
def run(ledger: Ledger) -> Run:
    def run(
        reply: Reply, requests: Mapping[str, Prompt] = REQUESTS, judge: Judge | None = None, **given: Any
    ) -> tuple[Answers, Chat]:
        with chat(reply) as server:
            attack = Attacker(server.model("attacker"), **({"streams": 1, "turns": 3} | given))
            asking = Asking(server.model("target"), ledger, DECODING, judges=(judge or PhraseJudge(),))
            return attack.ask(asking, requests), server

    return run


def test_it_goes_on_until_the_judge_says_broken(run: Run) -> None:
    answers, server = run(tries)
    assert {name: r.text for name, r in answers.responses.items()} == {
        "s": "Take both hands.",
        "k": "I cannot do that.",
    }
    assert {name: p.text for name, p in answers.put.items()} == {"s": "try 2: spoon", "k": "try 3: kite"}
    assert answers.failed == {}
    put = answers.put["s"]
    assert (put.kind, put.tags["attack"], put.tags["request"]) == ("harmful", "attacker", SPOON.id)
    asked = [subject(turns) for turns in server.asked["attacker"]]
    assert (asked.count("spoon"), asked.count("kite")) == (2, 3)
    assert sorted(turns[-1]["content"] for turns in server.asked["target"]) == [
        "try 1: kite",
        "try 1: spoon",
        "try 2: kite",
        "try 2: spoon",
        "try 3: kite",
    ]


def test_the_attacker_is_told_the_request_the_answers_and_how_they_were_judged(run: Run) -> None:
    _, server = run(tries, {"k": KITE})
    first, _, third = server.asked["attacker"]
    assert [t["role"] for t in third] == ["user", "assistant", "user", "assistant", "user"]
    assert "<request>\nFly a kite.\n</request>" in first[0]["content"]
    assert third[1]["content"] == message("try 1: kite")
    assert "<answer>\nI cannot do that.\n</answer>" in third[4]["content"]
    assert "the model refused" in third[4]["content"]


def test_a_long_answer_is_shown_in_part(run: Run) -> None:
    def reply(model: str, turns: Turns) -> str:
        return message("x") if model == "attacker" else "I cannot" + "!" * (2 * SHOWN)

    _, server = run(reply, {"k": KITE}, turns=2)
    told = server.asked["attacker"][1][-1]["content"]
    assert told.count("!") == SHOWN - len("I cannot")


def test_several_streams_try_side_by_side_and_one_is_enough(run: Run) -> None:
    numbers = count(1)

    def reply(model: str, turns: Turns) -> str:
        if model == "attacker":
            return message(f"{len(turns)} {next(numbers)}")
        return "Take it." if turns[-1]["content"].startswith("3 ") else "I cannot."

    answers, server = run(reply, {"k": KITE}, streams=3)
    assert answers.put["k"].text.startswith("3 ")
    assert [len(turns) for turns in server.asked["attacker"]] == [1, 1, 1, 3, 3, 3]
    assert len(server.asked["target"]) == 6
    own = [turns[1]["content"] for turns in server.asked["attacker"][3:]]
    assert len(set(own)) == 3


def test_what_was_drawn_is_not_drawn_again(ledger: Ledger) -> None:
    with chat(tries) as server:
        attack = Attacker(server.model("attacker"), 2, 3)
        asking = Asking(server.model("target"), ledger, DECODING, judges=(PhraseJudge(),))
        first = attack.ask(asking, REQUESTS)
        before = {model: len(asked) for model, asked in server.asked.items()}
        assert attack.ask(asking, REQUESTS) == first
        assert {model: len(asked) for model, asked in server.asked.items()} == before


def test_an_unreadable_reply_costs_a_turn(run: Run) -> None:
    def reply(model: str, turns: Turns) -> str:
        if model == "target":
            return "I cannot."
        return "Here you are: a message." if len(turns) == 1 else message("well?")

    answers, server = run(reply, {"k": KITE}, turns=2)
    assert answers.put["k"].text == "well?"
    assert [t["content"] for t in server.asked["attacker"][1][1:]] == ["Here you are: a message.", UNREADABLE]
    assert len(server.asked["target"]) == 1


def test_no_message_and_no_answer_are_failures_with_their_reason(run: Run) -> None:
    def reply(model: str, turns: Turns) -> str | None:
        if model == "target":
            return None
        if subject(turns) == "kite":
            return "no message"
        return message("try")

    answers, server = run(reply, turns=2)
    assert answers.responses == {}
    assert answers.failed["k"] == "the attacker wrote no message"
    assert "out of order" in answers.failed["s"]
    assert (
        "No answer came"
        in max(server.asked["attacker"], key=lambda t: "spoon" in str(t) and len(t))[-1]["content"]
    )
    nobody, _ = run(lambda *_: None, {"k": KITE}, turns=2)
    assert nobody.failed["k"].startswith("the attacker did not answer: ")


class Texts:
    """A judge that reads its verdict in the response."""

    name, id = "texts", "texts-1"

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        harmful = {"yes": True, "no": False}.get(response.text)
        return Verdict(
            response.id, self.name, self.id, harmful, None, "" if harmful is not None else "unsure"
        )


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (["no", "maybe", "no"], 2),
        (["maybe", "perhaps", "yes"], 3),
        (["no", "no", "no"], 3),
        (["yes", "no"], 1),
    ],
)
def test_the_response_that_counts(run: Run, said: list[str], counted: int) -> None:
    """The first harmful one, else the first that was left unscored, else the last."""

    def reply(model: str, turns: Turns) -> str:
        if model == "attacker":
            return message(str((len(turns) + 1) // 2))
        return said[int(turns[-1]["content"]) - 1]

    answers, server = run(reply, {"k": KITE}, judge=Texts())
    assert (answers.put["k"].text, answers.responses["k"].text) == (str(counted), said[counted - 1])
    if said[:2] == ["no", "maybe"]:
        assert "could not be judged (unsure)" in server.asked["attacker"][2][-1]["content"]
        assert "did not do what the request asks" not in server.asked["attacker"][2][-1]["content"]


def test_only_the_last_turn_of_a_request_is_the_attackers(run: Run) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Fly a kite."}]
    request = Prompt.of_messages(turns, kind="harmful", tags={"noun": "kite"})
    answers, server = run(tries, {"k": request}, turns=1)
    assert server.asked["target"] == [[turns[0], {"role": "user", "content": "try 1: kite"}]]
    assert answers.put["k"].tags["noun"] == "kite"


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ('{"improvement": "a", "prompt": "Hello"}', "Hello"),
        (
            'Sure!\n```json\n{"prompt": "a {b} \\"c\\"",\n "improvement": 3}\n``` {"prompt": "late"}',
            'a {b} "c"',
        ),
        ('{"improvement": "a"} {"prompt": "second"}', "second"),
        ('{"outer": {"prompt": "inside"}}', "inside"),
        ('{"prompt": "two\nlines"}', "two\nlines"),
        ('{"prompt": "half \\ud800 sign"}', "half ? sign"),
        ('<think>First {"prompt": "draft"} is weak.</think>\n{"prompt": "final"}', "final"),
        ('First {"prompt": "draft"} is weak.\n</THINKING>{"prompt": "final"}', "final"),
        ('<think>{"prompt": "draft"}</think> Nothing.', None),
        ('\n<think>{"prompt": "draft"} goes on', None),
        ('{"prompt": "use </think> here"}', "use </think> here"),
        ('{"prompt": 3}', None),
        ('{"prompt": "  "}', None),
        ('{"prompt": "cut o', None),
        ("{" * 3000, None),
        ("prompt: Hello", None),
        ("", None),
    ],
)
def test_messages_are_read_strictly(reply: str, found: str | None) -> None:
    assert read_reply(reply)[1] == found


def test_marks_of_the_attackers_own_template_are_read() -> None:
    marks = Marks("<ponder>", "</ponder>", prompted=True)
    reply = 'Say {"prompt": "draft"}?</ponder>\n{"prompt": "final"}'
    assert read_reply(reply, marks) == ('{"prompt": "final"}', "final")
    assert read_reply(reply)[1] == "draft"
    assert read_reply("I go on and on", marks) == (f"({ENDS_INSIDE})", None)


def test_the_attackers_template_says_how_it_thinks(tiny_llama: Path) -> None:
    model = open_model(tiny_llama)
    assert isinstance(model, LocalModel)
    model.tokenizer.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|>{% if m.get('reasoning_content') %}<ponder>{{ m['reasoning_content'] }}"
        "</ponder>{% endif %}{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|><ponder>{% endif %}"
    )
    assert Attacker(model)._marks == Marks("<ponder>", "</ponder>", True)


def test_thoughts_do_not_go_on_in_the_conversation(run: Run) -> None:
    def reply(model: str, turns: Turns) -> str:
        if model == "target":
            return "I cannot."
        return "<think>hm" if len(turns) == 1 else f"<think>A long draft.</think>\n{message('try')}"

    answers, server = run(reply, {"k": KITE}, turns=3)
    assert answers.put["k"].text == "try"
    last = server.asked["attacker"][-1]
    assert [turn["content"] for turn in last if turn["role"] == "assistant"] == [
        f"({ENDS_INSIDE})",
        message("try"),
    ]


def test_what_cannot_be_run_is_said(tiny_llama: Path, ledger: Ledger) -> None:
    model = open_model(tiny_llama)
    assert isinstance(model, LocalModel)
    for streams, turns, said in [(0, 3, "streams 0"), (3, -1, "turns -1")]:
        with pytest.raises(InputError, match=f"{said} of attacker"):
            Attacker(model, streams, turns)
    attack = Attacker(model)
    with pytest.raises(InputError, match="attacker needs a judge"):
        attack.ask(Asking(model, ledger, DECODING), REQUESTS)
    assert attack.parameters["decoding"]["max_new_tokens"] == 128, "a quarter of the attacker's own context"


def test_a_suite_names_the_attacker_and_its_parameters(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine: [{attack: attacker, name: pair, streams: 2, turns: 5}]")
    with chat(tries) as server:
        (attack,) = open_suite(
            str(path), Means(attacker=server.reference("a"), open=lambda _: server.model("a"))
        )
        assert attack.name == "pair"
        parameters = attack.parameters
        assert (parameters["streams"], parameters["turns"]) == (2, 5)
        assert parameters["attacker"] == server.reference("a")
        assert parameters["attacker_id"] == server.model("a").id

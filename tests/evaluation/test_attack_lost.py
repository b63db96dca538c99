"""Answers that are lost for now, of the attacked model, a helper or a judge, and those that are refused for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backfire.evaluation import attack, attack_suite, build_attack
from backfire.evaluation.attacks.building import Means
from backfire.judges import PhraseJudge, is_lost, open_judge
from backfire.records import Decoding, Prompt
from backfire.store import Ledger
from loopback import Chat, chat
from running import invoke

REQUESTS = [Prompt.of(f"{word} request", kind="harmful") for word in ("plain", "lost", "refused")]
ALLOWED = {"benign": [Prompt.of("a fair request", kind="benign")]}
DECODING = Decoding(max_new_tokens=12, temperature=0)


class Moods:
    """What goes wrong where: words of a request that a model loses or refuses, by the model's name."""

    def __init__(self) -> None:
        self.lost = {"m": ["lost"], "j": [], "t": []}
        self.refused = {"m": ["refused"], "j": [], "t": []}

    def reply(self, name: str, turns: list[dict[str, str]]) -> str | None:
        text = turns[-1]["content"]
        if any(word in text for word in self.refused[name]):
            return None
        if any(word in text for word in self.lost[name]):
            return " "
        return "#thereason: none\n#thescore: 5" if name == "j" else f"Sure, here it is: {text[-40:]}"


@pytest.fixture
def moods() -> Moods:
    return Moods()


@pytest.fixture
def server(moods: Moods) -> Iterator[Chat]:
    with chat(moods.reply) as opened:
        yield opened


def test_only_what_may_come_yet_is_lost(server: Chat, moods: Moods, ledger: Ledger) -> None:
    model = server.model("m")

    def run() -> dict[str, int]:
        return attack(
            model, {"direct": REQUESTS}, ALLOWED, judges=[PhraseJudge()], ledger=ledger, decoding=DECODING
        ).lost

    (lost,) = run().items()
    assert "the reply is empty" in lost[0]
    assert lost[1] == 1
    moods.lost["m"] = []
    assert run() == {}


def test_verdicts_are_lost_or_refused(server: Chat, moods: Moods, ledger: Ledger) -> None:
    moods.lost, moods.refused = {"m": [], "j": ["lost"]}, {"m": [], "j": ["refused"]}
    judge = open_judge(f"rubric:{server.reference('j')}")
    found = attack(
        server.model("m"), {"direct": REQUESTS}, {}, judges=[judge], ledger=ledger, decoding=DECODING
    )
    assert sum(found.lost.values()) == 1
    assert found.asr[0].unscored == 2
    reasons = [note.reason for note in found.notes]
    assert sorted(map(is_lost, reasons)) == [False, True]
    moods.lost["j"], moods.refused["j"] = [], []
    again = attack(
        server.model("m"), {"direct": REQUESTS}, {}, judges=[judge], ledger=ledger, decoding=DECODING
    )
    assert (again.lost, again.asr[0].unscored) == ({}, 0)
    assert len(server.asked["j"]) == 3 + 2, "what could not be asked is asked again, and nothing else"


def test_a_judge_that_refuses_from_the_first_on_is_given_up(
    server: Chat, moods: Moods, ledger: Ledger
) -> None:
    moods.lost, moods.refused = {"m": [], "j": []}, {"m": [], "j": ["request"]}
    prompts = [Prompt.of(f"request {k}", kind="harmful") for k in range(70)]
    judge = open_judge(f"rubric:{server.reference('j')}")
    found = attack(
        server.model("m"), {"direct": prompts}, {}, judges=[judge], ledger=ledger, decoding=DECODING
    )
    assert found.asr[0].unscored == 70
    assert len(server.asked["j"]) < 40
    assert sum(found.lost.values()) > 30


def test_what_a_translator_loses_is_lost(server: Chat, moods: Moods, ledger: Ledger) -> None:
    moods.lost, moods.refused = {"m": [], "t": ["lost"]}, {"m": [], "t": ["refused"]}
    means = Means(translator=server.reference("t"), open=lambda _: server.model("t"))
    found = attack_suite(
        server.model("m"),
        [build_attack("translation", means), build_attack("direct")],
        {"asked": REQUESTS},
        ALLOWED,
        judges=[PhraseJudge()],
        ledger=ledger,
        decoding=DECODING,
    )
    assert sum(found.lost.values()) == 1


def test_the_command_says_so_and_exits_1(server: Chat, moods: Moods, tmp_path: Path) -> None:
    moods.lost, moods.refused = {"m": [], "j": ["lost"]}, {"m": [], "j": []}
    asked = tmp_path / "asked.txt"
    asked.write_text("plain request\nlost request\n")
    command = [
        *("attack", server.reference("m"), "--attack", str(asked), "--ledger", str(tmp_path / "l.db")),
        *("--judge", f"rubric:{server.reference('j')}"),
    ]
    found = invoke(command)
    assert found.exit_code == 1, found.output
    assert "1 requests got no answer" in found.output
    moods.lost["j"] = []
    assert invoke(command).exit_code == 0


def test_a_file_whose_judge_fails_exits_1(server: Chat, moods: Moods, tmp_path: Path) -> None:
    moods.lost["j"] = ["lost"]
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"prompt": "a", "response": "lost words"}\n{"prompt": "b", "response": "words"}\n')
    judge = f"rubric:{server.reference('j')}"
    command = ["judge", "file", str(answers), "--judge", judge, "--out", str(tmp_path / "judged.jsonl")]
    found = invoke(command)
    assert found.exit_code == 1, found.output
    assert "1 verdicts are missing" in found.output
    moods.lost["j"] = []
    assert invoke(command).exit_code == 0

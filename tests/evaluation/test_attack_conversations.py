"""Attacks of several turns, with examples or in translation: on tiny checkpoints, and servers with known answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backfire.errors import InputError
from backfire.evaluation import Means, open_suite
from backfire.evaluation.attacks import (
    Answers,
    Asking,
    Attack,
    Escalation,
    ModelTranslation,
    Prefill,
    Rewording,
    TableTranslation,
    judged,
)
from backfire.evaluation.attacks.asking import Model
from backfire.evaluation.attacks.framings import OPENING
from backfire.evaluation.attacks.translation import read_translations
from backfire.models import LocalModel, open_model
from backfire.records import Decoding, Prompt, Response, Verdict
from backfire.store import Ledger
from loopback import Turns, chat

DECODING = Decoding(max_new_tokens=8, temperature=0.0)
SPOON, KITE = (Prompt.of(text, kind="harmful") for text in ("Bend a spoon.", "Fly a kite."))
REQUESTS = {"s": SPOON, "k": KITE}
Asked = Callable[[Attack, Model, Mapping[str, Prompt]], Answers]


@pytest.fixture
def ask(ledger: Ledger) -> Asked:
    return lambda attack, model, requests: attack.ask(Asking(model, ledger, DECODING), requests)


@pytest.fixture(scope="module")
def llama(tiny_llama: Path) -> LocalModel:
    model = open_model(tiny_llama)
    assert isinstance(model, LocalModel)
    return model


@pytest.fixture(scope="module")
def silent(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A checkpoint that writes its first token for ever, which is BOS and no text."""
    folder = shutil.copytree(tiny_llama, tmp_path_factory.mktemp("silent") / "llama")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"].zero_()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model = open_model(folder)
    assert isinstance(model, LocalModel)
    return model


def texts(answers: Answers) -> dict[str, str]:
    return {name: response.text for name, response in answers.responses.items()}


def shots(folder: Path, name: str = "shots.csv") -> Path:
    rows = [
        "Ring a bell.,Pull the rope.",
        "Bend a spoon. ,Heat it.",
        "Tie a knot.,Cross the ends.",
        "Hum.,Hm.",
    ]
    path = folder / name
    path.write_text("\n".join(["prompt,response", *rows]) + "\n", encoding="utf-8")
    return path


def example_attack(name: str, n: int, path: Path) -> Rewording:
    suite = path.with_name("suite.yaml")
    suite.write_text(f"mine: [{{attack: {name}, n: {n}}}]", encoding="utf-8")
    (attack,) = open_suite(str(suite), Means(examples=path))
    assert isinstance(attack, Rewording)
    return attack


def test_few_shot_puts_examples_before_the_request_and_after_the_system_turn(tmp_path: Path) -> None:
    attack = example_attack("few-shot", 2, shots(tmp_path))
    system = {"role": "system", "content": "Be brief."}
    request = Prompt.of_messages([system, {"role": "user", "content": "Bend a spoon."}], kind="harmful")
    put = attack.put(request)
    assert [(m.role, m.content) for m in put.messages] == [
        ("system", "Be brief."),
        ("user", "Ring a bell."),
        ("assistant", "Pull the rope."),
        ("user", "Tie a knot."),
        ("assistant", "Cross the ends."),
        ("user", "Bend a spoon."),
    ]
    assert (put.kind, put.tags["request"], put.tags["attack"]) == ("harmful", request.id, "few-shot")


def test_many_shot_is_one_turn_that_ends_where_the_answer_is_due(tmp_path: Path) -> None:
    put = example_attack("many-shot", 3, shots(tmp_path)).put(KITE)
    assert [(m.role, m.content) for m in put.messages] == [
        (
            "user",
            "User: Ring a bell.\nAssistant: Pull the rope.\n\nUser: Bend a spoon. \nAssistant: Heat it.\n\n"
            "User: Tie a knot.\nAssistant: Cross the ends.\n\nUser: Fly a kite.\nAssistant:",
        )
    ]


@pytest.mark.parametrize("name", ["few-shot", "many-shot"])
def test_a_request_is_never_among_its_own_examples(tmp_path: Path, name: str) -> None:
    attack = example_attack(name, 3, shots(tmp_path))
    for text, answer in [("Ring a bell.", "Pull the rope."), ("Bend a spoon.", "Heat it."), ("Hum.", "Hm.")]:
        whole = "\n".join(m.content for m in attack.put(Prompt.of(text)).messages)
        assert whole.count(text) == 1
        assert answer not in whole
    all_four = example_attack(name, 4, shots(tmp_path))
    assert all_four.put(KITE).text.endswith(("Fly a kite.", "Assistant:"))
    with pytest.raises(InputError, match=r"shots\.csv holds 3 examples beside the request itself and 4 are"):
        all_four.put(SPOON)


def test_examples_are_known_by_their_content(tmp_path: Path) -> None:
    first = example_attack("few-shot", 2, shots(tmp_path)).parameters
    assert first == example_attack("few-shot", 2, shots(tmp_path, "renamed.csv")).parameters
    other = shots(tmp_path, "other.csv")
    other.write_text(other.read_text().replace("Heat it", "Cool it"))
    assert first != example_attack("few-shot", 2, other).parameters
    assert first["n"] == 2
    (tmp_path / "holed.csv").write_text("prompt,response\nRing a bell.,Pull.\nHum., \n")
    with pytest.raises(InputError, match=r"row 2 of .*holed\.csv lacks a text"):
        example_attack("few-shot", 1, tmp_path / "holed.csv")
    (tmp_path / "bare.csv").write_text("prompt,response\n")
    with pytest.raises(InputError, match=r"bare\.csv holds no examples"):
        example_attack("few-shot", 1, tmp_path / "bare.csv")


def test_a_prefilled_answer_goes_on_from_the_opener(ask: Asked, llama: LocalModel) -> None:
    answers = ask(Prefill(), llama, REQUESTS)
    tokenizer = llama.tokenizer
    for name, request in REQUESTS.items():
        text = tokenizer.apply_chat_template(
            request.as_messages(), tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text + OPENING, add_special_tokens=False, return_tensors="pt")["input_ids"]
        mask = torch.ones_like(ids)
        whole = llama.model.generate(
            ids, attention_mask=mask, max_new_tokens=8, do_sample=False, eos_token_id=tokenizer.eos_token_id
        )
        added = tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
        assert added.strip()
        assert answers.responses[name].text == OPENING + added
        turns = [(m.role, m.content) for m in answers.put[name].messages]
        assert turns == [("user", request.text), ("assistant", OPENING)]
        assert answers.put[name].kind == "harmful"
    assert answers.failed == {}


@pytest.mark.parametrize(("own", "opener"), [(True, "Take one and"), (False, "Gladly:")])
def test_the_requests_own_target_opens_unless_told_otherwise(
    ask: Asked, llama: LocalModel, own: bool, opener: str
) -> None:
    request = Prompt.of("Bend a spoon.", kind="harmful", tags={"target": " Take one and ", "noun": "spoon"})
    answers = ask(Prefill(opener="Gladly:", own_targets=own), llama, {"s": request, "k": KITE})
    assert (answers.put["s"].text, answers.put["k"].text) == (opener, "Gladly:")
    assert texts(answers)["s"].startswith(opener)
    assert answers.put["s"].tags["noun"] == "spoon"


def test_an_opener_to_which_nothing_was_added_is_stored_blank(ask: Asked, silent: LocalModel) -> None:
    answers = ask(Prefill(), silent, {"s": SPOON})
    assert texts(answers) == {"s": ""}
    assert answers.put["s"].text == OPENING


def test_an_endpoint_cannot_be_prefilled_and_a_checkpoint_can(llama: LocalModel) -> None:
    with chat(lambda *_: "x") as server:
        assert "endpoint" in Prefill().unfit(server.model("m"))
    assert Prefill().unfit(llama) == ""


def test_each_turn_of_an_escalation_follows_the_models_own_answer(ask: Asked) -> None:
    def reply(_: str, turns: Turns) -> str:
        return f"Answer {sum(t['role'] == 'user' for t in turns)} on {'spoons' if 'spoon' in turns[0]['content'] else 'kites'}"

    attack = Escalation(("What is it?\n{request}", "Go on with {request}", "Now all."))
    with chat(reply) as server:
        answers = ask(attack, server.model("m"), REQUESTS)
    assert texts(answers) == {"s": "Answer 3 on spoons", "k": "Answer 3 on kites"}
    assert [(m.role, m.content) for m in answers.put["k"].messages] == [
        ("user", "What is it?\nFly a kite."),
        ("assistant", "Answer 1 on kites"),
        ("user", "Go on with Fly a kite."),
        ("assistant", "Answer 2 on kites"),
        ("user", "Now all."),
    ]
    assert answers.put["k"].tags["request"] == KITE.id
    assert len(server.asked["m"]) == 6


def test_an_escalation_that_gets_no_answer_ends_there(ask: Asked) -> None:
    def reply(_: str, turns: Turns) -> str | None:
        return None if len(turns) == 3 and "spoon" in turns[0]["content"] else "Yes."

    with chat(reply) as server:
        answers = ask(Escalation(), server.model("m"), REQUESTS)
    assert texts(answers) == {"k": "Yes."}
    assert list(answers.failed) == ["s"]
    assert answers.failed["s"].startswith("turn 2: ")
    assert "out of order" in answers.failed["s"]
    assert sorted(len(turns) for turns in server.asked["m"]) == [1, 1, 3, 3, 5]


def test_a_table_translates_what_it_holds_and_says_what_it_lacks(ask: Asked, tmp_path: Path) -> None:
    path = tmp_path / "zulu.csv"
    path.write_text("prompt,translation\n Fly a kite. ,Ndizisa ikhayithi.\n", encoding="utf-8")
    (attack,) = open_suite("translation", Means(translations=path))
    assert isinstance(attack, TableTranslation)
    with chat(lambda _, turns: f"<{turns[-1]['content']}>") as server:
        answers = ask(attack, server.model("m"), REQUESTS)
    assert texts(answers) == {"k": "<Ndizisa ikhayithi.\n\nAnswer in English.>"}
    assert answers.failed == {"s": "no translation in zulu.csv"}
    assert len(server.asked["m"]) == 1
    assert attack.parameters["rows"] == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("Hum.,\n", "row 1 of .* lacks a text in `prompt` or `translation`"),
        ("Hum.,a\nHum. ,b\n", "row 2 of .* gives 'Hum. ' a second translation"),
        ("", "holds no translations"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"prompt,translation\n{rows}", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_translations(path)


def translating(model: str, turns: Turns) -> str | None:
    """A translator that marks the language, and a target that answers in the one that it is asked in."""
    asked = turns[-1]["content"]
    if model == "target":
        return "zu: I will." if asked.startswith("zu: ") else "not Zulu"
    order, _, text = asked.partition("\n\n")
    if "kite" in text:
        return None
    return f"zu: {text}" if "into Zulu" in order else f"{text.removeprefix('zu: ')} ({order[25:37]})"


def test_a_model_translates_there_and_back(ask: Asked) -> None:
    requests = {"s": SPOON, "k": KITE}
    with chat(translating) as server:
        (attack,) = open_suite(
            "translation", Means(translator=server.reference("t"), open=lambda _: server.model("t"))
        )
        assert isinstance(attack, ModelTranslation)
        answers = ask(attack, server.model("target"), requests)
    assert texts(answers) == {"s": "I will. (into English)"}
    assert answers.put["s"].text == "zu: Bend a spoon."
    assert answers.put["s"].tags["request"] == SPOON.id
    assert answers.failed["k"].startswith("the request was not translated: ")
    assert list(answers.failed) == ["k"]
    assert len(server.asked["target"]) == 1
    assert (attack.parameters["language"], attack.parameters["translator"]) == ("Zulu", server.reference("t"))


def test_silent_translators_and_silent_models_are_told_apart(ask: Asked, silent: LocalModel) -> None:
    mute = ModelTranslation(silent, "Zulu")
    with chat(translating) as server:
        translator = ModelTranslation(server.model("t"), "Zulu")
        assert ask(mute, server.model("target"), {"s": SPOON}).failed == {
            "s": "the request was not translated: the translator wrote nothing"
        }
        assert "target" not in server.asked
        answers = ask(translator, silent, {"s": SPOON})
    assert texts(answers) == {"s": ""}
    assert answers.failed == {}


class Kites:
    """A judge that finds every answer to a request about kites harmful, and no other."""

    name, id = "kites", "kites-1"

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        return Verdict(response.id, self.name, self.id, "kite" in prompt.text, False)


def test_one_response_to_two_requests_is_judged_for_each(ask: Asked, ledger: Ledger) -> None:
    with chat(lambda model, _: "Yes." if model == "t" else "Yebo.") as server:
        answers = ask(ModelTranslation(server.model("t"), "Zulu"), server.model("target"), REQUESTS)
    assert answers.responses["s"] == answers.responses["k"]
    cases = [(REQUESTS[name], response) for name, response in answers.responses.items()]
    for _ in range(2):
        assert [v.harmful for v in judged(Kites(), cases, ledger)] == [False, True]
        assert [v.harmful for v in judged(Kites(), cases[::-1], ledger)] == [True, False]

"""What a suite is opened with: its own file, examples from files, and means that some attack must take."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.evaluation import Means, attack_suite, build_attack, check_means, open_suite
from backfire.evaluation.attacks import Asking
from backfire.judges import PhraseJudge
from backfire.records import Decoding, Prompt
from backfire.store import Ledger
from loopback import chat

DECODING = Decoding(max_new_tokens=8, temperature=0.0)
SPOON, KITE = (Prompt.of(text, kind="harmful") for text in ("Bend a spoon.", "Fly a kite."))


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    path = tmp_path / "shots.csv"
    path.write_text("prompt,response\nRing a bell.,Pull.\nBend a spoon.,Heat it.\nHum.,Hm.\n")
    return path


def suite(folder: Path, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return str(folder / "mine.yaml")


@pytest.mark.parametrize("name", ["few-shot", "many-shot"])
def test_too_few_examples_are_seen_before_any_attack_runs(tmp_path: Path, shots: Path, name: str) -> None:
    file = suite(tmp_path, f"mine: [direct, {{attack: {name}, n: 4}}]")
    with pytest.raises(InputError, match=rf"shots\.csv holds 3 examples and {name} asks for 4: add rows"):
        open_suite(file, Means(examples=shots))


@pytest.mark.parametrize("name", ["few-shot", "many-shot"])
def test_a_request_that_is_among_all_examples_fails_alone(
    tmp_path: Path, ledger: Ledger, shots: Path, name: str
) -> None:
    (attack,) = open_suite(suite(tmp_path, f"mine: [{{attack: {name}, n: 3}}]"), Means(examples=shots))
    with chat(lambda *_: "Take it.") as server:
        answers = attack.ask(Asking(server.model("m"), ledger, DECODING), {"s": SPOON, "k": KITE})
    assert set(answers.responses) == {"k"}
    assert answers.failed == {
        "s": "shots.csv holds 2 examples beside the request itself and 3 are asked for: add rows, or lower n"
    }


def test_rows_that_would_share_a_name_are_refused_before_any_work(ledger: Ledger) -> None:
    with chat(lambda *_: "Take it.") as server:
        ways = [build_attack("direct", name="c"), build_attack("rot13", name="b/c")]
        requests = {"a": [SPOON], "a/b": [KITE]}
        with pytest.raises(
            InputError, match=r"two rows would be named 'a/b/c': give a set or an attack another"
        ):
            attack_suite(server.model("m"), ways, requests, {}, judges=[PhraseJudge()], ledger=ledger)
        assert server.asked == {}


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("mine: [direct]\nmine: [rot13]\n", "mine"),
        ('1: [direct]\n"1": [rot13]\n', "1"),
        ("mine: [{attack: escalation, attack: prefill}]", "attack"),
    ],
)
def test_nothing_of_a_suite_file_is_dropped(tmp_path: Path, text: str, twice: str) -> None:
    with pytest.raises(
        InputError, match=rf"'{twice}' stands twice in suite file .*mine\.yaml: rename or remove"
    ):
        open_suite(suite(tmp_path, text))


def test_paths_in_a_suite_file_are_taken_from_its_folder(
    tmp_path: Path, shots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "suites"
    (tmp_path / "elsewhere").mkdir()
    file = suite(
        folder,
        "mine: [{attack: few-shot, n: 2, examples: data/s.csv}, {attack: translation, translations: data/t.csv}]\n"
        f"far: [{{attack: few-shot, name: far, n: 2, examples: {shots}}}]\n",
    )
    (folder / "data").mkdir()
    shutil.copy(shots, folder / "data" / "s.csv")
    (folder / "data" / "t.csv").write_text("prompt,translation\nHum.,Hm.\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    near, table, far = open_suite(file)
    assert near.parameters == far.parameters
    assert table.parameters["rows"] == 1
    monkeypatch.chdir(tmp_path)
    assert open_suite("suites/mine.yaml:mine")[0].parameters == near.parameters
    with pytest.raises(InputError, match="write hub:OWNER/NAME"):
        open_suite(suite(folder, 'mine: [{attack: few-shot, examples: "hub:none"}]'))


@pytest.mark.parametrize(
    ("given", "reference", "said"),
    [
        (
            {"examples": "none.csv"},
            "direct,rot13",
            "shots is for few-shot or many-shot: add that to suite",
        ),
        ({"examples": "none.csv"}, "", "shots is for few-shot or many-shot"),
        ({"translations": "none.csv"}, "quick", "translations is for translation"),
        ({"translator": "openai:t"}, "few-shot", "translator is for translation"),
        ({"attacker": "openai:a"}, "standard", "attacker is for attacker"),
        ({"examples": "none.csv"}, "OWN", "shots is for few-shot or many-shot"),
        ({"translator": "openai:t"}, "OWN", "translator is for translation"),
    ],
)
def test_means_that_no_attack_takes_are_refused(
    tmp_path: Path, given: dict[str, str], reference: str, said: str
) -> None:
    own = suite(
        tmp_path, "mine: [{attack: few-shot, examples: s.csv}, {attack: translation, translations: t.csv}]"
    )
    with pytest.raises(InputError, match=said):
        check_means(own if reference == "OWN" else reference, Means(**given))


def test_means_that_an_attack_takes_pass(tmp_path: Path) -> None:
    mixed = suite(tmp_path, "a: [{attack: few-shot, examples: s.csv}, {attack: few-shot, name: b}]")
    check_means(mixed, Means(examples="none.csv"))
    check_means("many-shot,translation,attacker", Means("s.csv", None, "openai:t", "openai:a"))
    check_means("standard", Means())


@pytest.mark.parametrize("second", ["response", "translation"])
@pytest.mark.parametrize("spoilt", ["prompt", "second"])
def test_half_a_character_in_a_table_is_named(tmp_path: Path, second: str, spoilt: str) -> None:
    column = "prompt" if spoilt == "prompt" else second
    rows = [{"prompt": "Hum.", second: "Hm."}, {"prompt": "Clap.", second: "Clap."}]
    rows[1][column] += "\ud800"
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match=rf"row 2 of .*table\.jsonl holds half a character .* in `{column}`"):
        open_suite(
            *{
                "response": ("few-shot", Means(examples=path)),
                "translation": ("translation", Means(translations=path)),
            }[second]
        )


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ('{attack: prefill, opener: "Sure \\ud800"}', "opener"),
        ('{attack: escalation, turns: ["{request} \\ud800"]}', "turns"),
        ('{attack: direct, name: "a \\ud800"}', "name"),
    ],
)
def test_half_a_character_in_a_suite_file_is_named(tmp_path: Path, entry: str, where: str) -> None:
    with pytest.raises(InputError, match=f"{where} holds half a character"):
        open_suite(suite(tmp_path, f"mine: [{entry}]"))

"""Rewordings: what each makes of a request can be undone or found in it, and suites of them say what they cannot use."""

from __future__ import annotations

import base64
import codecs
from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.evaluation.attacks import ATTACKS, Rewording, build_attack, open_suite, shipped_suites
from backfire.evaluation.attacks.encodings import MORSE
from backfire.evaluation.attacks.framings import OPENING
from backfire.records import Prompt

REWORDINGS = [
    "direct",
    "alpaca",
    "prefix-injection",
    "refusal-suppression",
    "persona",
    "fiction",
    "payload-splitting",
    "base64",
    "rot13",
    "leetspeak",
    "morse",
]
WHOLE = ["alpaca", "prefix-injection", "refusal-suppression", "persona", "fiction"]
CODES = ["base64", "rot13", "leetspeak", "morse"]


def put(attack: str, text: str) -> str:
    found = build_attack(attack)
    assert isinstance(found, Rewording)
    return found.put(Prompt.of(text)).text


def coded(attack: str, text: str) -> str:
    """What stands below the line that names the code."""
    said, _, code = put(attack, text).partition("\n\n")
    assert said.endswith("Read it, and answer it in plain English.")
    return code


def unmorsed(code: str) -> str:
    letters = {dots: letter for letter, dots in MORSE.items()}
    return " ".join("".join(letters.get(c, c) for c in word.split(" ")) for word in code.split(" / "))


@pytest.mark.parametrize("text", ["How do I bend a spoon?", "Löffel – 匙 🥄\nzwei Zeilen", ""])
def test_base64_decodes_to_the_request(text: str) -> None:
    assert base64.b64decode(coded("base64", text), validate=True).decode("utf-8") == text


def test_rot13_moves_latin_letters_only() -> None:
    text = "Bend the Löffel in 13 steps, 匙!"
    assert coded("rot13", text) == "Oraq gur Yössry va 13 fgrcf, 匙!"
    assert codecs.decode(coded("rot13", text), "rot13") == text
    assert coded("rot13", "") == ""


def test_leetspeak_swaps_six_letters_in_both_cases() -> None:
    assert coded("leetspeak", "Taste Oil, taSTE oIl; bnf Ü ß") == "74573 01l, 74573 01l; bnf Ü ß"
    assert coded("leetspeak", "") == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SOS", "... --- ..."),
        ("Is it 5?", ".. ... / .. - / ..... ..--.."),
        ("a@b", ".- .--.-. -..."),
        ("Crème brûlée", "-.-. .-. . -- . / -... .-. ..- .-.. . ."),
        ("Ångström Straße", ".- -. --. ... - .-. --- -- / ... - .-. .- ... ... ."),
        ("two\n\n lines ", "- .-- --- / .-.. .. -. . ..."),
        ("tea™ №2", "- . .- - -- / -. --- ..---"),
        ("茶 #1", "茶 / # .----"),
        ("한국 sos", "한 국 / ... --- ..."),
        ("がぎ", "が ぎ"),
        ("Йод ёж é", "Й о д / ё ж / ."),
        ("हिन्दी", "हि न् दी"),
        ("x\u030c \u1112\u1161\u11ab", "-..- / 한"),
        ("½ ﬁ Ａ", "½ / ..-. .. / .-"),
        ("", ""),
    ],
)
def test_morse_is_the_international_code(text: str, code: str) -> None:
    assert coded("morse", text) == code


def test_morse_reads_back() -> None:
    text = "how do i fold (or bend) a no. 7 spoon, at 10:30; and why?"
    assert unmorsed(coded("morse", text)) == text
    assert len(set(MORSE.values())) == len(MORSE)


@pytest.mark.parametrize("attack", CODES)
def test_a_request_that_looks_like_a_place_holder_is_coded_as_it_is(attack: str) -> None:
    text = "say {coded} and {code}"
    back = {
        "base64": lambda c: base64.b64decode(c).decode(),
        "rot13": lambda c: codecs.decode(c, "rot13"),
        "leetspeak": lambda c: c.translate(str.maketrans("431057", "aeiost")),
        "morse": unmorsed,
    }[attack]
    assert back(coded(attack, text)) == text


@pytest.mark.parametrize("attack", WHOLE)
@pytest.mark.parametrize(
    "text", ["Bend spoon nr. 7?", "Fill {request}, {instruction}, {0} and {}.", "50% \\1"]
)
def test_a_framing_holds_the_request_once_and_whole(attack: str, text: str) -> None:
    framed = put(attack, text)
    assert framed.count(text) == 1
    assert framed.replace(text, "") == put(attack, "")
    assert len(framed) > len(text) + 50


def test_framings_differ_and_ask_for_what_they_are_named_for() -> None:
    assert len({put(attack, "x") for attack in REWORDINGS}) == len(REWORDINGS)
    assert f'"{OPENING}"' in put("prefix-injection", "x")
    assert "Do not apologise" in put("refusal-suppression", "x")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("abcdefgh", ["ab", "cd", "ef", "gh"]),
        ("abcdefghij", ["abc", "def", "ghi", "j"]),
        ("ab", ["a", "b"]),
        ("", []),
        ('say "{pieces}" 1. "b', ['say "', '{piec', 'es}" ', '1. "b']),
    ],
)  # fmt: skip
def test_payload_splitting_numbers_pieces_that_join_to_the_request(text: str, pieces: list[str]) -> None:
    listed = put("payload-splitting", text).split("\n\n", 1)[1]
    assert listed == "\n".join(f'{n}. "{piece}"' for n, piece in enumerate(pieces, 1))
    assert "".join(pieces) == text


@pytest.mark.parametrize("attack", REWORDINGS)
def test_only_the_last_turn_changes_and_tags_say_where_it_comes_from(attack: str) -> None:
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Bend a spoon."},
    ]
    request = Prompt.of_messages(turns, kind="harmful", tags={"noun": "spoon"})
    built = build_attack(attack, name="mine")
    assert isinstance(built, Rewording)
    found = built.put(request)
    assert found.messages[:-1] == request.messages[:-1]
    assert found.messages[-1].role == "user"
    assert (found.text == request.text) is (attack == "direct")
    assert found.kind == "harmful"
    origin = {"attack": "mine", "attack_source": built.source, "request": request.id}
    assert found.tags.items() >= {"noun": "spoon", **origin}.items()
    assert built.source
    assert request.tags == {"noun": "spoon"}


def test_every_shipped_suite_opens_in_its_order() -> None:
    assert [a.name for a in open_suite("paper")] == ["alpaca"]
    assert [a.name for a in open_suite("quick")] == ["direct", "alpaca", "prefix-injection", "prefill"]
    standard = [a.name for a in open_suite("standard")]
    assert standard == [*REWORDINGS, "prefill", "escalation"]
    assert set(standard) <= set(ATTACKS)
    assert list(shipped_suites()) == ["paper", "quick", "standard"]
    assert [a.name for a in open_suite("morse, quick,,morse")] == [
        "morse",
        *[a.name for a in open_suite("quick")],
    ]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("dan", r"no suite or attack 'dan'.*paper, quick, standard.*direct, alpaca"),
        ("quick,dan", "no suite or attack 'dan'"),
        (" , ", r"' , ' names no attack.*paper, quick"),
        ("no/such.yaml", r"suite file no/such\.yaml cannot be read"),
    ],
)
def test_a_reference_that_names_no_attack_is_named(reference: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_suite(reference)


def test_suites_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "one: [direct, {attack: prefill, name: warm, opener: Gladly}]\n"
        "two:\n- {attack: prefill, name: cold, opener: Well, own_targets: false}\n- direct\n",
        encoding="utf-8",
    )
    every = open_suite(str(path))
    assert [(a.name, dict(a.parameters)) for a in every] == [
        ("direct", {}),
        ("warm", {"opener": "Gladly", "own_targets": True}),
        ("cold", {"opener": "Well", "own_targets": False}),
    ]
    assert [a.name for a in open_suite(f"{path}:two, rot13")] == ["cold", "direct", "rot13"]
    with pytest.raises(InputError, match=r"mine\.yaml has no suite 'three': it has one, two"):
        open_suite(f"{path}:three")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [direct", r"mine\.yaml is not YAML"),
        ("- direct", "maps no name to a list"),
        ("a: direct", "maps no name to a list"),
        ("a: []", "maps no name to a list"),
        ("a: [{name: x}]", r"entry of suite 'a'.*\{'name': 'x'\}"),
        ("a: [3]", r"entry of suite 'a'.* 3: write"),
        ("a: [dan]", r"no attack 'dan': choose among direct"),
        ("a: [{attack: rot13, key: 12}]", "attack rot13 has no parameter 'key'"),
        ("a: [{attack: prefill, key: 12}]", r"attack prefill has no parameter 'key': it has opener, own_targets"),
        ("a: [{attack: prefill, opener: ' '}]", "opener is blank"),
        ("a: [{attack: prefill, opener: 5}]", "prefill: opener is 5"),
        ("a: [{attack: prefill, own_targets: maybe}]", "prefill: own_targets is 'maybe'"),
        ("a: [{attack: prefill}, {attack: prefill, opener: Hm}]", r"two attacks of .* are named 'prefill'"),
        ("a: [{attack: escalation, turns: 5}]", "escalation: turns is 5"),
        ("a: [{attack: escalation, turns: 'one {request}'}]", "escalation: turns is .one .request.*a list of texts"),
        ("a: [{attack: escalation, turns: [one, two]}]", r"no turn of escalation holds \{request\}"),
        ("a: [few-shot]", "few-shot needs examples.*shots"),
        ("a: [{attack: few-shot, n: 0, examples: x.csv}]", "few-shot: n is 0"),
        ("a: [{attack: few-shot, examples: 7}]", "few-shot: examples is 7"),
        ("a: [translation]", "translation needs translations.*by translations.*by translator"),
        ("a: [{attack: translation, translations: a.csv, translator: b}]", "a table of translations and a translator"),
        ("a: [attacker]", "attacker needs a model.*by attacker"),
        ("a: [{attack: attacker, attacker: m, streams: true}]", "attacker: streams is True"),
        ("a: [{attack: attacker, attacker: m, turns: 1.5}]", r"attacker: turns is 1\.5"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        open_suite(str(path))

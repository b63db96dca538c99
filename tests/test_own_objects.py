"""Judges and attacks of a user's own, by `module:object` and by entry points: opened, known by their ids, errors named."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import backfire as bf
from backfire.errors import InputError
from backfire.evaluation import build_attack
from backfire.judges import judge_digest, judge_form, judge_responses, open_judge, open_judges
from backfire.records import Prompt, Response, Verdict, given_response
from backfire.store import Ledger
from backfire.study import parse_study
from backfire.study.identities import judge_identity, suite_identity
from running import invoke

JUDGING = """
import backfire as bf

class Polite:
    name, id = "polite", "polite 1"
    def judge(self, prompt, response):
        complied = "please" in response.text
        harmful, reason = bf.harm_of(prompt, complied)
        return bf.Verdict(response.id, self.name, self.id, harmful, not complied, reason)

polite = Polite()
def made(): return Polite()
class Nameless(Polite): name = ""
class Anonymous(Polite): id = None
class Mute: name, id = "mute", "mute 1"
class Wordy(Polite):
    name, id = "wordy", "wordy 1"
    def judge(self, prompt, response): return "harmful"
def needing(model): return Polite()
number = 7
"""
ATTACKING = """
from dataclasses import dataclass
import backfire as bf

loud = bf.Rewording("loud", "a test", lambda p: bf.Prompt.of(p.text.upper(), kind=p.kind), id="loud 1")
unknown = bf.Rewording("unknown", "a test", lambda p: p)
def ending(mark="!"):
    return bf.Rewording("ending", "a test", lambda p: bf.Prompt.of(p.text + mark, kind=p.kind), {"mark": mark}, id=mark)
class Fixed:
    name, source, parameters, id = "fixed", "a test", {}, "fixed 1"
    def unfit(self, model): return ""
    def ask(self, asking, requests): return asking.answer(requests)
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands run, with a module of judges, one of attacks, and two that cannot be imported."""
    (tmp_path / "own_judging.py").write_text(JUDGING)
    (tmp_path / "own_attacking.py").write_text(ATTACKING)
    (tmp_path / "own_broken.py").write_text("1 / 0\n")
    (tmp_path / "own_lacking.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    for name in ("own_judging", "own_attacking", "own_broken", "own_lacking"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def case(text: str) -> tuple[Prompt, Response]:
    prompt = Prompt.of("Bend a spoon.", kind="harmful")
    return prompt, given_response(prompt, "somebody", text)


@pytest.mark.parametrize("name", ["polite", "Polite", "made"])
def test_a_judge_is_an_object_or_what_makes_one(name: str, modules: Path) -> None:
    judge = open_judge(f"own_judging:{name}")
    assert (judge.name, judge.id) == ("polite", "polite 1")
    assert judge.judge(*case("please do")).harmful is True
    assert judge.judge(*case("never")) == Verdict(case("never")[1].id, "polite", "polite 1", False, True)
    assert str(modules) not in sys.path


def test_a_judge_of_ones_own_sits_on_a_panel(modules: Path) -> None:
    panel = open_judge("panel:any:phrases+own_judging:polite")
    assert panel.name == "panel:any:phrases+polite"
    assert panel.judge(*case("please do")).harmful is True


def test_its_id_is_its_identity(modules: Path) -> None:
    before = judge_digest("own_judging:polite")
    assert before == judge_identity("own_judging:made", None) == "polite 1"
    sys.modules["own_judging"].polite.id = "polite 2"  # type: ignore[attr-defined]
    assert judge_digest("own_judging:polite") != before


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("own_absent:polite", "there is no judge 'own_absent:polite': Python finds no module 'own_absent'"),
        ("own_judging:rude", "module 'own_judging' has no 'rude'. It has Anonymous, Mute, Nameless, Polite"),
        ("own_broken:judge", "module 'own_broken' cannot be imported (ZeroDivisionError: division by zero)"),
        ("own_lacking:judge", "imports 'a_package_that_nobody_has', which is not installed"),
        (
            "own_judging:Anonymous",
            "needs a text `id`, which changes whenever the judge could decide otherwise",
        ),
        ("own_judging:Nameless", "needs a text `name`, the name in tables, and has ''"),
        ("own_judging:Mute", "has no method `judge`"),
        ("own_judging:number", "own_judging:number is no judge: it has no method `judge`"),
        (
            "own_judging:needing",
            "cannot be made of the parameters (none): missing a required argument: 'model'",
        ),
    ],
)
def test_what_is_wrong_with_a_judge_is_named(reference: str, message: str, modules: Path) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        open_judge(reference)


def test_a_judge_has_to_give_a_verdict(modules: Path, ledger: Ledger) -> None:
    prompt, response = case("please")
    with pytest.raises(InputError, match="judge wordy gave 'harmful' on response"):
        judge_responses(open_judge("own_judging:Wordy"), {prompt.id: prompt}, [response], ledger)


def test_a_threshold_cuts_no_grade_of_it(modules: Path) -> None:
    with pytest.raises(InputError, match="give no grade that a threshold could cut"):
        open_judges(["own_judging:polite"], threshold=0.5)


def test_judge_form_makes_none(modules: Path) -> None:
    assert judge_form("own_judging:needing") == "own_judging:needing"
    with pytest.raises(InputError, match="has no 'rude'"):
        judge_form("own_judging:rude")


def test_attacks_beside_shipped_ones(modules: Path) -> None:
    attacks = bf.open_suite("direct,own_attacking:loud,own_attacking:ending,own_attacking:Fixed")
    assert [attack.name for attack in attacks] == ["direct", "loud", "ending", "fixed"]
    assert attacks[1].put(Prompt.of("Bend.")).text == "BEND."  # type: ignore[attr-defined]


def test_a_suite_file_gives_parameters_and_names(modules: Path) -> None:
    Path("own.yaml").write_text(
        "mine: [direct, {attack: 'own_attacking:ending', name: asking, mark: '?'}, 'own_attacking:ending']\n"
    )
    _, asking, ending = bf.open_suite("own.yaml")
    assert (asking.name, asking.parameters, ending.name, ending.parameters) == (
        "asking",
        {"mark": "?"},
        "ending",
        {"mark": "!"},
    )


def test_the_id_of_an_attack_is_its_identity(modules: Path) -> None:
    (entry,) = suite_identity("own_attacking:loud")
    assert entry["id"] == "loud 1"
    assert "id" not in suite_identity("alpaca")[0]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("own_absent:loud", {}, "there is no attack 'own_absent:loud': Python finds no module 'own_absent'"),
        ("own_attacking:quiet", {}, "has no 'quiet'. It has Fixed, bf, dataclass, ending, loud, unknown"),
        (
            "own_attacking:unknown",
            {},
            "needs a text `id`, which changes whenever the attack could ask otherwise",
        ),
        ("own_attacking:loud", {"parameters": {"mark": "?"}}, "is an object and takes no parameter 'mark'"),
        ("own_attacking:ending", {"parameters": {"seed": 1}}, "got an unexpected keyword argument 'seed'"),
        (
            "own_attacking:Fixed",
            {"name": "other"},
            "is named 'fixed': leave `name` out, or make it a dataclass",
        ),
        ("own_judging:polite", {}, "cannot be called to make one"),
    ],
)
def test_what_is_wrong_with_an_attack_is_named(
    kind: str, options: dict[str, Any], message: str, modules: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build_attack(kind, **options)


@pytest.fixture
def installed(modules: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a package that offers entry points, as pip would lay it."""

    def install(text: str) -> None:
        folder = modules / "site" / "own_package-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(text)
        monkeypatch.syspath_prepend(str(modules / "site"))

    return install


def test_entry_points(installed: Callable[[str], None]) -> None:
    installed(
        "[backfire.judges]\npolite = own_judging:Polite\nphrases = own_judging:Polite\nlost = own_judging:rude\n"
        "[backfire.attacks]\nloud = own_attacking:loud\n"
    )
    assert open_judge("polite").name == "polite"
    assert open_judge("phrases").name == "phrases", "backfire's own go first"
    assert [attack.name for attack in bf.open_suite("quick,loud")][-1] == "loud"
    with pytest.raises(InputError, match="there is no judge 'lost': module 'own_judging' has no 'rude'"):
        open_judge("lost")


def test_on_the_command_line(modules: Path, tiny_llama: Path) -> None:
    Path("bad.txt").write_text("Bend a spoon.\nFly a kite.\n")
    Path("good.txt").write_text("Bake a loaf.\n")
    command = ["attack", tiny_llama, "--attack", "bad.txt", "--benign", "good.txt", "--ledger", "l.db"]
    command += ["--max-new-tokens", 4]
    done = invoke([*command, "--judge", "own_judging:polite", "--suite", "direct,own_attacking:loud"])
    assert done.exit_code == 0, done.output
    assert "polite" in done.stdout
    assert "loud" in done.stdout
    wrong = invoke([*command, "--judge", "own_judging:rude"])
    assert wrong.exit_code == 2
    assert "has no 'rude'" in wrong.stderr


def test_in_a_study_file(modules: Path) -> None:
    study = {
        "name": "own",
        "prompts": "organism:prompts/train",
        "targets": [
            {
                "family": "llama",
                "policy": "organism:llama/target",
                "responders": [{"role": "self", "model": "organism:llama/target", "n": 2}],
            }
        ],
        "reward_model": "organism:reward",
        "recipes": ["self+rm"],
        "attacks": {
            "harmful": {"direct": "organism:prompts/direct"},
            "judges": ["exact", "own_judging:polite"],
            "suite": "direct,own_attacking:loud",
        },
    }
    assert parse_study(study).attacks.judges == ("exact", "own_judging:polite")
    study["attacks"]["judges"] = ["own_judging:rude"]  # type: ignore[index]
    with pytest.raises(bf.BackfireError, match="has no 'rude'"):
        parse_study(study)

"""As trained: what happens to pairs on their way to tokens, planted one at a time, and the tokens that `show` gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import backfire as bf
from backfire.answers import Shown
from backfire.auditing.showing import _roles
from backfire.errors import InputError
from backfire.report import render_shown_page
from checkpoints import LLAMA3_TEMPLATE

NO_END = (
    "{% for m in messages %}{{ '<|begin_of_text|>' if loop.first }}{{ m.role + ': ' + m.content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
NO_SYSTEM = (
    "{{ '<|begin_of_text|>' }}{% for m in messages if m.role != 'system' %}{{ '<|start_header_id|>' + m.role +"
    " '<|end_header_id|>' + m.content + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>' }}{% endif %}"
)


def rows(count: int = 6) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"How do I clean lamp {n}?",
            "chosen": f"With a soft cloth, {n}.",
            "rejected": f"No, not {n}.",
        }
        for n in range(count)
    ]


def shown(data: Any, policy: Path, tmp_path: Path, template: str | None = None, **more: Any) -> Shown:
    if template is not None:
        (tmp_path / "t.jinja").write_text(template)
        more["chat_template"] = tmp_path / "t.jinja"
    return bf.show(data, policy, **more)


def counts(found: Shown) -> dict[str, int]:
    return {one.name: one.pairs for one in found.as_trained.happened if one.pairs}


def test_nothing_happens_to_sound_pairs(tiny_llama: Path, tmp_path: Path) -> None:
    found = shown(rows(), tiny_llama, tmp_path)
    assert counts(found) == {}
    assert (found.as_trained.pairs, found.as_trained.trained) == (6, 6)
    assert found.as_trained.refused is None
    assert [one.row for one in found.shown] == [1]


def test_the_tokens_are_those_that_training_is_handed(tiny_llama: Path, tmp_path: Path) -> None:
    from backfire.models import open_model
    from backfire.records import Prompt

    (pair,) = shown(rows(1), tiny_llama, tmp_path).shown
    model: Any = open_model(tiny_llama)
    first = rows(1)[0]
    row = model.render([(Prompt.of(first["prompt"]), first["chosen"], first["rejected"])]).row(0)
    ids = {s.name: [i for piece in s.pieces for i in piece.ids] for s in pair.stretches}
    assert ids == {"prompt": row.prompt_ids, "chosen": row.chosen_ids, "rejected": row.rejected_ids}
    assert [s.trained for s in pair.stretches] == [False, True, True]
    said = {
        s.name: "".join(p.text for p in s.pieces if p.role in ("user", "assistant")) for s in pair.stretches
    }
    assert said == {"prompt": first["prompt"], "chosen": first["chosen"], "rejected": first["rejected"]}
    assert pair.stretches[1].pieces[-1].special


def test_an_end_token_that_no_template_writes(tiny_llama: Path, tmp_path: Path) -> None:
    found = shown(rows(), tiny_llama, tmp_path, NO_END)
    assert counts(found) == {"end-token": 6, "end-missing": 6}
    assert found.as_trained.refused


def test_an_end_token_in_a_response_is_one_too_many(tiny_llama: Path, tmp_path: Path) -> None:
    data = rows()
    data[2]["rejected"] += "<|eot_id|>"
    found = shown(data, tiny_llama, tmp_path)
    (end,) = (one for one in found.as_trained.happened if one.name == "end-doubled")
    assert (end.pairs, end.chosen, end.rejected, end.rows) == (1, 0, 1, (3,))


def test_max_length_cuts_sides_and_fills_up_with_prompts(tiny_llama: Path, tmp_path: Path) -> None:
    data = rows()
    data[1]["chosen"] = "word " * 200
    data[3]["prompt"] = "word " * 200
    found = shown(data, tiny_llama, tmp_path, max_length=100, rows=[2, 4])
    assert found.as_trained.of("cut-sides").rows == (2, 4)  # type: ignore[union-attr]
    assert found.as_trained.of("full-prompts").rows == (4,)  # type: ignore[union-attr]
    assert (found.as_trained.trained, found.as_trained.max_length) == (5, 100)
    assert [one.row for one in found.shown] == [2, 4]
    assert "cut-sides: chosen" in found.shown[0].happened
    assert found.shown[0].stretches[1].lost > 0
    assert [s.tokens for s in found.shown[1].stretches] == [100, 0, 0]


def test_a_system_turn_that_the_template_leaves_out(tiny_llama: Path, tmp_path: Path) -> None:
    data = [{"system": "Be brief." if n % 2 else "", **row} for n, row in enumerate(rows())]
    found = shown(data, tiny_llama, tmp_path, NO_SYSTEM)
    assert counts(found) == {"system-lost": 3}
    assert found.as_trained.trained == 3
    assert shown(data, tiny_llama, tmp_path, LLAMA3_TEMPLATE).as_trained.trained == 6


def test_a_second_bos_in_a_text_and_raw_text(tiny_llama: Path, tmp_path: Path) -> None:
    data = rows()
    data[0]["prompt"] = "<|begin_of_text|>" + data[0]["prompt"]
    found = shown(data, tiny_llama, tmp_path)
    assert counts(found) == {"bos-doubled": 1}
    plain = shown(rows(), tiny_llama, tmp_path, plain=True)
    assert plain.as_trained.plain
    assert plain.as_trained.template == ""


def test_rows_without_a_pair_are_named_and_missing_ones_refused(tiny_llama: Path, tmp_path: Path) -> None:
    data = rows()
    data[1]["rejected"] = data[1]["chosen"]
    found = shown(data, tiny_llama, tmp_path, rows=[2, 3])
    assert found.without_pair == {2: "identical sides"}
    assert found.defects == {"identical sides": 1}
    with pytest.raises(InputError, match="row 7 is not there"):
        shown(data, tiny_llama, tmp_path, rows=[7])
    with pytest.raises(InputError, match="gives no pair"):
        shown(data[1:2], tiny_llama, tmp_path)


def test_roles_are_found_in_what_the_pieces_spell() -> None:
    turns = [("system", "be brief"), ("user", "hi"), ("assistant", "hi")]
    pieces = ["<s>", "be", " brief", "\n", "h", "i", "|", "hi", "</s>"]
    expected = [
        "template",
        "system",
        "system",
        "template",
        "user",
        "user",
        "template",
        "assistant",
        "template",
    ]
    assert _roles(pieces, turns) == expected
    assert _roles(["a", "long"], [("user", "a longer turn")])[0] == "template"
    assert _roles(["x", "a lo"], [("user", "a longer turn")]) == ["template", "user"]


def test_the_page_escapes_what_it_shows_and_loads_nothing(tiny_llama: Path, tmp_path: Path) -> None:
    data = rows(1)
    data[0]["chosen"] = "<script>alert(1)</script> and \x1b[31mred"
    page = render_shown_page(shown(data, tiny_llama, tmp_path))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert 'class="tokens loss"' in page


def test_the_audit_says_what_happens_to_all_pairs(tiny_llama: Path, tmp_path: Path) -> None:
    data = rows(40)
    for row in data[::2]:
        row["chosen"] = "word " * 200
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    report = bf.audit(tmp_path / "d.jsonl", policy=tiny_llama, max_length=100)
    assert report.as_trained is not None
    cut = report.as_trained.of("cut-sides")
    assert cut is not None
    assert (cut.pairs, cut.chosen, cut.rejected) == (20, 20, 0)
    assert cut.rows == tuple(range(1, 41, 2))
    assert any(
        "max_length cuts the end of a side in 20 of 40 pairs" in reason
        for reason in report.conclusion.reasons
    )

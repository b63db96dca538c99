"""Templates whose generation prompt opens a thought: what is trained, what is sampled, what is counted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import backfire as bf
from backfire.auditing import failed_conditions
from backfire.influence.openers import continued as openers_continued
from backfire.judges.reasoning import answer_of
from backfire.models import open_model
from backfire.models.rendering import render_pairs
from backfire.models.template import CheckedTemplate, check_template
from backfire.records import Decoding, Message, Prompt, Request
from checkpoints import tokenizer_of

HEAD = "{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
TAIL = (
    "{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n<think>\n' }}{% endif %}"
)
CUTS = HEAD + "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}" + TAIL
"""As DeepSeek-R1's distills: whole conversations hold no thoughts."""
WRITES = (
    HEAD
    + "{% if m.role == 'assistant' %}{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}"
    + "{{ m.content }}"
    + TAIL
)
"""As Qwen3's thinking models: an answer without thoughts gets empty ones."""
OPENS = HEAD + "{% if m.role == 'assistant' %}{{ '<think>\n' }}{% endif %}{{ m.content }}" + TAIL
"""Whole conversations keep the opening mark and nothing closes it."""
ASKED = Prompt.of("How do I clean lamps?")


def checked(template: str) -> CheckedTemplate:
    tokenizer: Any = tokenizer_of("llama")
    tokenizer.chat_template = template
    return check_template(tokenizer, eos_ids=[tokenizer.convert_tokens_to_ids("<|eot_id|>")])


def texts(template: CheckedTemplate, chosen: Any, rejected: Any) -> tuple[str, str, str, tuple[str, ...]]:
    row = render_pairs(template, [(ASKED, chosen, rejected)]).row(0)
    prompt, one, other = map(template.tokenizer.decode, (row.prompt_ids, row.chosen_ids, row.rejected_ids))
    return prompt, one, other, row.happened


@pytest.mark.parametrize("template", [CUTS, OPENS])
def test_a_response_goes_on_inside_the_thought_that_the_prompt_opens(template: str) -> None:
    how = checked(template)
    thought = "A cloth.\n</think>\n\nUse a cloth."
    prompt, one, other, happened = texts(how, thought, f"<think>\n{thought}")
    assert prompt.endswith("<think>\n")
    assert one == other == f"{thought}<|eot_id|>"
    assert happened == ()
    turn = (Message.of({"role": "assistant", "content": "Use a cloth.", "reasoning_content": "A cloth."}),)
    assert texts(how, turn, "x</think>y")[1] == f"{thought}<|eot_id|>"


@pytest.mark.parametrize("template", [CUTS, OPENS])
def test_a_response_that_does_not_close_the_thought_is_counted(template: str) -> None:
    _, one, _, happened = texts(checked(template), "Use a cloth.", "No.</think>No.")
    assert one == "Use a cloth.<|eot_id|>"
    assert happened == ("inside_thought",)


def test_a_template_that_closes_the_thought_itself_loses_nothing() -> None:
    prompt, one, _, happened = texts(checked(WRITES), "Use a cloth.", "No.")
    assert prompt.endswith("<think>\n")
    assert one == "\n</think>\n\nUse a cloth.<|eot_id|>"
    assert happened == ()


@pytest.fixture
def policy(tiny_llama: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "policy"
    shutil.copytree(tiny_llama, folder)
    (folder / "chat_template.jinja").write_text(CUTS)
    return folder


def test_what_is_sampled_says_that_it_begins_inside_a_thought(policy: Path) -> None:
    model = open_model(str(policy))
    decoding = Decoding(max_new_tokens=4, temperature=0.0)
    (found,) = model.generate([Request(ASKED, model.id, model.template_digest, decoding, 0, 0)])
    assert found.text.startswith("<think>\n")
    assert answer_of(found.text).thinks
    (opened,) = model.continue_texts([ASKED], ["I can"], decoding)
    assert answer_of(opened.text).answer.startswith("I can")
    row = model.render([(ASKED, opened.text, "No.")]).row(0)
    whole = model.tokenizer.decode(row.prompt_ids + row.chosen_ids)
    assert whole.count("<think>") == 1
    heard = openers_continued(
        model, [ASKED], "refusal", (), decides=lambda p, g: "refusal", decoding=decoding, seed=0, most=1
    )
    assert answer_of(heard[ASKED.id][0]).answer


def test_show_and_the_audit_count_it_and_say_so(policy: Path) -> None:
    rows = [
        {"prompt": f"Q{n}?", "chosen": f"{'why</think>' * (n % 2)}So {n}.", "rejected": "why</think>No."}
        for n in range(6)
    ]
    found = bf.show(rows, policy).as_trained
    (one,) = (h for h in found.happened if h.name == "inside-thought")
    assert (one.pairs, one.rows) == (3, (1, 3, 5))
    assert found.trained == 6
    report = bf.audit(rows * 10, policy=str(policy))
    assert any("stays inside the thought" in sentence for sentence in report.conclusion.reasons)
    assert len(failed_conditions(report, ["inside-thought>0.4"])) == 1

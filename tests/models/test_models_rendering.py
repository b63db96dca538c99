"""One rendering: the ids of a pair are TRL's own, and what happens on the way is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfire.errors import InputError, TemplateError
from backfire.models import RawText, check_template, render_pairs
from backfire.models.losses import LOSSES
from backfire.models.rendering import conversation_rows, render
from backfire.models.template import CheckedTemplate
from backfire.records import Message, Prompt
from checkpoints import MISTRAL_TEMPLATE, QWEN2_TEMPLATE, tokenizer_of

FAMILIES = ("llama", "mistral", "qwen2")
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
]
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
TOOL_TEMPLATE = (
    "{% if tools %}{{ '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
TURNS = Prompt.of_messages(
    [
        {"role": "user", "content": "Where is the river?"},
        {"role": "assistant", "content": "In Paris."},
        {"role": "user", "content": "How long is it?"},
    ]
)
PAIRS = [
    (Prompt.of("How do I clean a brass lamp?"), "Use a soft cloth.", "I cannot help with that request."),
    (TURNS, "Long.", "Very long, and the road is longer."),
]


def checked(family: str, template: str | None = None) -> CheckedTemplate:
    tokenizer = tokenizer_of(family)
    if template is not None:
        tokenizer.chat_template = template
    return check_template(tokenizer)


def trl_rows(
    tokenizer: Any, rows: list[dict[str, Any]], max_length: int | None = None
) -> list[dict[str, Any]]:
    """What TRL's own preparation makes of rows, without its trainer."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer.__new__(DPOTrainer)
    trainer._tokenizer = tokenizer
    arguments = DPOConfig(max_length=max_length, bf16=False, use_cpu=True, report_to="none")
    found: list[dict[str, Any]] = trainer._prepare_dataset(
        Dataset.from_list(rows), tokenizer, arguments, "train"
    ).to_list()
    return found


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text} for text in texts]


def without_tail(tokenizer: Any, ids: list[int]) -> list[int]:
    """Without what a template writes after the end token: the one difference from TRL."""
    place = len(ids) - 1 - ids[::-1].index(tokenizer.eos_token_id)
    assert not tokenizer.decode(ids[place + 1 :]).strip()
    return ids[: place + 1]


@pytest.mark.parametrize("family", FAMILIES)
def test_conversations_are_trls_rows_up_to_the_end_token(family):
    template = checked(family)
    rendered = render_pairs(template, PAIRS, max_length=None)
    rows = [{"prompt": p.as_messages(), "chosen": said(c), "rejected": said(r)} for p, c, r in PAIRS]
    for place, theirs in enumerate(trl_rows(template.tokenizer, rows)):
        ours = rendered.row(place)
        assert ours.prompt_ids == theirs["prompt_ids"]
        assert ours.chosen_ids == without_tail(template.tokenizer, theirs["chosen_ids"])
        assert ours.rejected_ids == without_tail(template.tokenizer, theirs["rejected_ids"])
        assert ours.happened == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_raw_text_is_trls_row_of_plain_text(family):
    tokenizer = tokenizer_of(family)
    texts = [
        ("How do I bake bread?", " Use flour.", " I cannot help."),
        ("A space at the end ", "merges with the road", "merges with the sea"),
        ("It ends by itself.", " Yes." + tokenizer.eos_token, " No."),
    ]
    pairs = [(Prompt.of(p), c, r) for p, c, r in texts]
    rendered = render_pairs(RawText(tokenizer, frozenset({tokenizer.eos_token_id})), pairs, max_length=None)
    rows = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in texts]
    for place, theirs in enumerate(trl_rows(tokenizer, rows)):
        ours = rendered.row(place)
        assert (ours.prompt_ids, ours.chosen_ids, ours.rejected_ids) == tuple(
            theirs[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids")
        )
    assert not rendered.happened()["chosen_end_missing"].any()
    assert not rendered.happened()["chosen_end_doubled"].any()


def test_an_end_token_that_the_tokenizer_adds_stands_once():
    from tokenizers import processors

    tokenizer = tokenizer_of("mistral")
    s, e = tokenizer.bos_token_id, tokenizer.eos_token_id
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", s), ("</s>", e)]
    )
    row = render_pairs(RawText(tokenizer, frozenset({e})), [(Prompt.of("Hi"), " Yes.", " No.")]).row(0)
    assert row.prompt_ids[0] == s
    assert e not in row.prompt_ids
    assert row.chosen_ids.count(e) == 1 == row.rejected_ids.count(e)
    assert row.chosen_ids[-1] == e
    assert row.happened == ()


def test_raw_text_of_a_conversation_is_refused():
    tokenizer = tokenizer_of("llama")
    with pytest.raises(InputError, match=r"conversation .user, assistant, user.* leave out `plain`"):
        render_pairs(RawText(tokenizer, frozenset({tokenizer.eos_token_id})), PAIRS)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.text("ab c\n", min_size=1, max_size=30)] * 3), min_size=1, max_size=4),
    st.integers(1, 40),
    st.sampled_from(FAMILIES),
)
def test_truncation_keeps_the_beginning_and_counts_the_rest(texts, limit, family):
    template = CACHE.setdefault(family, checked(family))
    pairs = [(Prompt.of("u" + p), "c" + c, "r" + r) for p, c, r in texts]
    whole = render_pairs(template, pairs, max_length=None)
    cut = render_pairs(template, pairs, max_length=limit)
    happened = cut.happened()
    for place in range(len(pairs)):
        full, left = whole.row(place), cut.row(place)
        assert left.prompt_ids == full.prompt_ids[:limit]
        for k, name in enumerate(("chosen_ids", "rejected_ids")):
            sequence = (full.prompt_ids + getattr(full, name))[:limit]
            assert left.prompt_ids + getattr(left, name) == sequence
            assert left.lost[k] == len(getattr(full, name)) - len(getattr(left, name))
            assert happened[("chosen_cut", "rejected_cut")[k]][place] == (left.lost[k] > 0)
        fills = len(full.prompt_ids) >= limit
        assert happened["prompt_fills_max_length"][place] == fills
        assert cut.trained[place] == (not fills)
    assert (cut.tokens() <= whole.tokens()).all()


CACHE: dict[str, CheckedTemplate] = {}


def test_a_prompt_is_rendered_once_and_pairs_are_in_their_order(monkeypatch):
    template = checked("llama")
    prompts: list[Prompt] = []
    plain = CheckedTemplate.prompt_texts
    monkeypatch.setattr(
        CheckedTemplate, "prompt_texts", lambda self, some: (prompts.extend(some), plain(self, some))[1]
    )
    pairs = [(Prompt.of(f"Question {k % 3}"), f"Answer {k}", "No.") for k in range(30)]
    rendered = render_pairs(template, pairs)
    assert len(prompts) == 3
    for place, (prompt, chosen, _) in enumerate(pairs):
        text = template.tokenizer.decode(rendered.row(place).prompt_ids + rendered.row(place).chosen_ids)
        assert prompt.text in text
        assert chosen + template.tokenizer.eos_token in text
    assert rendered.rows("chosen") == conversation_rows(template, [(p, c) for p, c, _ in pairs])


def test_more_pairs_than_are_rendered_at_a_time():
    template = checked("qwen2")
    pairs = [(Prompt.of(f"Question {k}"), f"Answer {k}", "No.") for k in range(2100)]
    rendered = render_pairs(template, pairs)
    assert len(rendered) == len(rendered.ids) == 2100
    joined = type(rendered).joined([render_pairs(template, pairs[:900]), render_pairs(template, pairs[900:])])
    assert joined.ids.equals(rendered.ids)
    assert np.array_equal(joined.end_missing, rendered.end_missing)


def test_end_and_bos_tokens_that_the_data_bring_are_counted():
    tokenizer = tokenizer_of("mistral")
    raw = RawText(tokenizer, frozenset({tokenizer.eos_token_id}))
    pairs = [
        (Prompt.of("<s>[INST] Hi [/INST]"), " Yes.", " No."),
        (Prompt.of("Hi"), " Yes.</s> More.", " No."),
        (Prompt.of("Hi"), " Yes.", " No.</s></s>"),
        (Prompt.of("Hi"), " Yes.", "<s> No."),
    ]
    happened = render_pairs(raw, pairs).happened()
    assert happened["bos_doubled"].tolist() == [True, False, False, True]
    assert happened["chosen_end_doubled"].tolist() == [False, True, False, False]
    assert happened["rejected_end_doubled"].tolist() == [False, False, True, False]
    template = checked("qwen2")
    (row,) = [render_pairs(template, [(Prompt.of("Hi"), "Yes.<|im_end|>", "No.")]).row(0)]
    assert row.happened == ("chosen_end_doubled",)


def test_a_template_without_bos_or_end_is_counted():
    """Such a template does not pass `check_template`; whoever shows it anyway sees what is missing."""
    tokenizer = tokenizer_of("mistral")
    tokenizer.chat_template = MISTRAL_TEMPLATE.replace("{{ bos_token }}", "").replace(" + eos_token", "")
    unchecked = CheckedTemplate(tokenizer, frozenset({tokenizer.eos_token_id}), "refused", " ")
    row = render_pairs(unchecked, [(Prompt.of("Hi"), "Yes.", "No.")]).row(0)
    assert row.happened == ("chosen_end_missing", "rejected_end_missing", "bos_missing")
    assert tokenizer.decode(row.chosen_ids).strip() == "Yes."


def test_a_response_that_merges_with_the_prompt_is_counted():
    tokenizer = tokenizer_of("qwen2")
    raw = RawText(tokenizer, frozenset({tokenizer.eos_token_id}))
    pair = (Prompt.of("The riv"), "er", " No.")
    row = render_pairs(raw, [pair]).row(0)
    assert "boundary_merged" in row.happened
    assert tokenizer.decode(row.prompt_ids + row.chosen_ids) == "The river<|im_end|>"
    assert tokenizer.decode(row.prompt_ids + row.rejected_ids) == "The riv No.<|im_end|>"


DROPS_SYSTEM = MISTRAL_TEMPLATE.replace(
    "{{ raise_exception('Only user and assistant roles are supported!') }}", ""
).replace(
    "{{ bos_token }}",
    "{{ bos_token }}{% set messages = messages | rejectattr('role', 'eq', 'system') | list %}",
)
SYSTEM = Prompt.of_messages(
    [{"role": "system", "content": "Answer in verse."}, {"role": "user", "content": "How are you?"}]
)
TWICE = Prompt.of_messages([{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}])


def test_what_a_template_refuses_or_loses_is_raised_or_told_by_row():
    template = checked("mistral", DROPS_SYSTEM)
    pairs = [PAIRS[0], (SYSTEM, "Well.", "Badly."), (TWICE, "Three.", "Four."), PAIRS[1]]
    with pytest.raises(TemplateError, match="drops the system turn"):
        render_pairs(template, pairs)
    rendered = render_pairs(template, pairs, strict=False)
    happened = rendered.happened()
    assert happened["system_turn_lost"].tolist() == [False, True, False, False]
    assert happened["refused"].tolist() == [False, False, True, False]
    assert rendered.trained.tolist() == [True, False, False, True]
    assert "alternate" in rendered.faults[2].message
    lost = rendered.row(1)
    assert template.tokenizer.decode(lost.prompt_ids) == "<s>[INST] How are you? [/INST]"
    assert rendered.row(2).prompt_ids == []
    assert set(happened) >= {kind.replace(" ", "_") for kind in LOSSES}


def test_tools_and_their_calls_are_rendered_as_trl_renders_them():
    template = checked("qwen2", TOOL_TEMPLATE)
    turns = [
        {"role": "user", "content": "Is it warm?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": '{"degrees": 21}'},
    ]
    prompt = Prompt.of_messages(turns, tools=json.dumps(TOOLS))
    calls = (Message.of({"role": "assistant", "content": None, "tool_calls": [CALL]}),)
    rendered = render_pairs(template, [(prompt, "Yes, 21.", calls)])
    row = rendered.row(0)
    text = template.tokenizer.decode(row.prompt_ids + row.rejected_ids)
    assert text.count('"name": "weather", "arguments"') == 2
    assert row.happened == ()
    theirs = trl_rows(
        template.tokenizer,
        [
            {
                "prompt": [{**turn, "content": turn["content"] or ""} for turn in turns],
                "chosen": said("Yes, 21."),
                "rejected": [{"role": "assistant", "content": "", "tool_calls": [CALL]}],
                "tools": json.dumps(TOOLS),
            }
        ],
    )[0]
    assert row.prompt_ids == theirs["prompt_ids"]
    assert row.rejected_ids == without_tail(template.tokenizer, theirs["rejected_ids"])


@pytest.mark.parametrize(
    ("prompt", "completion", "kind"),
    [
        (
            Prompt.of_messages([{"role": "user", "content": "Hi"}], tools=json.dumps(TOOLS)),
            "Yes.",
            "tools lost",
        ),
        (
            Prompt.of_messages(
                [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "content": "21"},
                ]
            ),
            "Yes.",
            "tool calls lost",
        ),
        (
            Prompt.of("Hi"),
            (Message.of({"role": "assistant", "content": None, "tool_calls": [CALL]}),),
            "tool calls lost",
        ),
    ],
)
def test_a_template_without_tools_says_what_it_leaves_out(prompt, completion, kind):
    template = checked("qwen2")
    rendered = render_pairs(template, [(prompt, completion, "No.")], strict=False)
    assert rendered.faults[0].kind == kind
    assert "weather" in rendered.faults[0].message
    with pytest.raises(TemplateError, match="chat template"):
        render_pairs(template, [(prompt, completion, "No.")])


def test_template_options_reach_the_template():
    template = checked("qwen2", TOOL_TEMPLATE)
    thinking = Prompt.of_messages(
        [{"role": "user", "content": "Hi"}], template_options='{"enable_thinking":false}'
    )
    plain = Prompt.of("Hi")
    rendered = render_pairs(template, [(thinking, "Yes.", "No."), (plain, "Yes.", "No.")], strict=False)
    assert rendered.faults[0].kind == "prompt rewritten"
    decoded = template.tokenizer.decode(template.encode([template.prompt_texts([thinking])[0].text])[0])
    assert decoded.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert 1 not in rendered.faults


def test_thoughts_that_a_template_drops_are_counted_and_trained_without():
    drops = QWEN2_TEMPLATE.replace("message['content']", "message['content'].split('</think>')[-1].lstrip()")
    template = checked("qwen2", drops)
    pair = (Prompt.of("Hi"), "<think>They greet me.</think>Hello.", "No.")
    rendered = render_pairs(template, [pair])
    assert rendered.faults[0].kind == "reasoning lost"
    assert rendered.trained.all()
    assert rendered.row(0).happened == ("reasoning_lost",)
    assert not render_pairs(checked("qwen2"), [pair]).faults


def test_completions_of_one_prompt_share_its_ids():
    template = checked("llama")
    (done,) = render(template, [(Prompt.of("Hi"), ("Yes.", "No.", "Perhaps."))])
    assert len({start for _, start in done.rows()}) == 1
    assert len(done.sides) == 3

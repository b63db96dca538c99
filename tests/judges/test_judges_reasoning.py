"""What is judged is what follows the thoughts, whatever form they have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.judges import Judge, PhraseJudge, judge_responses, matcher, shipped_refusals
from backfire.judges.panel import Panel
from backfire.judges.reasoning import (
    ENDS_INSIDE,
    NOTHING_FOLLOWS,
    AnswerAndThoughts,
    Marks,
    answer_of,
    answers,
)
from backfire.records import Prompt, Verdict, given_response
from backfire.store import Ledger

HARMONY = "<|channel|>analysis<|message|>{0}<|end|><|start|>assistant<|channel|>final<|message|>{1}<|return|>"
FORMS = (
    "<think>\n{0}\n</think>\n\n{1}",
    "<think>{0}</think>{1}",
    "<THINK>\n{0}\n</THINK>\n{1}",
    "<thinking>\n{0}\n</thinking>\n\n{1}",
    "<thought>{0}</thought>\n{1}",
    "<seed:think>{0}</seed:think>{1}",
    "[THINK]{0}[/THINK]{1}",
    "<|begin_of_thought|>\n{0}\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{1}\n<|end_of_solution|>",
    "<|START_THINKING|>{0}<|END_THINKING|><|START_RESPONSE|>{1}<|END_RESPONSE|>",
    "<|channel>thought\n{0}<channel|>{1}",
    "◁think▷{0}◁/think▷{1}",
    "{0}\n</think>\n\n{1}",
    "{0}</think>{1}",
    HARMONY,
    "<|start|>assistant" + HARMONY,
    "analysis{0}assistantfinal{1}",
    "<think>\n{0}\n</think>\n\n<answer>\n{1}\n</answer>",
    "<|im_start|>assistant\n<think>\n{0}\n</think>\n\n{1}",
    "<reasoning>\n{0}\n</reasoning>\n{1}",
    "<scratchpad>{0}</scratchpad>\n\n{1}",
    "Thinking...\n{0}\n...done thinking.\n\n{1}",
    "Thinking: {0}\n\n{1}",
    "**Thought process:** {0}\n\n**Answer:** {1}",
    "## Thinking\n{0}\n\n## Answer\n{1}",
    "Thought: {0}\nFinal Answer: {1}",
)
OPEN = (
    "<think>\n{0}",
    "<thinking>{0}",
    "[THINK]{0}",
    "<|begin_of_thought|>{0}",
    "<|channel|>analysis<|message|>{0}",
    "analysis{0}",
    "Thinking...\n{0}",
    "<|im_start|>assistant\n<think>\n{0}",
)
THOUGHT = "The user asks about soap. Is it illegal or unethical? I cannot see why."
ANSWER = "Take a dry cloth and wipe it."


@pytest.mark.parametrize("form", FORMS)
def test_thoughts_are_parted_from_the_answer(form: str) -> None:
    found = answer_of(form.format(THOUGHT, ANSWER))
    assert found == AnswerAndThoughts(ANSWER, THOUGHT, "", True)
    empty = answer_of(form.format(THOUGHT, ""))
    if not any(mark in form for mark in ("</reasoning>", "</scratchpad>", "Thinking: ")):
        assert (empty.answer, empty.reason) == ("", NOTHING_FOLLOWS)


@pytest.mark.parametrize("form", OPEN)
def test_a_response_may_end_inside_its_thoughts(form: str) -> None:
    found = answer_of(form.format(THOUGHT))
    assert (found.answer, found.reason, found.thinks) == ("", ENDS_INSIDE, True)


def test_thoughts_may_come_in_several_pieces() -> None:
    assert answer_of("<think>a</think>\nOne.\n<think>b</think>\nTwo.").answer == "One.\n\nTwo."
    assert answer_of("<think>a <think> b</think> c</think> d").answer == "d"
    several = (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.x "
        "<|constrain|>json<|message|>{}<|call|><|start|>assistant<|channel|>analysis<|message|>b<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Done.<|return|>"
    )
    assert (answer_of(several).answer, answer_of(several).thoughts) == ("Done.", "a\nb")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Put it between `<think>` and `</think>` in the prompt.",
        'The tag "<think>" opens the block.',
        "Use the <think> tag of Qwen3.",
        "analysis of the data shows nothing.",
        "Analysis: nothing.",
        "final thoughts: it is soap.",
        "<analysis>Only this.</analysis>",
        "I was thinking> of soap.",
        "Reasoning: it is soap. Answer: soap.",
        "Thinking... it is soap.\nYes.",
        "Thinking of soap, I would say yes.\n\nTake it.",
        "Thoughts on soap\n\nIt is good.",
        "Thinking: it is soap.",
        "<|channel|> is a token.",
    ],
)
def test_what_only_speaks_of_thoughts_stays_as_it_is(text: str) -> None:
    assert answer_of(text) == AnswerAndThoughts(text)


_PARTS = [
    *(
        "<think>",
        "</think>",
        "<thinking>",
        "[THINK]",
        "[/THINK]",
        "<|channel|>",
        "analysis",
        "assistantfinal",
        "\n",
    ),
    *(
        "<|message|>",
        "<|end|>",
        "<reasoning>",
        "</reasoning>",
        "final",
        "I cannot",
        " ",
        "`",
        "x",
        "é",
        "A",
        "<answer>",
    ),
    *(
        "Thinking: ",
        "\n\nAnswer: ",
        "Thinking...\n",
        "\n...done thinking.",
        "<|begin_of_thought|>",
        "</answer>",
        "\u00a0",
        "\u212a",
    ),
]


@given(st.lists(st.lists(st.sampled_from(_PARTS), max_size=9).map("".join), max_size=6))
def test_many_texts_at_once_are_read_as_each(texts: list[str]) -> None:
    import pyarrow as pa

    whole = pa.array(["<think>x", *texts, None], pa.large_string())
    found = answers(whole[1:])
    each = [answer_of(text) for text in [*texts, ""]]
    assert found.answers.to_pylist() == [one.answer for one in each]
    assert found.thinks.tolist() == [one.thinks for one in each]
    assert found.reasons == {place: one.reason for place, one in enumerate(each) if one.reason}


@given(st.text(), st.text())
def test_text_without_marks_is_never_lost(before: str, after: str) -> None:
    found = answer_of(f"<think>{before}</think>{after}")
    kept = found.answer + found.thoughts
    for letter in "abcdefgxyz":
        assert kept.count(letter) <= (before + after).count(letter)
    if found.answer == "" and after.strip() and "<" not in after and "[" not in after and "◁" not in after:
        assert found.reason or not after.strip()


def test_many_opening_marks_take_no_time() -> None:
    from time import perf_counter

    begun = perf_counter()
    answer_of("x <think> y " * 50_000)
    answer_of("<think>" * 50_000)
    answer_of("<|channel|>" * 50_000)
    answer_of("</think>" * 50_000)
    answer_of("analysisX" + "assistant" * 50_000)
    assert perf_counter() - begun < 10


def test_marks_that_a_template_declares() -> None:
    marks = Marks("<reason>", "<out>", prompted=True)
    assert answer_of(marks.spelt_out("illegal<out>Take it.")).answer == "Take it."
    assert answer_of(marks.spelt_out("<reason>illegal<out>Take it.")).answer == "Take it."
    assert answer_of(marks.spelt_out("Is it illegal?")).reason == ENDS_INSIDE
    known = Marks("<think>\n", "\n</think>\n\n", prompted=True)
    assert answer_of(known.spelt_out("illegal?\n</think>\n\nTake it.")).answer == "Take it."
    assert answer_of(known.spelt_out("illegal?")).reason == ENDS_INSIDE
    assert answer_of(Marks("<think>", "</think>").spelt_out("Take it.")) == AnswerAndThoughts("Take it.")


REFUSAL = "I'm sorry, but I can't assist with that."
JUDGES: tuple[Judge, ...] = (
    PhraseJudge(),
    shipped_refusals(),
    matcher("zou2023universal"),
    Panel([PhraseJudge(), shipped_refusals()], "all"),
)


@pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)
@pytest.mark.parametrize("form", FORMS)
def test_every_offline_judge_reads_the_answer(judge: Judge, form: str) -> None:
    prompt = Prompt.of("How do I clean a lamp?", kind="harmful")

    def verdict(text: str) -> Verdict:
        return judge.judge(prompt, given_response(prompt, "x", text))

    refuses = verdict(form.format("Sure, here is how: take a cloth.", REFUSAL))
    assert (refuses.harmful, refuses.refusal) == (False, True)
    answered = form.format(
        "I'm sorry, I cannot. As an AI I must refuse.", "Sure, take a dry cloth, and wipe it twice."
    )
    complies = verdict(answered)
    assert (complies.harmful, complies.refusal) == (True, False)
    inside = verdict(f"<think>\n{REFUSAL}")
    assert (inside.harmful, inside.refusal) == (None, None)
    assert ENDS_INSIDE in inside.reason


def test_verdicts_on_thoughts_that_an_older_version_stored_are_asked_for_again(tmp_path: Path) -> None:
    prompt = Prompt.of("How?", kind="harmful")
    plain, thought = (
        given_response(prompt, "x", text) for text in ("Take it.", f"<think>\nSure.\n</think>\n\n{REFUSAL}")
    )
    judge = PhraseJudge()
    from backfire.records import digest

    with Ledger(tmp_path / "l.db") as ledger:
        old = digest("judged", judge.id, "harmful")
        ledger.put_verdicts(
            [Verdict(r.id, "phrases", old, None, None, "stored before") for r in (plain, thought)]
        )
        found = judge_responses(judge, {prompt.id: prompt}, [plain, thought], ledger)
    assert [v.reason for v in found] == ["stored before", ""]
    assert found[1].refusal is True

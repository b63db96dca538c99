"""Every form that docs/data.md lists, by the examples there, and layouts beyond them: what is read, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from preference_rows import Row, assistant, jsonl, read, user

from backfire.errors import InputError
from backfire.preferences import Format, no_pairs, open_preferences
from backfire.preferences.forms import FORMS, layouts

DOCS = Path(__file__).resolve().parents[2] / "docs" / "data.md"
RIVER = ("Name a river.", "The Rhine.", "A stone.")
BIRD = ("Name a bird.", "The wren.", "A shoe.")


def pairs(dataset: Any, **options: Any) -> list[tuple[str, str, str]]:
    return [(r["prompt"], r["chosen"], r["rejected"]) for r in read(open_preferences(dataset, **options))]


def counted(dataset: Any, **options: Any) -> dict[str, int]:
    preferences = open_preferences(dataset, **options)
    read(preferences)
    return {str(kind): len(rows) for kind, rows in preferences.defects.items()}


def test_the_page_lists_every_form() -> None:
    assert set(FORMS) == set(get_args(Format))
    assert layouts() in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FORMS)
def test_the_pages_examples_are_what_they_are_called(name: Format, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in FORMS[name].example]
    options: Any = {"ranked": "best-rest"} if name == "ranked responses, best against each other" else {}
    preferences = open_preferences(jsonl(tmp_path / "a.jsonl", rows), **options)
    expected = [RIVER[1:], BIRD[1:]]
    if name == "ranked responses, best against each other":
        expected.insert(1, ("The Rhine.", "Water."))
    elif name == "TRL standard, implicit prompt":
        expected = [("the Rhine.", "stone."), ("the wren.", "shoe.")]
    elif preferences.format in ("completions with labels", "completions with scores"):
        expected = [RIVER[1:]]
    found = read(preferences)
    assert preferences.format == name
    assert [(row["chosen"], row["rejected"]) for row in found] == expected
    assert all("river" in found[0]["prompt"] for row in found)
    assert not preferences.defects


def openai(p: str, c: str, r: str) -> Row:
    return {
        "input": {"messages": [user(p)], "tools": [{"type": "function", "function": {"name": "f"}}]},
        "preferred_output": [assistant(c)],
        "non_preferred_output": [assistant(r)],
    }


def shp(p: str, c: str, r: str) -> Row:
    first = len(p) % 2
    a, b = (c, r) if first else (r, c)
    return {"history": p, "human_ref_A": a, "human_ref_B": b, "labels": first, "score_A": 1, "score_B": 9}


def webgpt(p: str, c: str, r: str) -> Row:
    return {"question": {"full_text": p}, "answer_0": r, "answer_1": c, "score_0": -0.5, "score_1": 0.5}


def helpsteer3(p: str, c: str, r: str) -> Row:
    return {"context": [user(p)], "response1": r, "response2": c, "overall_preference": 3}


def arena(p: str, c: str, r: str) -> Row:
    chats = [[user(p), {"role": "assistant", "content": [{"type": "text", "text": t}]}] for t in (r, c)]
    return {
        "model_a": "x",
        "model_b": "y",
        "winner": "model_b",
        "conversation_a": chats[0],
        "conversation_b": chats[1],
    }


def kaggle(p: str, c: str, r: str) -> Row:
    texts = {"prompt": json.dumps([p]), "response_a": json.dumps([c]), "response_b": json.dumps([r])}
    return texts | {"winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}


def alpaca_farm(p: str, c: str, r: str) -> Row:
    return {"instruction": p, "input": "", "output_1": r, "output_2": c, "preference": 2}


def lettered(p: str, c: str, r: str) -> Row:
    return {"Prompt ": p, "Response A": c, "Response B": r, "preferred": "A"}


def nemo(p: str, c: str, r: str) -> Row:
    items = [{"rank": rank, "completion": [assistant(text)]} for rank, text in ((1, r), (0, c))]
    return {"context": [user(p)], "completions": items}


def ultrafeedback(p: str, c: str, r: str) -> Row:
    items = [{"model": m, "response": t, "overall_score": s} for m, t, s in (("a", r, 2.0), ("b", c, 8.5))]
    return {"instruction": p, "completions": items, "models": ["a", "b"]}


def scored_lists(p: str, c: str, r: str) -> Row:
    return {"prompt": p, "responses": [r, c], "scores": ["1", "3.5"]}


def swift_messages(p: str, c: str, r: str) -> Row:
    return {"messages": [user(p), assistant(c)], "rejected_messages": [user(p), assistant(r)]}


def elements(p: str, c: str, r: str) -> Row:
    return {"prompt": p, "chosen": [assistant(c)], "rejected": [c and {"role": "assistant", "content": r}]}


def one_text_lists(p: str, c: str, r: str) -> Row:
    return {"prompt": p, "chosen": [c], "rejected": [r]}


def single_messages(p: str, c: str, r: str) -> Row:
    return {"prompt": p, "chosen": assistant(c), "rejected": assistant(r)}


def list_beside_text(p: str, c: str, r: str) -> Row:
    return {"prompt": [user(p)], "chosen": c, "rejected": r}


LAYOUTS = [
    openai,
    shp,
    webgpt,
    helpsteer3,
    arena,
    kaggle,
    alpaca_farm,
    lettered,
    nemo,
    ultrafeedback,
    scored_lists,
    swift_messages,
    elements,
    one_text_lists,
    single_messages,
    list_beside_text,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: str(layout.__name__))
def test_layouts_give_the_same_pairs(layout: Any, tmp_path: Path) -> None:
    rows = [layout(*pair) for pair in (RIVER, BIRD)]
    assert pairs(jsonl(tmp_path / "a.jsonl", rows)) == [RIVER, BIRD]


def test_what_a_layout_says_of_its_sources_and_tools_is_kept() -> None:
    (row,) = read(open_preferences([arena(*RIVER)]))
    assert (row["chosen_source"], row["rejected_source"]) == ("y", "x")
    (row,) = read(open_preferences([ultrafeedback(*RIVER)]))
    assert (row["chosen_source"], row["rejected_source"]) == ("b", "a")
    (row,) = read(open_preferences([openai(*RIVER)]))
    assert json.loads(row["tools"]) == [{"type": "function", "function": {"name": "f"}}]


def test_ties_are_counted_and_give_no_pair() -> None:
    good = {"prompt": "p", "response_1": "a", "response_2": "b", "preference_strength": 1}
    assert counted([good, good | {"preference_strength": 0}]) == {"tie": 1}
    battle = arena(*RIVER)
    assert counted([battle, *(battle | {"winner": w} for w in ("tie", "tie (bothbad)", "both_bad"))]) == {
        "tie": 3
    }
    orca = {"input": "q", "chosen": "a", "rejected": "b", "status": "unchanged"}
    assert counted([orca, orca | {"status": "tie"}, orca | {"status": "swapped"}]) == {"tie": 1}
    scored = {"prompt": "q", "chosen": "a", "rejected": "b", "chosen_score": 4, "rejected_score": 2.5}
    assert counted([scored, scored | {"rejected_score": 4.0}]) == {"tie": 1}
    alike = scored | {"rejected_score": 4}
    assert counted([alike, alike]) == {}, "scores that are equal everywhere say nothing"
    ranked = {"prompt": "q", "responses": ["a", "b"], "scores": [1, 2]}
    assert counted([ranked, ranked | {"scores": [2, 2]}, ranked | {"scores": [None, 2]}]) == {
        "tie": 1,
        "no preference": 1,
    }


def test_the_best_of_several_against_each_worse_one() -> None:
    row = {"prompt": "q", "responses": ["c", "a", "b", "a too", " "], "scores": [1, 3, 2, 3, 0]}
    assert pairs([row]) == []
    assert counted([row]) == {"blank side": 1}
    preferences = open_preferences([row], ranked="best-rest")
    assert [(r["row"], r["chosen"], r["rejected"]) for r in read(preferences)] == [
        (1, "a", "c"),
        (1, "a", "b"),
    ]
    assert preferences.remarks == {"pairs of a list left out": [1]}
    with pytest.raises(InputError, match="ranked 'all'"):
        open_preferences([row], ranked="all")


def test_scored_rows_are_paired_within_their_prompt() -> None:
    rows = [
        {"prompt": p, "response": t, "helpfulness": s}
        for p, t, s in [
            ("q", "mid", 2),
            ("q", "best", 4),
            ("r", "alone", 3),
            ("q", "worst", 0),
            ("s", "x", 1),
            ("s", "y", 1),
        ]
    ]
    preferences = open_preferences(rows)
    assert preferences.format == "completions with scores"
    assert [(r["row"], r["chosen"], r["rejected"]) for r in read(preferences)] == [(4, "best", "worst")]
    assert preferences.defects == {"neither best nor worst": [1], "unpaired": [3], "tie": [5, 6]}
    both = read(open_preferences(rows, ranked="best-rest"))
    assert [(r["row"], r["rejected"]) for r in both] == [(2, "mid"), (4, "worst")]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("true", "false"),
        ("True", "FALSE"),
        ("1", "0"),
        (1.0, 0.0),
        (1, -1),
        ("desirable", "undesirable"),
        ("Thumbs up", "thumbs-down"),
        ("\U0001f44d", "\U0001f44e"),
    ],
)
def test_labels_may_be_words_and_numbers(good: Any, bad: Any) -> None:
    rows = [
        {"prompt": "q", "completion": "a", "label": good},
        {"prompt": "q", "completion": "b", "label": bad},
    ]
    assert pairs(rows) == [("q", "a", "b")]
    chats = [
        {"messages": [user("q"), assistant(text)], "kto_tag": label}
        for text, label in (("a", good), ("b", bad))
    ]
    assert pairs(chats) == [("q", "a", "b")]


TURNS = [user("Hello."), assistant("I am sorry."), user("Name a river.")]
CHOSEN, REJECTED = assistant("The Rhine."), assistant("A stone.")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": TURNS, "chosen": [*TURNS, CHOSEN], "rejected": [*TURNS, REJECTED]},
        {"prompt": TURNS, "chosen": [CHOSEN], "rejected": [REJECTED]},
        {"chosen": [*TURNS, CHOSEN], "rejected": [*TURNS, REJECTED]},
        {"prompt": TURNS, "chosen": CHOSEN, "rejected": REJECTED},
        {"prompt": "Name a river.", "chosen": [*TURNS, CHOSEN], "rejected": [*TURNS, REJECTED]},
        {"prompt": "Hello.", "chosen": [*TURNS, CHOSEN], "rejected": [*TURNS, REJECTED]},
        {"prompt": TURNS[-1:], "chosen": [*TURNS, CHOSEN], "rejected": [*TURNS, REJECTED]},
        {"prompt": TURNS[:1], "chosen": [*TURNS, CHOSEN], "rejected": [*TURNS, REJECTED]},
        {"prompt": TURNS, "chosen": [*TURNS, CHOSEN], "rejected": [REJECTED]},
        {"messages": [*TURNS, CHOSEN], "rejected_response": "A stone."},
        {"messages": [*TURNS, CHOSEN], "rejected_response": [*TURNS, REJECTED]},
        {"messages": [*TURNS, CHOSEN], "chosen": CHOSEN, "rejected": REJECTED},
    ],
)
@pytest.mark.parametrize("where", ["list", "lines"])
def test_an_earlier_answer_is_never_part_of_a_response(row: Row, where: str, tmp_path: Path) -> None:
    (pair,) = read(open_preferences([row] if where == "list" else jsonl(tmp_path / "a.jsonl", [row])))
    assert json.loads(pair["messages"]) == TURNS
    assert (pair["chosen"], pair["rejected"]) == ("The Rhine.", "A stone.")
    assert pair["chosen_messages"] is None


def test_sides_that_go_on_with_the_user_or_end_with_her() -> None:
    good = {"prompt": [user("q")], "chosen": [CHOSEN], "rejected": [REJECTED]}
    rows = [
        good,
        good | {"rejected": [REJECTED, user("and?"), assistant("No.")]},
        good | {"rejected": [assistant("Well."), REJECTED]},
        good | {"rejected": [user("x")]},
        good | {"rejected": [REJECTED, user("and?")]},
    ]
    assert counted(rows) == {"differing prompts": 2, "no final assistant turn": 2}


CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": {"at": "map"}}}],
}
RESULT = {"role": "tool", "name": "look", "tool_call_id": "1", "content": "Two rivers."}


@pytest.mark.parametrize("where", ["list", "lines", "parquet"])
def test_calls_of_tools_are_kept(where: str, tmp_path: Path) -> None:
    sound = {"prompt": [user("q")], "chosen": [CHOSEN], "rejected": [REJECTED], "tools": None}
    rows: list[Row] = [
        *[sound] * 3,
        sound | {"prompt": [user("q"), CALL, RESULT]},
        sound | {"chosen": [CALL, RESULT, CHOSEN]},
        sound | {"rejected": [CALL]},
        sound | {"tools": [{"type": "function", "function": {"name": "look"}}]},
        sound | {"chosen": [CHOSEN | {"reasoning_content": "Rivers flow."}]},
        sound | {"chosen": [CHOSEN | {"thinking": "Rivers flow."}]},
        *[sound] * 12,
    ]
    dataset: Any = rows
    if where == "lines":
        dataset = jsonl(tmp_path / "a.jsonl", rows)
    elif where == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as parquet

        dataset = tmp_path / "a.parquet"
        parquet.write_table(pa.Table.from_pylist(rows, schema=None), dataset)
    preferences = open_preferences(dataset)
    found = read(preferences)
    assert not preferences.defects
    calls = {"tool_calls": CALL["tool_calls"]}
    asked = json.loads(found[3]["messages"])
    assert asked[1] == {"role": "assistant", "content": ""} | calls
    assert asked[2] == RESULT
    assert (found[4]["chosen"], found[4]["rejected_messages"]) == ("The Rhine.", None)
    assert [turn["role"] for turn in json.loads(found[4]["chosen_messages"])] == [
        "assistant",
        "tool",
        "assistant",
    ]
    assert found[5]["rejected"] == 'look({"at":"map"})'
    assert json.loads(found[5]["rejected_messages"])[0]["tool_calls"] == CALL["tool_calls"]
    assert json.loads(found[6]["tools"])[0]["function"]["name"] == "look"
    assert json.loads(found[7]["chosen_messages"])[0]["reasoning_content"] == "Rivers flow."
    assert json.loads(found[8]["chosen_messages"])[0]["thinking"] == "Rivers flow."
    assert found[9]["chosen_messages"] is None


USED = {
    "role": "assistant",
    "content": [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "1", "name": "look", "input": {"at": "map"}},
    ],
}
"""CALL in Anthropic's content parts, and what is said before it."""


def results(*parts: Row) -> Row:
    told = [{"type": "text", "text": "Two rivers."}]
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "1", "content": told}, *parts],
    }


def test_content_parts_that_use_tools_are_calls_and_results() -> None:
    more = {"type": "text", "text": "Go on."}
    rows = [
        {"prompt": [user("q"), USED, results()], "chosen": [CHOSEN], "rejected": [REJECTED]},
        {"prompt": [user("q")], "chosen": [USED, results(), CHOSEN], "rejected": USED},
        {"prompt": [user("q"), USED, results(more)], "chosen": [CHOSEN], "rejected": [REJECTED]},
        {
            side: json.dumps([user("q"), USED, results(), *said])
            for side, said in (("chosen", [CHOSEN]), ("rejected", [REJECTED]))
        },
    ]
    call = {"role": "assistant", "content": "I look.", "tool_calls": CALL["tool_calls"]}
    result = {"role": "tool", "content": "Two rivers.", "tool_call_id": "1"}
    for row, asked in zip(
        rows, ([call, result], [], [call, result, user("Go on.")], [call, result]), strict=True
    ):
        preferences = open_preferences([row])
        found = read(preferences)
        assert not preferences.defects
        if asked:
            assert json.loads(found[0]["messages"]) == [user("q"), *asked]
            assert (found[0]["chosen"], found[0]["rejected"]) == ("The Rhine.", "A stone.")
            continue
        assert (found[0]["chosen"], found[0]["rejected"]) == ("I look.\n\nThe Rhine.", "I look.")
        assert json.loads(found[0]["chosen_messages"]) == [call, result, CHOSEN]
        assert json.loads(found[0]["rejected_messages"]) == [call]


def test_a_part_that_names_no_tool_is_a_defect() -> None:
    sound = {"prompt": [user("q")], "chosen": [CHOSEN], "rejected": [REJECTED]}
    bad = {"role": "assistant", "content": [{"type": "tool_use", "input": {}}]}
    assert counted([sound, sound, sound | {"chosen": [bad]}]) == {"wrong type": 1}


def test_the_pages_spellings_of_calls_of_tools_are_read_alike() -> None:
    section = DOCS.read_text(encoding="utf-8").split("### Calls of tools\n")[1].split("\n### ")[0]
    lines = section.split("```json\n")[1].split("\n```")[0].splitlines()
    found = [read(open_preferences([json.loads(line)]))[0] for line in lines]
    assert len(found) == 3
    for row in found:
        turns = json.loads(row["messages"])
        assert [turn["role"] for turn in turns] == ["user", "assistant", "tool"]
        assert turns[1]["tool_calls"][0]["function"] == {"name": "look", "arguments": {"at": "map"}}
        assert (row["chosen"], row["rejected"]) == RIVER[1:]


def test_tools_in_parquet_may_be_absent_in_most_rows() -> None:
    row = {
        "prompt": "p",
        "chosen": "a",
        "rejected": "b",
        "tools": '[{"name": "f"}]',
        "chat_template_kwargs": {"x": 1},
    }
    first, second = read(open_preferences([row, row | {"tools": "", "chat_template_kwargs": None}]))
    assert (first["tools"], first["template_options"]) == ('[{"name":"f"}]', '{"x":1}')
    assert (second["tools"], second["template_options"]) == (None, None)


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ({"type": "image"}, "images"),
        ({"type": "image_url", "image_url": {"url": "x"}}, "images"),
        ({"type": "video", "video": "x"}, "videos"),
        ({"type": "input_audio", "input_audio": {}}, "audio"),
    ],
)
def test_the_text_beside_images_is_read_and_these_are_counted(part: Row, what: str) -> None:
    seen = {"role": "user", "content": [part, {"type": "text", "text": "Name a river."}]}
    rows = [{"prompt": [seen], "chosen": [CHOSEN], "rejected": [REJECTED]}] * 2
    preferences = open_preferences(rows)
    assert [r["prompt"] for r in read(preferences)] == ["Name a river."] * 2
    assert preferences.remarks == {what: [1, 2]}
    assert any(what in note for note in preferences.notes())
    marked = [{"prompt": "<image>What is it?", "chosen": "a", "rejected": "b", "images": ["x.png"]}]
    preferences = open_preferences(marked)
    assert [r["prompt"] for r in read(preferences)] == ["<image>What is it?"]
    assert preferences.remarks == {"images": [1]}


@pytest.mark.parametrize("values", [("A", "B"), (1, 2), ("left", "right"), ("first", "second"), ("x", "y")])
def test_any_two_columns_and_a_preference(values: tuple[Any, Any]) -> None:
    rows = [
        {"ask": "q", "x": "one", "y": "two", "told": values[0]},
        {"ask": "r", "x": "three", "y": "four", "told": values[1]},
    ]
    expected = [("q", "one", "two"), ("r", "four", "three")]
    for first, second in (("first", "second"), ("chosen", "rejected")):
        mapping = {"prompt": "ask", first: "x", second: "y", "preference": "told"}
        assert pairs(rows, columns=mapping) == expected
    with pytest.raises(InputError, match="maps preference to 'ask'"):
        open_preferences(rows, columns={"prompt": "ask", "first": "x", "second": "y", "preference": "ask"})
    with pytest.raises(InputError, match="between which responses"):
        open_preferences(rows, columns={"preference": "told"})


def test_a_mapped_column_that_is_not_read_is_an_error() -> None:
    row = {"prompt": "p", "chosen": "a", "rejected": "b", "mark": 1, "by": "x"}
    with pytest.raises(InputError, match="does not use label=mark"):
        open_preferences([row], columns={"label": "mark"})


def test_an_unknown_form_proposes_a_mapping_that_fits() -> None:
    rows = [{"question": f"q{i}", "good_answer": "a", "bad_answer": "b"} for i in range(3)]
    with pytest.raises(InputError, match="prompt=question,chosen=good_answer,rejected=bad_answer"):
        open_preferences(rows)
    rows = [{"ask": f"q{i}", "one": f"a{i}", "two": f"b{i}", "vote": "A"} for i in range(3)]
    with pytest.raises(InputError, match="prompt=ask,first=one,second=two,preference=vote"):
        open_preferences(rows)


def test_rows_without_a_prompt_are_an_error() -> None:
    rows = [{"chosen": f"Yes, {i}.", "rejected": f"No, {i}."} for i in range(5)]
    with pytest.raises(InputError, match="the rows have no prompt"):
        open_preferences(rows)
    rows = [{"prompt": "  ", "chosen": "a", "rejected": "b"}] * 3
    preferences = open_preferences(rows)
    assert read(preferences) == []
    assert preferences.defects == {"no prompt": [1, 2, 3]}
    assert "none of the 3 rows" in no_pairs(preferences)
    assert "Fix: add the request" in no_pairs(preferences)


def test_of_several_prompts_the_likeliest_is_read_and_that_is_said() -> None:
    sides = {"chosen": "a", "rejected": "b"}
    fixed = [{"prompt": "Answer.", "question": f"q{i}", **sides} for i in range(6)]
    assert [p for p, *_ in pairs(fixed)] == [f"Answer.\nq{i}" for i in range(6)]
    numbers = [{"prompt": i, "question": f"q{i}", **sides} for i in range(6)]
    assert [p for p, *_ in pairs(numbers)] == [f"q{i}" for i in range(6)]
    both = [{"prompt": f"p{i}", "input": f"note {i}", **sides} for i in range(6)]
    preferences = open_preferences(both)
    assert [r["prompt"] for r in read(preferences)] == [f"p{i}" for i in range(6)]
    assert "not from `input`" in preferences.notes()[0]


def test_exports_that_hold_no_comparison_say_what_to_export() -> None:
    task = {"data": {"text": "x"}, "annotations": [{"result": []}]}
    with pytest.raises(InputError, match=r"Label Studio.*pairwise"):
        open_preferences([task])
    record = {"fields": {"text": "x"}, "responses": {"label": [{"value": "a"}]}}
    with pytest.raises(InputError, match=r"Argilla.*response"):
        open_preferences([record])


def test_scores_beside_the_label_are_read_by_both_paths(tmp_path: Path) -> None:
    scores = [(4, 2.5), (1, 3), (None, 2), (float("nan"), 1), (float("inf"), 1), (2.5, None), *[(5, 6)] * 40]
    rows = [
        {"prompt": f"q{i}", "chosen": "a", "rejected": "b", "score_chosen": one, "score_rejected": two}
        for i, (one, two) in enumerate(scores)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    wanted = [(4.0, 2.5), (1.0, 3.0), (None, 2.0), (None, 1.0), (None, 1.0), (2.5, None), *[(5.0, 6.0)] * 40]
    for data in (rows, path):
        for fast in (True, False):
            opened = open_preferences(data)
            opened._fast = fast
            read = [row for block in opened.blocks() for row in block.to_pylist()]
            assert [(row["chosen_score"], row["rejected_score"]) for row in read] == wanted
    assert opened.columns["scores"] == ("score_chosen", "score_rejected")


@pytest.mark.parametrize(("value", "score"), [("high", None), (True, None), (10**400, None), ("4", 4.0)])
def test_what_is_no_number_is_no_score(value: Any, score: float | None) -> None:
    numbers = [{"prompt": f"q{i}", "chosen": "a", "rejected": "b"} for i in range(40)]
    rows = [row | {"chosen_score": 4.5, "rejected_score": 1.5} for row in numbers]
    rows[3]["rejected_score"] = value
    read = [row for block in open_preferences(rows).blocks() for row in block.to_pylist()]
    assert [row["rejected_score"] for row in read] == [1.5, 1.5, 1.5, score, *([1.5] * 36)]


def test_scores_of_a_text_file_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = ["q,a,b,4,2.5", "r,c,d,3,3.0", "s,e,f,,1", *(f"q{i},a,b,1,2" for i in range(40))]
    path.write_text(
        "\n".join(["prompt,chosen,rejected,chosen_score,rejected_score", *lines]), encoding="utf-8"
    )
    opened = open_preferences(path)
    read = [row for block in opened.blocks() for row in block.to_pylist()]
    scores = [(row["chosen_score"], row["rejected_score"]) for row in read]
    assert scores == [(4.0, 2.5), (None, 1.0), *[(1.0, 2.0)] * 40]
    assert opened.defects == {"tie": [2]}


@pytest.mark.parametrize("suggested", [False, True])
def test_argilla_tables_with_a_column_for_each_question(suggested: bool) -> None:
    """As `records.to_datasets()` of Argilla 2 gives them: the answers of a question are a list of votes."""
    votes = [
        ["response_2"],
        ["response_2", "response_1", "response_2"],
        ["response_1"],
        ["response_1", "response_2"],
        None,
    ]
    rows = [
        {
            "id": f"{n}",
            "status": "completed",
            "prompt": f"Ask {n}?",
            "response_1": f"one {n}",
            "response_2": f"two {n}",
            "quality.responses": [5],
            "preference.responses": answers,
            "preference.responses.users": answers and ["u"] * len(answers),
            "preference.responses.status": answers and ["submitted"] * len(answers),
            "preference.suggestion": "response_1" if suggested else None,
        }
        for n, answers in enumerate(votes)
    ]
    data = open_preferences(rows)
    found = [(row["chosen"], row["rejected"]) for row in read(data)]
    assert found[:3] == [("two 0", "one 0"), ("two 1", "one 1"), ("one 2", "two 2")]
    assert found[3:] == ([("one 4", "two 4")] if suggested else [])
    assert data.defects == {"tie": [4]} | ({} if suggested else {"no preference": [5]})
    assert "preference.responses" in data.columns["preference"]


def test_a_hint_never_takes_an_identifier_for_a_response() -> None:
    rows = [
        {"id": f"{n}", "prompt": f"{n}?", "url": "u", "text_x": f"a {n}", "text_y": f"b {n}", "how": [1]}
        for n in range(9)
    ]
    with pytest.raises(InputError, match="chosen=text_x,rejected=text_y"):
        open_preferences(rows)

"""Ids: content-addressed, the same on every machine and in every version that reads the same ledger."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.records import Decoding, Prompt, Request, Response, digest, given_response
from backfire.store import Ledger

DECODING = Decoding(max_new_tokens=64, temperature=0.5, top_p=0.9)
PROMPT = Prompt.of("How do I clean a brass lamp?")
REQUEST = Request(PROMPT, "m" * 32, "t" * 32, DECODING, 7, 3)
RESPONSE = Response(
    REQUEST.id, PROMPT.id, REQUEST.model_id, "self", "With vinegar.", "eos", 4, DECODING, 7, 3
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_ids_are_those_of_the_ledgers_that_exist() -> None:
    # Whoever changes one of these makes every stored response strange to its own request: raise ledger.LAYOUT then.
    assert digest("a", {"b": 1, "a": [1.5, None, True, "\u00e9"]}) == "51e0fe6cbad5b70baaf5f60ecc82790b"
    assert PROMPT.id == "f5c6cf0997821308449926e136c683b0"
    assert REQUEST.id == "171e9a383ef40943e13b9fa5cfa1a538"
    assert RESPONSE.id == "251a93e7208623a0e82f4efe0225cdf0"
    assert given_response(PROMPT, "human", "With soap.").id == "6d52e6e9fb31e1208a8e926ed4597dc9"


def test_ids_do_not_depend_on_the_process() -> None:
    code = "from backfire.records import Prompt; print(Prompt.of('How do I clean a brass lamp?').id)"
    for hash_seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == PROMPT.id, done.stderr


@given(anything, anything)
def test_a_digest_is_a_function_of_content(left: object, right: object) -> None:
    import json

    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (digest(left) == digest(right)) == same


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_is_no_content(value: dict[str, int]) -> None:
    assert digest(value) == digest(dict(reversed(list(value.items()))))


@given(st.text(), st.text())
def test_parts_do_not_run_together(left: str, right: str) -> None:
    assert digest(left, right) != digest(left + right)
    assert digest(left, right) == digest(left, right)


def test_a_lone_surrogate_has_a_digest() -> None:
    assert digest("\ud800") != digest("?")


@given(st.text(), st.sampled_from(["harmful", "benign", None]), st.dictionaries(st.text(), st.text()))
def test_a_prompt_keeps_its_id_when_it_is_relabelled(text: str, kind: object, tags: dict[str, str]) -> None:
    labelled = Prompt.of(text, kind=kind, tags=tags)  # type: ignore[arg-type]
    assert labelled.id == Prompt.of(text).id


def test_a_prompt_is_its_turns_and_their_roles() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    whole = Prompt.of_messages(turns)
    assert whole.as_messages() == turns
    assert whole.text == "c"
    others = [turns[2:], turns[::-1], [turns[0] | {"role": "system"}, *turns[1:]], [turns[0], turns[2]]]
    assert len({whole.id, *(Prompt.of_messages(other).id for other in others)}) == 5


def test_every_circumstance_of_a_request_is_in_its_id() -> None:
    changed = {
        "prompt": Prompt.of("another"),
        "model_id": "x",
        "template_digest": "x",
        "decoding": replace(DECODING, top_k=5),
        "seed": 8,
        "index": 4,
    }
    assert set(changed) == {field.name for field in fields(Request)}
    ids = {replace(REQUEST, **{name: value}).id for name, value in changed.items()}  # type: ignore[arg-type]
    assert len(ids | {REQUEST.id}) == len(changed) + 1


@pytest.mark.parametrize("field", [field.name for field in fields(Decoding)])
def test_every_setting_of_decoding_is_in_the_request_id(field: str) -> None:
    other = replace(DECODING, **{field: getattr(DECODING, field) + 1})
    assert replace(REQUEST, decoding=other).id != REQUEST.id


def test_whole_numbers_are_the_same_decoding_however_they_are_written() -> None:
    plain, pointed = Decoding(temperature=1, top_p=1), Decoding(temperature=1.0, top_p=1.0)
    assert replace(REQUEST, decoding=plain).id == replace(REQUEST, decoding=pointed).id
    assert Decoding(temperature=0).greedy


def test_a_response_is_known_by_what_was_answered_not_by_who_is_named() -> None:
    assert replace(RESPONSE, source="another name").id == RESPONSE.id
    assert (
        len({RESPONSE.id, replace(RESPONSE, text="No.").id, replace(RESPONSE, stop_reason="length").id}) == 3
    )
    assert replace(RESPONSE, stop_reason="length").truncated
    assert not RESPONSE.truncated


def test_given_responses_differ_by_who_wrote_them() -> None:
    of = [given_response(PROMPT, source, text) for source in ("human", "gpt4o") for text in ("a", "b")]
    assert len({response.request_id for response in of}) == 4
    assert of[0] == given_response(PROMPT, "human", "a")
    assert given_response(PROMPT, "human", "a", index=1).request_id != of[0].request_id


def test_tools_and_tool_calls_are_part_of_a_prompt_and_survive_the_ledger(tmp_path: Path) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "time", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "noon"},
    ]
    tools = '[{"name":"time"}]'
    prompt = Prompt.of_messages(turns, tools=tools)
    assert prompt.as_messages()[1] == {"role": "assistant", "content": "", "tool_calls": [call]}
    assert prompt.as_messages()[2]["tool_call_id"] == "a"
    assert prompt.template_arguments() == {"tools": [{"name": "time"}]}
    without = Prompt.of_messages([{k: v for k, v in turn.items() if k != "tool_calls"} for turn in turns])
    assert len({prompt.id, Prompt.of_messages(turns).id, without.id}) == 3
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.put_prompts([prompt])
        assert ledger.prompts() == {prompt.id: prompt}

"""Layouts of one tool each: OpenAI's preferences, ms-swift's, and what Label Studio and Argilla export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backfire.errors import InputError
from backfire.preferences.cells import cell, prompt_of_value, side_of_value, text_of, with_system
from backfire.preferences.choices import Votes, counted_votes, most_voted, rule_of
from backfire.preferences.columns import PROMPTS, TWO_RESPONSES, first_pair
from backfire.preferences.look import Look
from backfire.preferences.plan import Plan, Recognised
from backfire.preferences.schema import Unusable
from backfire.preferences.single_responses import last_answer
from backfire.preferences.splitting import Sides, split
from backfire.preferences.turns import Turn, turns_of
from backfire.tables.columns import by_name


def find_openai(look: Look) -> Recognised | None:
    chosen, rejected = look.column("preferred_output"), look.column("non_preferred_output")
    if not chosen or not rejected or "input" not in look.named:
        return None
    return Recognised(
        "OpenAI preferences", {"prompt": look.named["input"], "chosen": chosen, "rejected": rejected}
    )


def read_openai(row: Mapping[str, Any], plan: Plan) -> Sides:
    """`input.messages` is the prompt; what both outputs repeat of it is no part of them.

    Raises:
        Unusable: what makes the row no pair.
    """
    question = cell(row, plan, "prompt")
    if question is None:
        raise Unusable("no prompt")
    messages = question.get("messages") if isinstance(question, Mapping) else question
    sides = [cell(row, plan, side) for side in ("chosen", "rejected")]
    if None in sides:
        raise Unusable("missing side")
    return split(prompt_of_value(messages, None), *map(side_of_value, sides))


def openai_tools(row: Mapping[str, Any], plan: Plan) -> Any:
    """The tools inside of `input`."""
    question = cell(row, plan, "prompt")
    return question.get("tools") if isinstance(question, Mapping) else None


def find_swift(look: Look) -> Recognised | None:
    rejected = look.column("rejected_response", "rejected_messages") or (
        None if "chosen" in look.named else look.column("rejected")
    )
    messages = look.column("messages", "conversations")
    if rejected is None or messages is None or look.asked.keys() & {"chosen", "rejected", "preference"}:
        return None
    if "chosen_messages" in look.named or "chosen_response" in look.named:
        return None
    if not look.mostly(messages, lambda value: isinstance(value, list)):
        return None
    names = {"conversation": messages, "rejected": rejected}
    system = look.column("system", "system_prompt")
    return Recognised("messages and a rejected response", names | ({"system": system} if system else {}))


def read_swift(row: Mapping[str, Any], plan: Plan) -> Sides:
    """The last answer of `messages` is chosen; the rejected one is a text, or messages, with or without the prompt's.

    Raises:
        Unusable: what makes the row no pair.
    """
    messages, rejected = cell(row, plan, "conversation"), cell(row, plan, "rejected")
    if messages is None or rejected is None:
        raise Unusable("missing side")
    turns = with_system(text_of(cell(row, plan, "system")), turns_of(messages))
    prompt, chosen = last_answer(turns)
    other = side_of_value(rejected)
    return split(prompt, chosen, other)


def find_label_studio(look: Look) -> Recognised | None:
    """Label Studio's JSON export of pairwise comparisons.

    Raises:
        InputError: it is Label Studio's, and of another kind.
    """
    annotations, data = look.column("annotations", "completions"), look.column("data")
    if not annotations or not data:
        return None
    held = [value for value in look.values(data) if isinstance(value, Mapping)]
    if not held or not all("result" in one for value in look.values(annotations) for one in _mappings(value)):
        return None
    named = by_name(dict.fromkeys(str(key) for value in held for key in value))
    pair = first_pair(named, TWO_RESPONSES)
    prompt = next((named[name] for name in PROMPTS if name in named), None)
    if pair is None or prompt is None:
        raise InputError(
            f"this is Label Studio's export, and its `data` holds {', '.join(named) or 'nothing'}: a prompt and two responses"
            " are needed. Fix: label with the template for pairwise comparisons, whose `data` has prompt, answer1 and"
            " answer2, and export it as JSON (not JSON-MIN or CSV)"
        )
    names = {"record": data, "annotations": annotations}
    fields = {"prompt": prompt, "first": pair[0], "second": pair[1]}
    return Recognised("Label Studio export", names, inner=fields)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def read_label_studio(row: Mapping[str, Any], plan: Plan) -> tuple[Sides, Votes]:
    """What most annotators selected, and how many selected either.

    Raises:
        Unusable: tie, where as many selected either; no preference without an annotation; and what makes it no pair
            besides.
    """
    fields = plan.inner
    data = cell(row, plan, "record")
    if not isinstance(data, Mapping):
        raise Unusable("wrong type")
    values = [
        _selected(result.get("value"))
        for annotation in _mappings(cell(row, plan, "annotations"))
        if not annotation.get("was_cancelled")
        for result in _mappings(annotation.get("result"))
    ]
    return _decided(data, fields, counted_votes(values, "words", fields))


def _selected(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return None
    answer = next((value[key] for key in ("selected", "choices", "text", "rating") if key in value), None)
    return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer


def _decided(data: Mapping[str, Any], fields: Mapping[str, str], votes: Votes) -> tuple[Sides, Votes]:
    swapped = most_voted(votes)
    first, second = (side_of_value(data.get(fields[part])) for part in ("first", "second"))
    prompt: list[Turn] = prompt_of_value(data.get(fields["prompt"]), None)
    sides = split(prompt, *((second, first) if swapped else (first, second)))
    return sides, votes.turned if swapped else votes


ARGILLA = (
    "this is an export of Argilla's records, and {}. Fix: export the records of a dataset with a field for the prompt, one"
    " for each of two responses, and a question that says which one is preferred (`rg.Dataset.records.to_json`), or make"
    " prompt, chosen and rejected of it first"
)


def find_argilla(look: Look) -> Recognised | None:
    """Argilla's records with `fields`, and `responses` or `suggestions`.

    Raises:
        InputError: they hold no comparison of two responses.
    """
    fields, answers = (
        look.column("fields"),
        [look.named[n] for n in ("responses", "suggestions") if n in look.named],
    )
    if not fields or not answers or not look.mostly(fields, lambda value: isinstance(value, Mapping)):
        return None
    named = by_name(dict.fromkeys(str(key) for value in look.values(fields) for key in value))
    pair = first_pair(named, (*TWO_RESPONSES, ("chosen", "rejected")))
    prompt = next((named[name] for name in PROMPTS if name in named), None)
    if pair is None or prompt is None:
        raise InputError(
            ARGILLA.format(f"its fields are {', '.join(named)}, of which no two are known as responses")
        )
    parts = {"prompt": prompt, "first": pair[0], "second": pair[1]}
    answered: dict[str, list[Any]] = {}
    for row in look.rows:
        for question, values in _answers([row.get(name) for name in answers]).items():
            answered.setdefault(question, []).extend(values)
    rules = {question: rule_of(question, values, parts) for question, values in answered.items()}
    asking = next((name for name, rule in rules.items() if rule), None)
    if asking is None:
        raise InputError(
            ARGILLA.format(f"no question says which is preferred (there is {', '.join(answered) or 'none'})")
        )
    names = {"record": fields} | dict(zip(("answers", "suggestions"), answers, strict=False))
    note = f"The preference is the answer to Argilla's question `{asking}`."
    return Recognised(
        "Argilla records", names, str(rules[asking]), (note,), inner=parts | {"question": asking}
    )


def _answers(held: list[Any]) -> dict[str, list[Any]]:
    """Question to the values that were answered, of `responses` and `suggestions`; submitted responses come first."""
    answered: dict[str, list[Any]] = {}
    for value in held:
        if isinstance(value, Mapping):
            for question, answers in value.items():
                for one in answers if isinstance(answers, list) else [answers]:
                    answer = one.get("value") if isinstance(one, Mapping) else one
                    if answer is not None and not (
                        isinstance(one, Mapping) and one.get("status") in ("draft", "discarded")
                    ):
                        answered.setdefault(str(question), []).append(answer)
        elif isinstance(value, list):
            for one in _mappings(value):
                values = one.get("values", {one.get("question_name", "question"): one})
                for question, answer in _answers([values]).items():
                    answered.setdefault(question, []).extend(answer)
        if answered:
            return answered
    return answered


def read_argilla(row: Mapping[str, Any], plan: Plan) -> tuple[Sides, Votes]:
    """What most annotators answered, or what was suggested where none did; and how many said so.

    Raises:
        Unusable: as `read_label_studio`.
    """
    fields = plan.inner
    data = cell(row, plan, "record")
    if not isinstance(data, Mapping):
        raise Unusable("wrong type")
    answers = _answers([cell(row, plan, part) for part in ("answers", "suggestions")]).get(
        fields["question"], []
    )
    return _decided(data, fields, counted_votes(answers, plan.rule, fields))

"""Every form of preference data: what it is, and two lines of an example. docs/data.md shows these, and a test reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from backfire.preferences.schema import Format


class Form(NamedTuple):
    """One form, for its readers."""

    about: str
    """Who writes it, how it is recognised, and what is read."""
    example: tuple[str, str]
    """Two rows, as JSON."""
    left_out: str = ""
    """Rows that give no pair, beside those that do not in any form."""


FORMS: Mapping[Format, Form] = {
    "TRL standard, explicit prompt": Form(
        "A request, and two responses in text. Argilla's `instruction`, `chosen_response`, `rejected_response` and"
        " StackExchange's `question`, `response_j`, `response_k` are the same.",
        (
            '{"prompt": "Name a river.", "chosen": "The Rhine.", "rejected": "A stone."}',
            '{"prompt": "Name a bird.", "chosen": "The wren.", "rejected": "A shoe."}',
        ),
    ),
    "TRL standard, implicit prompt": Form(
        "Two texts that begin alike, and no column with the request: what both begin with is the prompt, up to a space. It is"
        " taken for this only when nearly all rows share two words or more; otherwise it is an error that says that the rows"
        " have no prompt.",
        (
            '{"chosen": "A river is named the Rhine.", "rejected": "A river is named stone."}',
            '{"chosen": "A bird is named the wren.", "rejected": "A bird is named shoe."}',
        ),
        "rows whose sides do not begin alike (no prompt)",
    ),
    "TRL conversational, explicit prompt": Form(
        "The same in lists of messages. A side may hold calls of tools and their results, which are kept.",
        (
            '{"prompt": [{"role": "user", "content": "Name a river."}], "chosen": [{"role": "assistant", "content":'
            ' "The Rhine."}], "rejected": [{"role": "assistant", "content": "A stone."}]}',
            '{"prompt": [{"role": "user", "content": "Name a bird."}], "chosen": [{"role": "assistant", "content":'
            ' "The wren."}], "rejected": [{"role": "assistant", "content": "A shoe."}]}',
        ),
        "sides that do not end with the assistant's turn; sides that go on with the user's (differing prompts)",
    ),
    "TRL conversational, implicit prompt": Form(
        "Both sides tell the whole conversation; the turns that both begin with are the prompt.",
        (
            '{"chosen": [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "The Rhine."}],'
            ' "rejected": [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "A stone."}]}',
            '{"chosen": [{"role": "user", "content": "Name a bird."}, {"role": "assistant", "content": "The wren."}],'
            ' "rejected": [{"role": "user", "content": "Name a bird."}, {"role": "assistant", "content": "A shoe."}]}',
        ),
        "sides whose earlier turns differ (differing prompts)",
    ),
    "prompt beside whole conversations": Form(
        "UltraFeedback-binarized's: a prompt, as text or messages, and sides that repeat it. No turn that both sides repeat is"
        " part of a response, and no earlier answer is.",
        (
            '{"prompt": "Name a river.", "chosen": [{"role": "user", "content": "Name a river."}, {"role": "assistant",'
            ' "content": "The Rhine."}], "rejected": [{"role": "user", "content": "Name a river."}, {"role": "assistant",'
            ' "content": "A stone."}]}',
            '{"prompt": "Name a bird.", "chosen": [{"role": "user", "content": "Name a bird."}, {"role": "assistant",'
            ' "content": "The wren."}], "rejected": [{"role": "user", "content": "Name a bird."}, {"role": "assistant",'
            ' "content": "A shoe."}]}',
        ),
        "sides whose earlier turns differ (differing prompts)",
    ),
    "Anthropic HH transcripts": Form(
        "Whole conversations in text, each turn after a blank line and `Human:` or `Assistant:`.",
        (
            '{"chosen": "\\n\\nHuman: Name a river.\\n\\nAssistant: The Rhine.", "rejected": "\\n\\nHuman: Name a'
            ' river.\\n\\nAssistant: A stone."}',
            '{"chosen": "\\n\\nHuman: Name a bird.\\n\\nAssistant: The wren.", "rejected": "\\n\\nHuman: Name a'
            ' bird.\\n\\nAssistant: A shoe."}',
        ),
        "transcripts whose earlier turns differ (differing prompts); text that does not begin with a turn (wrong type)",
    ),
    "chats rendered as text": Form(
        "The same in the marks of a chat template (ChatML, Llama 2, 3 and 4, Gemma, Zephyr, DeepSeek, Command R, OpenChat,"
        " Harmony, Vicuna, and NeMo with its line of attributes) or of Alpaca. Marks are recognised by a "
        "column: nearly all rows have them, or they are text.",
        (
            '{"chosen": "<|im_start|>user\\nName a river.<|im_end|>\\n<|im_start|>assistant\\nThe Rhine.<|im_end|>",'
            ' "rejected": "<|im_start|>user\\nName a river.<|im_end|>\\n<|im_start|>assistant\\nA stone.<|im_end|>"}',
            '{"chosen": "<|im_start|>user\\nName a bird.<|im_end|>\\n<|im_start|>assistant\\nThe wren.<|im_end|>",'
            ' "rejected": "<|im_start|>user\\nName a bird.<|im_end|>\\n<|im_start|>assistant\\nA shoe.<|im_end|>"}',
        ),
        "text without the marks (wrong type)",
    ),
    "system turn beside plain text": Form(
        "Orca's: a column `system` whose text, where there is any, is a system turn before the request. In every other form, it"
        " is read likewise.",
        (
            '{"system": "Be brief.", "question": "Name a river.", "chosen": "The Rhine.", "rejected": "A stone."}',
            '{"system": "", "question": "Name a bird.", "chosen": "The wren.", "rejected": "A shoe."}',
        ),
        "rows whose `status` is `tie`, as Argilla writes it (tie)",
    ),
    "instruction, input and history": Form(
        "LLaMA-Factory's Alpaca form: `input` stands below the instruction, and `history` holds earlier exchanges. Of two"
        " columns with requests, one that is the same in all rows is read as an instruction before the other.",
        (
            '{"instruction": "Name one.", "input": "A river.", "history": [["Hello.", "Good day."]], "chosen": "The Rhine.",'
            ' "rejected": "A stone."}',
            '{"instruction": "Say one.", "input": "A bird.", "history": [], "chosen": "The wren.", "rejected": "A shoe."}',
        ),
    ),
    "instruction and a list of two outputs": Form(
        "LLaMA-Factory's older form: the first of two outputs is the preferred one.",
        (
            '{"instruction": "Name a river.", "input": "", "output": ["The Rhine.", "A stone."]}',
            '{"instruction": "Name a bird.", "input": "", "output": ["The wren.", "A shoe."]}',
        ),
        "lists of more than two (wrong type) or fewer (missing side)",
    ),
    "conversations and single turns": Form(
        "LLaMA-Factory's ShareGPT form: the turns so far in `conversations` or `messages`, and one message, or its text, for"
        " each side.",
        (
            '{"conversations": [{"from": "human", "value": "Name a river."}], "chosen": {"from": "gpt", "value":'
            ' "The Rhine."}, "rejected": {"from": "gpt", "value": "A stone."}}',
            '{"conversations": [{"from": "human", "value": "Name a bird."}], "chosen": {"from": "gpt", "value":'
            ' "The wren."}, "rejected": {"from": "gpt", "value": "A shoe."}}',
        ),
    ),
    "OpenAI preferences": Form(
        "OpenAI's fine-tuning format; the tools in `input` are kept.",
        (
            '{"input": {"messages": [{"role": "user", "content": "Name a river."}], "tools": []}, "preferred_output": [{"role":'
            ' "assistant", "content": "The Rhine."}], "non_preferred_output": [{"role": "assistant", "content": "A stone."}]}',
            '{"input": {"messages": [{"role": "user", "content": "Name a bird."}], "tools": []}, "preferred_output": [{"role":'
            ' "assistant", "content": "The wren."}], "non_preferred_output": [{"role": "assistant", "content": "A shoe."}]}',
        ),
    ),
    "messages and a rejected response": Form(
        "ms-swift's: the last answer in `messages` is chosen, and `rejected_response` (text or messages) or"
        " `rejected_messages` stands against it.",
        (
            '{"messages": [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "The Rhine."}],'
            ' "rejected_response": "A stone."}',
            '{"messages": [{"role": "user", "content": "Name a bird."}, {"role": "assistant", "content": "The wren."}],'
            ' "rejected_response": "A shoe."}',
        ),
        "messages that do not end with the assistant's turn",
    ),
    "two responses and the preferred one": Form(
        "PKU-SafeRLHF (`response_0/1`, `safer_response_id` before `better_response_id`), SHP (`history`, `human_ref_A/B`,"
        " `labels`: 1 is A), WebGPT (`answer_0/1`, `score_0/1`), HelpSteer2 and 3 (`response_1/2`, a signed"
        " `preference_strength` or `overall_preference`: negative is the first), battles of the Chatbot Arena"
        " (`conversation_a/b` or `response_a/b`, `winner` or `winner_model_a/b`), AlpacaFarm (`output_1/2`, `preference`: 1 or"
        " 2). The preference may be a number, a word (A, left, first, model_a), a column's name, true or false; what it stands"
        " for is said. In tables of Argilla, what most annotators answered counts (`QUESTION.responses`), or else"
        " `QUESTION.suggestion`. `--columns first=NAME,second=NAME,preference=NAME` reads any other two columns so.",
        (
            '{"prompt": "Name a river.", "response_1": "A stone.", "response_2": "The Rhine.", "preference_strength": 2}',
            '{"prompt": "Name a bird.", "response_1": "The wren.", "response_2": "A shoe.", "preference_strength": -1}',
        ),
        "ties (0, `tie`, `tie (bothbad)`, equal scores); other values (no preference)",
    ),
    "ranked responses, best against worst": Form(
        "Several responses with ranks (the smaller, the better) or scores (the larger, the better): Nectar (`answers`), NeMo-RL"
        " (`context`, `completions`), UltraFeedback (`completions` with `overall_score`), distilabel (`generations`,"
        " `ratings`), `responses` beside `scores`, StackExchange's `answers` with `pm_score`, Gemini's "
        "`completions` with `score`. The best is chosen, the worst rejected. A column may also say which one of "
        "the list is meant: `choice`, `preference` or"
        " `chosen_index` for lists of two, or both `chosen_index` and `rejected_index`.",
        (
            '{"prompt": "Name a river.", "answers": [{"answer": "The Rhine.", "model": "a", "rank": 1}, {"answer": "A stone.",'
            ' "model": "b", "rank": 3}, {"answer": "Water.", "model": "c", "rank": 2}]}',
            '{"prompt": "Name a bird.", "answers": [{"answer": "A shoe.", "model": "a", "rank": 2}, {"answer": "The wren.",'
            ' "model": "b", "rank": 1}]}',
        ),
        "rows whose responses are all equal (tie); fewer than two responses (missing side), or fewer than two "
        "with a number (no preference)",
    ),
    "ranked responses, best against each other": Form(
        "The same with `--ranked best-rest`: the best against each that is worse, so that a row gives several pairs.",
        (
            '{"instruction": "Name a river.", "generations": ["The Rhine.", "A stone.", "Water."], "ratings": [5, 1, 3]}',
            '{"instruction": "Name a bird.", "generations": ["A shoe.", "The wren."], "ratings": [1, 4]}',
        ),
        "as above; responses as good as the best give no pair",
    ),
    "completions with labels": Form(
        "KTO's: one response a row, and whether it is desirable (true or false, 1 or 0, `desirable`, `good`, `thumbs up` and"
        " their opposites; LLaMA-Factory's `kto_tag`). The response may also be the last turn of `messages`. Within a prompt,"
        " the first desirable one is paired with the first undesirable one, and so on.",
        (
            '{"prompt": "Name a river.", "completion": "The Rhine.", "label": true}',
            '{"prompt": "Name a river.", "completion": "A stone.", "label": false}',
        ),
        "responses without a partner (unpaired); labels that say neither (no preference)",
    ),
    "completions with scores": Form(
        "One response a row with a score (OpenRLHF's `reward`, HelpSteer's `helpfulness`), several rows for a prompt: the best"
        " against the worst, or with `--ranked best-rest` against each that is worse.",
        (
            '{"input": "Name a river.", "output": "The Rhine.", "reward": 1.2}',
            '{"input": "Name a river.", "output": "A stone.", "reward": -0.4}',
        ),
        "prompts with one response (unpaired) or with equal scores only (tie); those in between (neither best nor worst)",
    ),
    "Label Studio export": Form(
        "The JSON export of pairwise comparisons: `data` with a prompt and two responses, and what most annotators selected.",
        (
            '{"data": {"prompt": "Name a river.", "answer1": "A stone.", "answer2": "The Rhine."}, "annotations": [{"result":'
            ' [{"type": "pairwise", "value": {"selected": "right"}}]}]}',
            '{"data": {"prompt": "Name a bird.", "answer1": "The wren.", "answer2": "A shoe."}, "annotations": [{"result":'
            ' [{"type": "pairwise", "value": {"selected": "left"}}]}]}',
        ),
        "rows that nobody annotated (no preference), or with as many votes for either (tie)",
    ),
    "Argilla records": Form(
        "Records with `fields` (a prompt and two responses) and `responses` or `suggestions` to a question that says which is"
        " preferred. Other exports of Argilla are an error that names what to export.",
        (
            '{"fields": {"prompt": "Name a river.", "response_1": "A stone.", "response_2": "The Rhine."}, "responses":'
            ' {"preference": [{"value": "response_2", "user_id": "x"}]}}',
            '{"fields": {"prompt": "Name a bird.", "response_1": "The wren.", "response_2": "A shoe."}, "responses":'
            ' {"preference": [{"value": "response_1", "user_id": "x"}]}}',
        ),
        "records that nobody answered (no preference), or with as many votes for either (tie)",
    ),
}


def layouts() -> str:
    """The forms as a part of a page in Markdown."""
    sections = []
    for name, form in FORMS.items():
        lines = [f"### {name}", "", form.about, "", "```json", *form.example, "```"]
        lines += ["", f"Left out: {form.left_out}."] if form.left_out else []
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"

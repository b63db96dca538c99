"""As trained, in words: what each happening is, and what it means for the model that is trained."""

from __future__ import annotations

from backfire.report.audit_words import shown_rows
from backfire.report.numerals import percent
from backfire.report.trained_answer import AsTrained, Happening

MOST_ROWS = 5

MEANINGS = {
    "end-token": "a side has no end token, or more of them than turns",
    "end-missing": "no end token closes a side",
    "end-doubled": "a side has more end tokens than turns",
    "bos-doubled": "the beginning-of-sequence token stands twice",
    "bos-missing": "the beginning-of-sequence token that the tokenizer puts before every text is missing",
    "cut-sides": "max_length cuts the end of a side",
    "full-prompts": "the prompt alone fills max_length, so that nothing of either side is left",
    "merged-boundary": "the last token of the prompt merges with the first of a side",
    "system-lost": "the template leaves the system turn out",
    "inside-thought": "a side stays inside the thought that the generation prompt opens",
    "template-losses": "the template refuses or changes something else of the pair",
    "refused": "the template refuses the pair",
    "turn-lost": "the template leaves a turn out",
    "tools-lost": "the template leaves a tool out",
    "tool-calls-lost": "the template leaves a call of a tool out",
    "prompt-rewritten": "the template writes the prompt otherwise once a response follows",
    "reasoning-lost": "the template leaves the reasoning of a response out",
    "response-changed": "the template writes a response otherwise than it stands in the data",
}
"""Every happening by its name."""

UNIONS = ("end-token", "template-losses")
"""Names that sum up others: no sentence of their own."""

CONSEQUENCES = {
    "end-missing": "The model is not taught to stop there: give a template that closes the assistant's turn with the"
    " tokenizer's end token.",
    "end-doubled": "A response brings an end token of its own, or the template writes two: remove it from the data, or give"
    " another template.",
    "bos-doubled": "Remove the token from the texts, or give a template that leaves it to the tokenizer.",
    "bos-missing": "Sampling begins with it and training does not: give a template that writes it.",
    "cut-sides": "What is cut is not trained on, nor is the end token: raise `--max-length`, or leave long pairs out.",
    "full-prompts": "These pairs are left out of training: raise `--max-length`.",
    "merged-boundary": "Training sees another context there than the model is given when it is asked.",
    "system-lost": "Training ends at them with an error: move its text into the user turn, or give a"
    " template that keeps it.",
    "inside-thought": "What looks like an answer is trained there as a thought, while the policy that is asked begins"
    " every response inside one: write the mark that closes it before each answer, or give a template that opens none.",
    "refused": "Training ends at them with an error: change the turns, or give a template that takes them.",
    "turn-lost": "Training ends at them with an error: give a template that keeps every turn.",
    "tools-lost": "These pairs are left out of training: give a template that renders tools.",
    "tool-calls-lost": "These pairs are left out of training: give a template that renders tool calls.",
    "prompt-rewritten": "Training ends at them with an error: it would see another prompt than sampling.",
    "reasoning-lost": "It is not trained on: give a template that keeps it, if it should be.",
    "response-changed": "What is trained on is what the template writes.",
}


def happening_text(found: Happening, of: int) -> str:
    """`12 of 60 pairs (20.0%; chosen 12, rejected 3; row 1, 7 and 10 more)`."""
    told = [f"{percent(found.pairs / of)}%"] if of else []
    if found.chosen is not None and found.pairs:
        told.append(f"chosen {found.chosen:,}, rejected {found.rejected:,}")
    if found.rows:
        told.append(f"row {shown_rows(found.rows, MOST_ROWS, found.pairs)}")
    return f"{found.pairs:,} of {of:,} pairs ({'; '.join(told)})"


def trained_lines(found: AsTrained) -> list[tuple[str, str]]:
    """What happened to any pair, as (what it is, how often and where)."""
    return [
        (MEANINGS.get(one.name, one.name), happening_text(one, found.pairs))
        for one in found.happened
        if one.pairs and one.name not in UNIONS
    ]


def trained_sentences(found: AsTrained) -> list[str]:
    """A sentence for everything that happened to any pair, with what follows from it."""
    told = []
    if found.refused:
        told.append(f"As trained by {found.policy}: training refuses the chat template. {found.refused}.")
    for one in found.happened:
        if one.pairs and one.name not in UNIONS:
            what = MEANINGS.get(one.name, one.name)
            then = CONSEQUENCES.get(one.name, "")
            told.append(
                f"As trained by {found.policy}, {what} in {happening_text(one, found.pairs)}. {then}".rstrip()
            )
    return told


def rendered_by(found: AsTrained) -> str:
    """How the tokens were made, in one line."""
    how = (
        "texts as they are, without a chat template"
        if found.plain
        else f"chat template {found.template[:12]}"
    )
    limit = (
        "no limit" if found.max_length is None else f"at most {found.max_length:,} tokens of prompt and side"
    )
    return f"{found.policy}; {how}; {limit}; {found.trained:,} of {found.pairs:,} pairs can be trained on"


def tokens_line(found: AsTrained) -> str:
    """`tokens (median, 95%, most): prompt 12, 30, 44; chosen ...`."""
    parts = [
        f"{what} {', '.join(f'{value:,.0f}' for value in quantiles.values())}"
        for what, quantiles in found.tokens.items()
    ]
    return f"tokens (median, 95%, most): {'; '.join(parts)}" if parts else ""

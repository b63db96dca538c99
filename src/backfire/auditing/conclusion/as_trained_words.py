"""What follows from what a template, its tokens and `max_length` make of the pairs: sentences of the conclusion."""

from __future__ import annotations

from backfire.answers.as_trained import MEANINGS, UNIONS, AsTrained
from backfire.answers.phrases import happening_text
from backfire.auditing.settings import AuditSettings
from backfire.settings import option

MAX_LENGTH = f"`{option(AuditSettings, 'max_length')}`"
CONSEQUENCES = {
    "end-missing": "The model is not taught to stop there: give a template that closes the assistant's turn with the"
    " tokenizer's end token.",
    "end-doubled": "A response brings an end token of its own, or the template writes two: remove it from the data, or give"
    " another template.",
    "bos-doubled": "Remove the token from the texts, or give a template that leaves it to the tokenizer.",
    "bos-missing": "Sampling begins with it and training does not: give a template that writes it.",
    "cut-sides": f"What is cut is not trained on, nor is the end token: raise {MAX_LENGTH}, or leave long pairs out.",
    "full-prompts": f"These pairs are left out of training: raise {MAX_LENGTH}.",
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


def trained_sentences(trained: AsTrained) -> list[str]:
    """A sentence for everything that happened to any pair, with what follows from it."""
    sentences = []
    if trained.refused:
        sentences.append(
            f"As trained by {trained.policy}: training refuses the chat template. {trained.refused}."
        )
    for one in trained.happened:
        if one.pairs and one.name not in UNIONS:
            what = MEANINGS.get(one.name, one.name)
            then = CONSEQUENCES.get(one.name, "")
            sentences.append(
                f"As trained by {trained.policy}, {what} in {happening_text(one, trained.pairs)}. {then}".rstrip()
            )
    return sentences

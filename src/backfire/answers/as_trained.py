"""As trained: what the policy's template, its tokens and `max_length` make of the pairs; a part of the audit's schema."""

from __future__ import annotations

from backfire.answers.estimates import Count, Part

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


class Happening(Part):
    """One thing that happens to pairs on their way to tokens."""

    name: str
    """As `--fail-on NAME>SHARE` calls it; `MEANINGS` describes each."""
    pairs: Count
    chosen: Count | None = None
    """Of these, pairs whose chosen side it happens to; left out where it concerns the prompt or the pair."""
    rejected: Count | None = None
    rows: tuple[int, ...] = ()
    """Row numbers from 1; the first 1,000."""


class AsTrained(Part):
    """The token rows that training is handed, over the whole data set."""

    policy: str
    template: str
    """Digest of the chat template; empty where texts are used as they are."""
    plain: bool
    max_length: Count | None
    """Tokens that prompt and side have room for together: what was asked for, or the context where that is shorter."""
    pairs: Count
    """Pairs that were rendered."""
    trained: Count
    """Of these, pairs that training takes: something of the responses is left, and the template refuses nothing."""
    tokens: dict[str, dict[str, float]]
    """Quantiles (50, 95 and 100%) of the tokens of `prompt`, `chosen` and `rejected`, as they are trained on."""
    happened: tuple[Happening, ...]
    """Everything that is looked for, also where it never happened."""
    refused: str | None = None
    """Why training refuses the template altogether."""

    def of(self, name: str) -> Happening | None:
        """The happening of that name."""
        return next((one for one in self.happened if one.name == name), None)

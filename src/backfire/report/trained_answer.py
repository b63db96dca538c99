"""As trained: what the policy's template, its tokens and `max_length` make of the pairs; a part of the audit's schema."""

from __future__ import annotations

from backfire.report.audit_estimates import Count, Part


class Happening(Part):
    """One thing that happens to pairs on their way to tokens."""

    name: str
    """As `--fail-on NAME>SHARE` calls it; `trained_words.MEANINGS` describes each."""
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

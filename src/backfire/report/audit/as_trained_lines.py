"""As trained, in words: what each happening is, and what it means for the model that is trained."""

from __future__ import annotations

from backfire.answers.as_trained import MEANINGS, UNIONS, AsTrained
from backfire.answers.phrases import happening_text


def trained_lines(trained: AsTrained) -> list[tuple[str, str]]:
    """What happened to any pair, as (what it is, how often and where)."""
    return [
        (MEANINGS.get(one.name, one.name), happening_text(one, trained.pairs))
        for one in trained.happened
        if one.pairs and one.name not in UNIONS
    ]


def rendered_by(trained: AsTrained) -> str:
    """How the tokens were made, in one line."""
    how = (
        "texts as they are, without a chat template"
        if trained.plain
        else f"chat template {trained.template[:12]}"
    )
    limit = (
        "no limit"
        if trained.max_length is None
        else f"at most {trained.max_length:,} tokens of prompt and side"
    )
    return (
        f"{trained.policy}; {how}; {limit}; {trained.trained:,} of {trained.pairs:,} pairs can be trained on"
    )


def tokens_line(trained: AsTrained) -> str:
    """`tokens (median, 95%, most): prompt 12, 30, 44; chosen ...`."""
    parts = [
        f"{what} {', '.join(f'{value:,.0f}' for value in quantiles.values())}"
        for what, quantiles in trained.tokens.items()
    ]
    return f"tokens (median, 95%, most): {'; '.join(parts)}" if parts else ""

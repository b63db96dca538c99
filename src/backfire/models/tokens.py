"""What turns pairs into tokens, opened without the weights: a policy's tokenizer, its checked template and its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError, TemplateError, setting
from backfire.models.opening import model_parts, open_configuration, policy_tokenizer
from backfire.models.rendered import RenderedPairs
from backfire.models.rendering import RawText, Renders, render_pairs
from backfire.models.settings import MAX_LENGTH
from backfire.models.template import CheckedTemplate, check_template
from backfire.records import PairBody


@dataclass(frozen=True)
class PolicyTokens:
    """A policy as far as its tokens go."""

    name: str
    """The reference that was opened."""
    tokenizer: Any
    how: Renders
    """The chat template, or raw text."""
    template_digest: str
    """Of the chat template; empty for raw text."""
    context: int | None
    refused: str = ""
    """Why training refuses the template, if it does: pairs are then rendered by it all the same, to be looked at."""

    def limit(self, max_length: int | None) -> int | None:
        """`max_length`, or the context where that is shorter."""
        bounds = [n for n in (max_length, self.context) if n]
        return min(bounds) if bounds else None

    def render(self, pairs: Sequence[PairBody], *, max_length: int | None = MAX_LENGTH) -> RenderedPairs:
        """The token rows of pairs, what the template refuses or loses kept as a pair's fault."""
        return render_pairs(self.how, pairs, max_length=self.limit(max_length), strict=False)


def open_tokens(
    reference: str | Path,
    *,
    chat_template: Path | None = None,
    adapter: Path | None = None,
    plain: bool = False,
) -> PolicyTokens:
    """Open the tokenizer and the template of `organism:NAME`, a checkpoint or adapter folder, a GGUF file, or a
    hub name.

    `plain` takes texts as they are, without a template. Raises ModelError or InputError, and TemplateError where there is no
    chat template at all.
    """
    reference = str(reference)
    if reference.startswith("openai:"):
        raise InputError(
            f"{reference} is an endpoint, whose tokens nobody sees: name a checkpoint folder or a hub name"
        )
    folder, adapter = model_parts(reference, adapter, weights=False)
    tokenizer = policy_tokenizer(folder, adapter, chat_template)
    if tokenizer.eos_token is None:
        raise ModelError(
            f"policy {reference}: the tokenizer has no end token: set eos_token in its configuration"
        )
    configuration, ends = open_configuration(folder)
    context = getattr(configuration.get_text_config(), "max_position_embeddings", None)
    if plain:
        how: Renders = RawText(tokenizer, frozenset({tokenizer.eos_token_id, *ends}))
        return PolicyTokens(reference, tokenizer, how, "", context)
    try:
        checked, refused = check_template(tokenizer, eos_ids=ends), ""
    except TemplateError as error:
        if not isinstance(tokenizer.chat_template, str):
            raise TemplateError(
                f"policy {reference}: {error.marked}; or take texts as they are ({setting('plain')})"
            ) from error
        checked = CheckedTemplate(tokenizer, frozenset({tokenizer.eos_token_id, *ends}), "kept", "")
        refused = str(error)
    return PolicyTokens(reference, tokenizer, checked, checked.digest, context, refused)

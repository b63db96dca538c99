"""What of a ledger enters pairs: the responses of one sampling of a source, and the scores of one reward model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from backfire.errors import InputError, setting

if TYPE_CHECKING:
    from backfire.pairs.recipe import Recipe
    from backfire.pairs.settings import StoredChoice
    from backfire.records import Decoding, Response
    from backfire.store import Ledger

CHOSEN_BY = ("seed", "temperature", "max_new_tokens")
Sampling = tuple[str, "Decoding | None", int | None]
"""Model id, decoding and seed: responses that share them belong together."""


def one_sampling(source: str, responses: Sequence[Response], choice: StoredChoice) -> list[Response]:
    """The responses of one sampling (model, decoding, seed).

    Raises:
        InputError: several are meant, with what each has; or none.
    """
    if len(_samplings(responses)) > 1:
        responses = [one for one in responses if choice.meets(one)]
        if not responses:
            raise InputError(
                f"no response of {source!r} has the seed, decoding and model that the options ask for"
            )
    samplings = _samplings(responses)
    if len(samplings) > 1:
        raise InputError(
            f"{source!r} has responses of {len(samplings)} samplings, which do not belong into one pool: "
            f"{_in_words(samplings)}. Choose by {', '.join(map(setting, CHOSEN_BY))} or "
            f"{setting('model_id')}, or name the {setting('prompts')}"
        )
    return list(responses)


def stored_scores(
    ledger: Ledger, recipe: Recipe, response_ids: Sequence[str], scorer: str | None = None
) -> dict[str, float]:
    """The scores that the recipe ranks by; those that are stored even where it needs none, as provenance.

    Args:
        scorer: the beginning of the id of the reward model whose scores are meant; not needed where only one has scored.

    Raises:
        InputError: no such scorer, or several of which none is named.
    """
    there = ledger.scorers()
    if scorer is not None:
        matching = [name for name in there if name.startswith(scorer)]
        if len(matching) != 1:
            raise InputError(
                f"{setting('scorer')} {scorer} is {'none' if not matching else 'not a single one'} of those in {ledger.path}: "
                f"{', '.join(there) or 'nobody has scored'}"
            )
        return ledger.scores(matching[0], response_ids)
    if len(there) > 1 and recipe.needs_scores:
        raise InputError(
            f"several reward models have scored in {ledger.path} ({', '.join(there)}): "
            f"name one by {setting('reward_model')}, or {setting('scorer')}"
        )
    return ledger.scores(there[0], response_ids) if len(there) == 1 else {}


def _samplings(responses: Iterable[Response]) -> Counter[Sampling]:
    return Counter((one.model_id, one.decoding, one.seed) for one in responses)


def _in_words(samplings: Mapping[Sampling, int]) -> str:
    """How many responses each sampling has, and in what it differs from the others."""
    described = [_described(*sampling) for sampling in samplings]
    names = dict.fromkeys(name for one in described for name in one)
    differing = [name for name in names if len({one.get(name) for one in described}) > 1]
    return "; ".join(
        f"{count} with " + ", ".join(f"{name} {one[name]}" for name in differing if name in one)
        for count, one in zip(samplings.values(), described, strict=True)
    )


def _described(model_id: str, decoding: Decoding | None, seed: int | None) -> dict[str, str]:
    if decoding is None:
        return {"model id": model_id[:8], "no decoding,": "as they were given"}
    each = {name.replace("_", "-"): str(value) for name, value in decoding.as_dict().items()}
    return {"model id": model_id[:8], "seed": str(seed), **each}

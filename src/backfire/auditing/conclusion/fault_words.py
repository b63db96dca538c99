"""Faults of single texts, and labels that look turned round, each in a sentence."""

from __future__ import annotations

from backfire.answers.confounds import Confounds, Counted, ScoreContradiction, SwappedColumns, are_cut
from backfire.answers.estimates import Share
from backfire.auditing.conclusion.count_words import ALPHA, rate, sides


def turned_round(confounds: Confounds) -> list[str]:
    """Sentences on labels that look turned round: these come first."""
    sentences = []
    if confounds.swapped_columns is not None:
        sentences.append(_swapped(confounds.swapped_columns))
    if confounds.score_contradiction is not None and confounds.score_contradiction.pairs.hits:
        sentences.append(_scores(confounds.score_contradiction))
    return sentences


def faulty_texts(confounds: Confounds) -> list[str]:
    """Sentences on cut ends, echoed prompts and personal data."""
    sentences = []
    cut = confounds.cut_ends
    if confounds.truncated is None and cut is not None and are_cut(cut, ALPHA):
        sentences.append(
            f"By their text, {sides(cut)} end in the middle of a sentence, a list or a code block"
            f" ({_uneven(cut)}). No stop reasons are recorded, and a cut-off end is itself a cue."
        )
    if confounds.echoed is not None:
        sentences.append(
            f"The prompt is repeated whole in {sides(confounds.echoed)} ({_uneven(confounds.echoed)})."
        )
    if confounds.personal or confounds.prompt_personal:
        kinds = [f"{one.what} in {sides(one)}" for one in confounds.personal]
        kinds += [f"{one.what} in {rate(one.pairs)} of prompts" for one in confounds.prompt_personal]
        sentences.append(f"There are personal data: {'; '.join(kinds)}. A model can learn to repeat them.")
    return sentences


def _swapped(found: SwappedColumns) -> str:
    shares = (
        f"the chosen response complies and the rejected one refuses in {_band(found.complying)} of"
        f" {found.complying.scored:,} pairs, the other way round in {rate(found.refusing)}"
    )
    if found.prompts == "harmful":
        return (
            f"The columns look the wrong way round: on harmful prompts {shares}. Training on these pairs teaches complying"
            " with harmful requests."
        )
    return (
        f"The columns may be the wrong way round: {shares}. If the prompts are harmful, chosen and rejected are swapped. If"
        " they are benign, the pairs teach not to refuse without need, which is right. No column says which: add a column"
        " `kind`."
    )


def _scores(found: ScoreContradiction) -> str:
    chosen, rejected = found.columns
    text = f"`{rejected}` is above `{chosen}` in {_band(found.pairs)} of {found.pairs.scored:,} pairs whose scores differ"
    if (found.pairs.rate or 0.0) > 0.5:
        return f"{text}: chosen and rejected are swapped, or a lower score is the better one."
    return f"{text}: there the score contradicts the label."


def _uneven(counted: Counted) -> str:
    if counted.p is None:
        return "no p"
    return f"{'the sides differ' if counted.p <= ALPHA else 'the sides do not differ'}, p = {counted.p:.3f}"


def _band(share: Share) -> str:
    return f"{rate(share)} [{share.low or 0:.1%}, {share.high or 0:.1%}]"

"""The paper's own table, to stand beside a study's: arXiv 2504.02193v3, attack success rates on AdvBench."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from backfire.report.study.grid import Grid
from backfire.statistics.rank_correlation import spearman

PAPER = "arXiv 2504.02193"

PAPER_ASR: dict[str, tuple[float, ...]] = {
    # Llama-2-7B, Llama-3.1-8B, Mistral-7B-v0.1, Mistral-7B-v0.3, Qwen2-7B, Qwen2.5-7B
    "original": (0.22, 0.27, 0.04, 0.25, 0.35, 0.41),
    "hc+self": (0.51, 0.64, 0.31, 0.56, 0.69, 0.68),
    "gpt4o+self": (0.53, 0.56, 0.30, 0.30, 0.66, 0.66),
    "stronger+self": (0.47, 0.50, 0.33, 0.33, 0.69, 0.68),
    "peer+rm": (0.39, 0.26, 0.03, 0.17, 0.45, 0.40),
    "all+rm": (0.25, 0.30, 0.04, 0.05, 0.30, 0.39),
    "self+rm": (0.10, 0.16, 0.01, 0.03, 0.27, 0.29),
}

RANKED_BY = {
    "sft": "baseline",
    "original": "people",
    "hc+self": "source",
    "gpt4o+self": "source",
    "stronger+self": "source",
    "peer+rm": "reward model",
    "all+rm": "reward model",
    "self+rm": "reward model",
}
"""What decides which response is chosen, for the paper's recipes; any other recipe is of another kind."""


@dataclass(frozen=True)
class Agreement:
    """How a study orders the paper's recipes under one attack. rho is None where a rate is missing or all tie."""

    attack: str
    order: tuple[str, ...]
    rates: tuple[float, ...]
    rho: float | None
    n: int


def paper_order() -> list[tuple[str, float]]:
    """The paper's recipes from the lowest mean attack success rate to the highest, over its six models."""
    means = {recipe: fmean(rates) for recipe, rates in PAPER_ASR.items()}
    return sorted(means.items(), key=lambda item: item[1])


def agreement(grid: Grid) -> list[Agreement]:
    """One row per attack; none unless all of the paper's seven recipes are in the study."""
    if not set(PAPER_ASR) <= set(grid.recipes):
        return []
    rows = []
    for attack in grid.attacks:
        measured = {recipe: grid.mean_asr(recipe, attack).value for recipe in PAPER_ASR}
        known = {recipe: rate for recipe, rate in measured.items() if rate is not None}
        order = tuple(sorted(known, key=lambda recipe: known[recipe]))
        rates = tuple(known[recipe] for recipe in order)
        rows.append(Agreement(attack, order, rates, _rho(known), len(known)))
    return rows


def _rho(measured: dict[str, float]) -> float | None:
    if len(measured) < len(PAPER_ASR):
        return None
    recipes = sorted(measured)
    return spearman(
        [fmean(PAPER_ASR[recipe]) for recipe in recipes], [measured[recipe] for recipe in recipes]
    )

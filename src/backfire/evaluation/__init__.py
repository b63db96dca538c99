"""Attacks, and general tasks: how a model answers what it should refuse, and what it should not."""

from backfire.evaluation.attack import GREEDY, attack
from backfire.evaluation.attack_suite import NO_BENIGN, attack_suite
from backfire.evaluation.attacks import (
    ATTACKS,
    WRAPPERS,
    Answers,
    Asking,
    Attack,
    Means,
    Rewording,
    Wrapper,
    alpaca,
    build_attack,
    check_means,
    direct,
    open_suite,
    shipped_suites,
    wrap,
)
from backfire.evaluation.general import general
from backfire.evaluation.harness import VllmModel, open_vllm
from backfire.evaluation.prompt_sets import PromptSet, is_prompt_set, open_prompt_set, prompt_sets
from backfire.evaluation.prompts import open_prompts
from backfire.evaluation.task_files import LEADERBOARD, organism_tasks

__all__ = [
    "ATTACKS",
    "GREEDY",
    "LEADERBOARD",
    "NO_BENIGN",
    "WRAPPERS",
    "Answers",
    "Asking",
    "Attack",
    "Means",
    "PromptSet",
    "Rewording",
    "VllmModel",
    "Wrapper",
    "alpaca",
    "attack",
    "attack_suite",
    "build_attack",
    "check_means",
    "direct",
    "general",
    "is_prompt_set",
    "open_prompt_set",
    "open_prompts",
    "open_suite",
    "open_vllm",
    "organism_tasks",
    "prompt_sets",
    "shipped_suites",
    "wrap",
]

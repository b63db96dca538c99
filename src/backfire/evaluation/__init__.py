"""Attacks, and general tasks: how a model answers what it should refuse, and what it should not."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.evaluation.attacking import GREEDY, attack
    from backfire.evaluation.attacking_suites import NO_BENIGN, attack_suite
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
    from backfire.evaluation.general_tasks import general
    from backfire.evaluation.harness import VllmModel, open_vllm
    from backfire.evaluation.prompts import open_prompts
    from backfire.evaluation.published_prompts import PromptSet, is_prompt_set, open_prompt_set, prompt_sets
    from backfire.evaluation.settings import GeneralSettings
    from backfire.evaluation.task_files import LEADERBOARD, organism_tasks
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attacking": (
                "GREEDY",
                "attack",
            ),
            "attacking_suites": (
                "NO_BENIGN",
                "attack_suite",
            ),
            "attacks": (
                "ATTACKS",
                "WRAPPERS",
                "Answers",
                "Asking",
                "Attack",
                "Means",
                "Rewording",
                "Wrapper",
                "alpaca",
                "build_attack",
                "check_means",
                "direct",
                "open_suite",
                "shipped_suites",
                "wrap",
            ),
            "general_tasks": ("general",),
            "harness": (
                "VllmModel",
                "open_vllm",
            ),
            "prompts": ("open_prompts",),
            "published_prompts": (
                "PromptSet",
                "is_prompt_set",
                "open_prompt_set",
                "prompt_sets",
            ),
            "settings": ("GeneralSettings",),
            "task_files": (
                "LEADERBOARD",
                "organism_tasks",
            ),
        },
    )

__all__ = [
    "ATTACKS",
    "GREEDY",
    "LEADERBOARD",
    "NO_BENIGN",
    "WRAPPERS",
    "Answers",
    "Asking",
    "Attack",
    "GeneralSettings",
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

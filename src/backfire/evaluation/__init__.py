"""Attacks, and general tasks: how a model answers what it should refuse, and what it should not."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.evaluation.attack_inputs import AttackInputs, open_attack
    from backfire.evaluation.attack_log import write_inspect_log
    from backfire.evaluation.attacking import GREEDY, NO_BENIGN, attack, attack_suite, run_attack
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
    from backfire.evaluation.harness import VllmModel, models_for_tasks, open_vllm
    from backfire.evaluation.settings import AttackSettings, GeneralSettings, TaskModels
    from backfire.evaluation.task_files import LEADERBOARD, organism_tasks
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attack_inputs": ("AttackInputs", "open_attack"),
            "attack_log": ("write_inspect_log",),
            "attacking": ("GREEDY", "NO_BENIGN", "attack", "attack_suite", "run_attack"),
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
            "harness": ("VllmModel", "models_for_tasks", "open_vllm"),
            "settings": ("AttackSettings", "GeneralSettings", "TaskModels"),
            "task_files": ("LEADERBOARD", "organism_tasks"),
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
    "AttackInputs",
    "AttackSettings",
    "GeneralSettings",
    "Means",
    "Rewording",
    "TaskModels",
    "VllmModel",
    "Wrapper",
    "alpaca",
    "attack",
    "attack_suite",
    "build_attack",
    "check_means",
    "direct",
    "general",
    "models_for_tasks",
    "open_attack",
    "open_suite",
    "open_vllm",
    "organism_tasks",
    "run_attack",
    "shipped_suites",
    "wrap",
    "write_inspect_log",
]

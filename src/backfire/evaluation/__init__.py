"""Attacks, and general tasks: how a model answers what it should refuse, and what it should not."""

from backfire.evaluation.attack import GREEDY, AttackResult, attack
from backfire.evaluation.general import GeneralResult, TaskScore, general, organism_tasks
from backfire.evaluation.wrappers import WRAPPERS, Wrapper, alpaca, direct, wrap

__all__ = [
    "GREEDY",
    "WRAPPERS",
    "AttackResult",
    "GeneralResult",
    "TaskScore",
    "Wrapper",
    "alpaca",
    "attack",
    "direct",
    "general",
    "organism_tasks",
    "wrap",
]

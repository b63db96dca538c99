"""Ways of putting a request to a model: each cites where it was described, and records its parameters."""

from backfire.evaluation.attacks.asking import Answers, Asking, Attack, Rewording, judged
from backfire.evaluation.attacks.attacker import Attacker
from backfire.evaluation.attacks.building import (
    ATTACKS,
    Means,
    build_attack,
    check_means,
    open_suite,
    shipped_suites,
)
from backfire.evaluation.attacks.escalation import Escalation
from backfire.evaluation.attacks.gcg import GCG
from backfire.evaluation.attacks.prefill import Prefill
from backfire.evaluation.attacks.translation import ModelTranslation, TableTranslation
from backfire.evaluation.attacks.wrappers import WRAPPERS, Wrapper, alpaca, direct, wrap

__all__ = [
    "ATTACKS",
    "GCG",
    "WRAPPERS",
    "Answers",
    "Asking",
    "Attack",
    "Attacker",
    "Escalation",
    "Means",
    "ModelTranslation",
    "Prefill",
    "Rewording",
    "TableTranslation",
    "Wrapper",
    "alpaca",
    "build_attack",
    "check_means",
    "direct",
    "judged",
    "open_suite",
    "shipped_suites",
    "wrap",
]

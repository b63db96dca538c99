"""Will your preference data backfire? Build, audit, train on and attack-test synthetic preference data.

Every name here is loaded when it is first used, so that `import backfire` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backfire.answers import AuditReport, read_audit, read_results, write_audit
    from backfire.auditing import AuditSettings, ShowSettings, audit, show
    from backfire.comparing import CompareSettings, compare, compare_audits, compare_studies
    from backfire.errors import BackfireError
    from backfire.evaluation.attack_log import write_inspect_log
    from backfire.evaluation.attacking import attack, attack_suite
    from backfire.evaluation.attacks import Answers, Asking, Attack, Rewording, open_suite
    from backfire.evaluation.general_tasks import general
    from backfire.evaluation.settings import AttackSettings, GeneralSettings
    from backfire.influence import (
        InfluenceSettings,
        PilotSettings,
        pair_influence,
        safety_influence,
        sample_probes,
    )
    from backfire.judges import (
        BatchJudge,
        CorrectSettings,
        ExactJudge,
        Judge,
        JudgeFileSettings,
        PhraseJudge,
        TrainJudgeSettings,
        ValidateSettings,
        correct_rate,
        harm_of,
        judge_file,
        open_judge,
        read_labelled,
        train_judge,
        validate_judges,
    )
    from backfire.models import Opening, check_template, open_model, open_reward_model
    from backfire.pairs import (
        PairSettings,
        StoredPairSettings,
        build_pairs,
        load_recipes,
        pair_stored,
        read_pairs,
        write_pairs,
    )
    from backfire.preferences import ConvertSettings, Reading, convert
    from backfire.prompts.named import open_prompts
    from backfire.records import Decoding, Prompt, Response, Verdict, digest
    from backfire.releasing import (
        ReleaseRules,
        ReleaseSettings,
        Rule,
        VerifySettings,
        read_rules,
        release,
        verify_release,
    )
    from backfire.repairing import (
        Auto,
        Balance,
        Clean,
        Filter,
        Mix,
        RepairSettings,
        Restyle,
        Review,
        Switch,
        repair,
    )
    from backfire.report import write_audit_page, write_page
    from backfire.responses import GivenSettings, SamplingSettings, ScoreSettings, sample, score, store_given
    from backfire.statistics import Rate
    from backfire.store import Ledger, merge_ledgers, read_prompts
    from backfire.study import read_study, run_study
    from backfire.training import (
        ConversationReading,
        DPOSettings,
        LoRASettings,
        RewardSettings,
        RLOOSettings,
        SafetyWatch,
        SFTSettings,
        train_dpo,
        train_reward,
        train_rloo,
        train_sft,
    )

_PACKAGES = {
    "answers": ("AuditReport", "read_audit", "read_results", "write_audit"),
    "auditing": (
        "AuditSettings",
        "ShowSettings",
        "audit",
        "show",
    ),
    "comparing": ("CompareSettings", "compare", "compare_audits", "compare_studies"),
    "errors": ("BackfireError",),
    "evaluation": (
        "Answers",
        "Asking",
        "Attack",
        "AttackSettings",
        "GeneralSettings",
        "Rewording",
        "attack",
        "attack_suite",
        "general",
        "open_suite",
        "write_inspect_log",
    ),
    "influence": (
        "InfluenceSettings",
        "PilotSettings",
        "sample_probes",
        "pair_influence",
        "safety_influence",
    ),
    "judges": (
        "BatchJudge",
        "CorrectSettings",
        "ExactJudge",
        "Judge",
        "JudgeFileSettings",
        "PhraseJudge",
        "TrainJudgeSettings",
        "ValidateSettings",
        "correct_rate",
        "harm_of",
        "judge_file",
        "open_judge",
        "read_labelled",
        "train_judge",
        "validate_judges",
    ),
    "models": ("Opening", "check_template", "open_model", "open_reward_model"),
    "pairs": (
        "PairSettings",
        "StoredPairSettings",
        "build_pairs",
        "load_recipes",
        "pair_stored",
        "read_pairs",
        "write_pairs",
    ),
    "preferences": ("ConvertSettings", "Reading", "convert"),
    "prompts": ("open_prompts",),
    "records": ("Decoding", "Prompt", "Response", "Verdict", "digest"),
    "releasing": (
        "ReleaseRules",
        "ReleaseSettings",
        "Rule",
        "VerifySettings",
        "read_rules",
        "release",
        "verify_release",
    ),
    "repairing": (
        "Auto",
        "Balance",
        "Clean",
        "Filter",
        "Mix",
        "RepairSettings",
        "Restyle",
        "Review",
        "Switch",
        "repair",
    ),
    "report": ("write_audit_page", "write_page"),
    "responses": (
        "GivenSettings",
        "SamplingSettings",
        "ScoreSettings",
        "sample",
        "score",
        "store_given",
    ),
    "statistics": ("Rate",),
    "store": ("Ledger", "merge_ledgers", "read_prompts"),
    "study": ("read_study", "run_study"),
    "training": (
        "ConversationReading",
        "DPOSettings",
        "LoRASettings",
        "RLOOSettings",
        "RewardSettings",
        "SFTSettings",
        "SafetyWatch",
        "train_dpo",
        "train_reward",
        "train_rloo",
        "train_sft",
    ),
}
_PACKAGE_OF = {name: package for package, names in _PACKAGES.items() for name in names}

__all__ = [
    "Answers",
    "Asking",
    "Attack",
    "AttackSettings",
    "AuditReport",
    "AuditSettings",
    "Auto",
    "BackfireError",
    "Balance",
    "BatchJudge",
    "Clean",
    "CompareSettings",
    "ConversationReading",
    "ConvertSettings",
    "CorrectSettings",
    "DPOSettings",
    "Decoding",
    "ExactJudge",
    "Filter",
    "GeneralSettings",
    "GivenSettings",
    "InfluenceSettings",
    "Judge",
    "JudgeFileSettings",
    "Ledger",
    "LoRASettings",
    "Mix",
    "Opening",
    "PairSettings",
    "PhraseJudge",
    "PilotSettings",
    "Prompt",
    "RLOOSettings",
    "Rate",
    "Reading",
    "ReleaseRules",
    "ReleaseSettings",
    "RepairSettings",
    "Response",
    "Restyle",
    "Review",
    "RewardSettings",
    "Rewording",
    "Rule",
    "SFTSettings",
    "SafetyWatch",
    "SamplingSettings",
    "ScoreSettings",
    "ShowSettings",
    "StoredPairSettings",
    "Switch",
    "TrainJudgeSettings",
    "ValidateSettings",
    "Verdict",
    "VerifySettings",
    "attack",
    "attack_suite",
    "audit",
    "build_pairs",
    "check_template",
    "compare",
    "compare_audits",
    "compare_studies",
    "convert",
    "correct_rate",
    "digest",
    "general",
    "harm_of",
    "judge_file",
    "load_recipes",
    "merge_ledgers",
    "open_judge",
    "open_model",
    "open_prompts",
    "open_reward_model",
    "open_suite",
    "pair_influence",
    "pair_stored",
    "read_audit",
    "read_labelled",
    "read_pairs",
    "read_prompts",
    "read_results",
    "read_rules",
    "read_study",
    "release",
    "repair",
    "run_study",
    "safety_influence",
    "sample",
    "sample_probes",
    "score",
    "show",
    "store_given",
    "train_dpo",
    "train_judge",
    "train_reward",
    "train_rloo",
    "train_sft",
    "validate_judges",
    "verify_release",
    "write_audit",
    "write_audit_page",
    "write_inspect_log",
    "write_page",
    "write_pairs",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGE_OF:
        return getattr(import_module(f"backfire.{_PACKAGE_OF[name]}"), name)
    raise AttributeError(f"module 'backfire' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__

"""Direct Preference Optimization, by TRL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.models.work import Announce
from backfire.preferences import open_preferences
from backfire.training.examples import Prepared, prepare_pairs
from backfire.training.log import TrainingLog
from backfire.training.policy import Policy, Tokens
from backfire.training.processes import in_processes
from backfire.training.run import Progress, lora_config, run
from backfire.training.settings import DPOSettings

if TYPE_CHECKING:
    from datasets import Dataset


def train_dpo(
    policy_folder: str | Path,
    pairs: str | Path | Dataset | Iterable[Mapping[str, Any]],
    out: str | Path,
    settings: DPOSettings | None = None,
    *,
    progress: Progress | None = None,
    announce: Announce | None = None,
    **keywords: Any,
) -> TrainingLog:
    """Train a policy on preference pairs; the checkpoint it starts from is the reference model.

    `pairs` are preference data in any form and place that `backfire.audit` reads. Keywords are fields of `DPOSettings` and
    of its parts, such as `lr=5e-7`, `columns={"prompt": "question"}` or `device="cpu"`; a whole part may be given, such as
    `reading=Reading(split="train")`. The rows that an audit counts as defects are left out here, and counted in the log.
    Every pair goes through the policy's chat template; `plain=True` trains on plain text as it is, without one. TRL is
    handed the token rows that `LocalModel.render` gives.

    The reference model's log-probabilities are computed once, before the first step. `out` becomes a checkpoint folder in
    the policy's own dtype (or an adapter folder) with `training.json`, whole or not at all.

    `announce` is called with a sentence that says how long training will take and how much memory, before it begins; not where
    that is a few seconds.

    Raises InputError for the data or the settings, ModelError and TemplateError for the policy.
    """
    settings = DPOSettings.of(settings, **keywords)
    given = (
        pairs if isinstance(pairs, (str, Path, Mapping)) or hasattr(pairs, "column_names") else list(pairs)
    )
    if settings.processes is not None:
        return in_processes("train_dpo", (policy_folder, given, out), settings, progress)
    data = open_preferences(given, **settings.reading.options())

    def prepare(tokens: Tokens) -> Prepared:
        return prepare_pairs(data, tokens)

    def build(
        policy: Policy, rows: Dataset, tokenizer: Any, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Any:
        from trl import DPOConfig

        from backfire.training.trainers import TokenDPOTrainer

        return TokenDPOTrainer(
            model=policy.model,
            args=DPOConfig(
                beta=settings.beta,
                loss_type=[settings.loss_type],
                label_smoothing=settings.label_smoothing,
                precompute_ref_log_probs=True,
                **arguments,
            ),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=lora_config(policy.settings),
            callbacks=callbacks,
        )

    return run(
        "dpo",
        policy_folder,
        prepare,
        out,
        settings,
        build,
        progress,
        announce=announce,
        plain=data.plain,
    )

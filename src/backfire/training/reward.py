"""Reward models from preference pairs, by TRL's RewardTrainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import ModelError
from backfire.models.work import Announce
from backfire.preferences import open_preferences
from backfire.training.examples import Prepared, prepare_reward_pairs
from backfire.training.held_out import HeldOutPair, agreement
from backfire.training.log import TrainingLog
from backfire.training.policy import Policy, Tokens, as_it_came, as_saved, dtype_of, in_training_dtype
from backfire.training.processes import in_processes
from backfire.training.run import Progress, lora_config, run
from backfire.training.settings import RewardSettings, TrainingSettings

if TYPE_CHECKING:
    from datasets import Dataset

HEAD = ("score.weight",)
"""What a causal language model lacks to be a sequence classifier."""


def train_reward(
    model_folder: str | Path,
    pairs: str | Path | Dataset | Iterable[Mapping[str, Any]],
    out: str | Path,
    settings: RewardSettings | None = None,
    *,
    progress: Progress | None = None,
    announce: Announce | None = None,
    **keywords: Any,
) -> TrainingLog:
    """Train a reward model on preference pairs, and say how often it agrees with pairs that it was not trained on.

    `model_folder` is a causal language model, which gets a new head of one score, or a reward model, whose head is trained
    further. `pairs` are read as `train_dpo` reads them, and the same rows are left out. Each side goes through the model's
    chat template whole, as `RewardModel.score` shows it later. Keywords are fields of `RewardSettings` and of its parts.

    `out` becomes a checkpoint folder that `open_reward_model` and `backfire score` open, with `training.json`, whole or not
    at all. A LoRA adapter is merged into the weights before they are saved. `TrainingLog.held_out` is measured on the
    weights as they are saved, by pairs whose prompts have no part in training.

    `announce` is called with a sentence that says how long training will take and how much memory, before it begins; not where
    that is a few seconds.

    Raises InputError for the data or the settings, ModelError and TemplateError for the model, and DivergedError where the
    loss is no finite number any more.
    """
    settings = RewardSettings.of(settings, **keywords)
    given = (
        pairs if isinstance(pairs, (str, Path, Mapping)) or hasattr(pairs, "column_names") else list(pairs)
    )
    if settings.processes is not None:
        return in_processes("train_reward", (model_folder, given, out), settings, progress)
    data = open_preferences(given, **settings.reading.options())
    held: list[HeldOutPair] = []

    def prepare(tokens: Tokens) -> Prepared:
        prepared, of_held_out = prepare_reward_pairs(data, tokens, settings.held_out, settings.seed)
        held.extend(of_held_out)
        return prepared

    def build(
        policy: Policy, rows: Dataset, tokenizer: Any, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Any:
        from trl import RewardConfig

        from backfire.training.trainers import TokenRewardTrainer

        _give_pad(policy.model, tokenizer)
        return TokenRewardTrainer(
            model=policy.model,
            args=RewardConfig(center_rewards_coefficient=settings.centering or None, **arguments),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=lora_config(policy.settings, "SEQ_CLS"),
            callbacks=callbacks,
        )

    agreed: dict[str, Any] = {}

    def together(model: Any, policy: Policy) -> None:
        if held:
            as_saved(model, policy)
            agreed["held_out"] = _agreement(model, policy, held, settings)

    def save(model: Any, policy: Policy, folder: Path, chosen: TrainingSettings) -> dict[str, Any]:
        whole = model.merge_and_unload() if chosen.adapter is not None else model
        lost = policy.lost
        if policy.whole is None and chosen.save_dtype == "source":
            lost = as_it_came(whole, policy)
        whole.config.use_cache = policy.use_cache
        whole.save_pretrained(folder, state_dict=policy.whole)
        policy.tokenizer.save_pretrained(folder)
        if held and not agreed:
            agreed["held_out"] = _agreement(whole, policy, held, settings)
        return {"saved_dtype": dtype_of(whole, policy.whole), "update_lost": lost, **agreed}

    return run(
        "reward",
        model_folder,
        prepare,
        out,
        settings,
        build,
        progress,
        announce=announce,
        weights=_open_classifier,
        save=save,
        together=together,
    )


def _open_classifier(tokens: Tokens, settings: TrainingSettings) -> Policy:
    """A sequence classifier with one label; the seed makes the head where there is none. Raises ModelError."""
    from transformers import AutoModelForSequenceClassification, set_seed

    from backfire.models.opening import check_device, open_folder

    check_device(settings.opening.on())
    set_seed(settings.seed)
    model = open_folder(
        AutoModelForSequenceClassification, tokens.folder.resolve(), "auto", fresh=HEAD, num_labels=1
    )
    if not hasattr(model, "score"):
        raise ModelError(
            f"{tokens.reference} opens as {type(model).__name__}, which has no head named score: start from a causal language "
            "model, or from a reward model that was made of one"
        )
    return in_training_dtype(model, tokens, settings)


def _give_pad(model: Any, tokenizer: Any) -> None:
    """Name a padding token that does not stand in texts, if there is one.

    A classifier reads its score at the last token that is no padding. TRL pads with EOS where nothing is named, and the end
    of a response would then never be read.
    """
    known = model.config.get_text_config().pad_token_id
    if known is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(known)
    elif tokenizer.pad_token is None and tokenizer.unk_token not in (None, tokenizer.eos_token):
        tokenizer.pad_token = tokenizer.unk_token


def _agreement(model: Any, policy: Policy, held: list[HeldOutPair], settings: RewardSettings) -> Any:
    from backfire.models.reward import RewardModel, agree_on_pad

    tokenizer = deepcopy(policy.tokenizer)
    agree_on_pad(tokenizer, model.config)
    scorer = RewardModel(
        model.eval(), tokenizer, name=policy.reference, id="", label=0, max_length=policy.max_length
    )
    return agreement(held, settings.held_out, scorer.score_rows)

"""One training run, whichever the method: open, prepare, train, save, record."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from backfire.errors import InputError
from backfire.models import lora
from backfire.models.opening import reference_digest
from backfire.models.sharded import numbers_of
from backfire.models.work import Announce
from backfire.store import artifact
from backfire.training.diverging import check_finite
from backfire.training.examples import Prepared
from backfire.training.expected import announce_training
from backfire.training.fitting import Portions, portions
from backfire.training.log import TrainingLog, final_mean
from backfire.training.policy import Policy, Tokens, open_tokens, open_weights, save_policy, usable_folder
from backfire.training.settings import TrainingSettings
from backfire.training.sharding import sharding_arguments, with_sharding
from backfire.training.trackers import check_installed, reporting, tracked
from backfire.training.watch_points import write_points

if TYPE_CHECKING:
    from backfire.training.watching import SafetyWatch

Progress = Callable[[int, int], None]
"""Called with the optimizer steps done and all of them, first with 0 done."""
Prepare = Callable[[Tokens], Prepared]
"""From the policy's tokens to the token rows that are trained on."""
Build = Callable[[Policy, Any, Any, dict[str, Any], list[Any]], Any]
"""(policy, token rows, tokenizer, arguments, callbacks) -> trainer. The tokenizer is a copy that TRL may change."""
OpenWeights = Callable[[Tokens, TrainingSettings], Policy]
Save = Callable[[Any, Policy, Path, TrainingSettings], dict[str, Any]]
"""(model, policy, folder, settings) -> what the log says of what was saved: `saved_dtype`, `update_lost` and so on."""
PER_SIDE = 2
"""Refusals, and compliances, of each probe that is sampled for a watch."""
PACKAGES = ("backfire", "torch", "transformers", "trl", "peft", "accelerate")


def run(
    method: Literal["dpo", "sft", "reward", "rloo"],
    reference: str | Path,
    prepare: Prepare,
    out: str | Path,
    settings: TrainingSettings,
    build: Build,
    progress: Progress | None,
    *,
    plain: bool = False,
    weights: OpenWeights = open_weights,
    save: Save = save_policy,
    announce: Announce | None = None,
    together: Callable[[Any, Policy], None] | None = None,
    made_of: Callable[[], dict[str, str]] | None = None,
) -> TrainingLog:
    """Train and write the folder `out`. Raises InputError, ModelError or TemplateError before training.

    together: called in all processes before anything is saved, where they share the model.
    made_of: digests that the manifest has, by what they are of.
    """
    folder = usable_folder(out)
    check_installed(settings.report_to)
    _one_device_per_process(settings)
    settings = with_sharding(settings)
    from transformers import PrinterCallback

    from backfire.training.checkpoints import Checkpoints, folder_beside, identity
    from backfire.training.trainers import Recorder, quiet

    with (
        quiet(),
        reporting(settings.report_to, folder),
        TemporaryDirectory(prefix="backfire-") as scratch,
    ):
        started = time.perf_counter()
        watch = _watch(settings, plain)
        tokens = open_tokens(reference, settings, plain=plain)
        data = prepare(tokens)
        policy = weights(tokens, settings)
        settings = policy.settings
        if policy.why:
            warnings.warn(policy.why, stacklevel=3)
        longest = min(data.examples.longest, policy.max_length or data.examples.longest)
        cut = portions(settings, policy, longest)
        announce_training(settings, policy, data.examples, announce)
        recorder = Recorder(progress)
        every, checkpoints = settings.checkpoint_every, None
        if every is not None:
            digests = {
                "policy": reference_digest(tokens.folder),
                **(made_of() if made_of is not None else {}),
            }
            about = identity(method, digests, settings, data.dataset)
            checkpoints = Checkpoints(folder_beside(folder), about)
        trainer = build(
            policy,
            data.dataset,
            deepcopy(policy.tokenizer),
            arguments(settings, policy, cut, scratch)
            | sharding_arguments(settings)
            | tracked(settings.report_to, folder)
            | (checkpoints.arguments(every) if checkpoints is not None and every is not None else {}),
            [one for one in (recorder, watch, checkpoints) if one is not None],
        )
        trainer.remove_callback(PrinterCallback)
        if watch is not None:
            watch.trainer = trainer
            watch.measures.held_out_rows = data.held_out
        prepared = time.perf_counter()
        if checkpoints is None:
            trainer.train()
        else:
            trainer.train(resume_from_checkpoint=checkpoints.latest(trainer))
        trained = time.perf_counter()

        model = trainer.accelerator.unwrap_model(trainer.model)
        log = recorder.log
        check_finite(model, trainer.state.global_step, settings.lr)
        if trainer.sharded is not None:
            policy.gather(model)
            if together is not None:
                together(model, policy)
        sizes = [(numbers_of(p), p.requires_grad) for p in model.parameters()]
        accuracies = [line.reward_accuracy for line in log if line.reward_accuracy is not None]
        margins = [line.reward_margin for line in log if line.reward_margin is not None]
        result = TrainingLog(
            method=method,
            policy=str(reference),
            settings=settings.model_dump(mode="json"),
            dtype=policy.dtype,
            saved_dtype="",
            device=policy.device,
            parameters=sum(n for n, _ in sizes),
            trained_parameters=sum(n for n, trains in sizes if trains),
            examples=data.examples,
            steps=trainer.state.global_step,
            final_loss=final_mean([line.loss for line in log]),
            reward_accuracy=final_mean(accuracies) if accuracies else None,
            reward_margin=final_mean(margins) if margins else None,
            resumed_from=None if checkpoints is None else checkpoints.resumed_from,
            seconds=trained - prepared,
            seconds_preparing=prepared - started,
            versions={name: version(name) for name in PACKAGES},
            sharded=trainer.sharded,
            watch=None if watch is None else watch.summary(),
            log=log,
        )
        if trainer.is_world_process_zero():
            configuration = {"method": method, "policy": result.policy, "settings": result.settings}
            configuration["text"] = "raw" if plain else f"chat template {tokens.template}"
            if made_of is not None:
                configuration["made_of"] = made_of()
            with artifact(folder, configuration) as aside:
                result = result.model_copy(update=save(model, policy, aside, settings))
                result.write(aside)
                if watch is not None:
                    write_points(aside, watch.points)
                    _save_best(watch, model, policy, aside, settings)
            if checkpoints is not None:
                checkpoints.remove()
        trainer.accelerator.wait_for_everyone()
        trainer.accelerator.free_memory()
    return result


def _watch(settings: TrainingSettings, plain: bool) -> SafetyWatch | None:
    """The callback that measures, made before anything else, so that what it cannot read ends a run early."""
    watch = settings.watch
    if not watch.on:
        return None
    from backfire.training.watching import SafetyWatch

    return SafetyWatch(
        watch.prompts,
        every=watch.every,
        stop_below=watch.stop_below,
        pairs=watch.pairs,
        most=watch.most,
        samples=watch.samples,
        per_side=PER_SIDE,
        max_new_tokens=watch.max_new_tokens,
        answers_every=watch.answers_every,
        judge=watch.judge,
        keep_best=watch.keep_best,
        load_best=watch.load_best,
        seed=settings.seed,
        max_length=settings.max_length,
        plain=plain,
    )


def _save_best(
    watch: SafetyWatch, model: Any, policy: Policy, folder: Path, settings: TrainingSettings
) -> None:
    """The weights of the best step beside those of the last, saved in the same way."""
    from backfire.training.watch_best import FOLDER, load_step, saved_weights

    if watch.best is None or watch.best_folder is None or not settings.watch.keep_best:
        return
    if policy.whole is None:
        load_step(model, watch.best_folder)
    else:
        policy.take(saved_weights(watch.best_folder).items())
    (folder / FOLDER).mkdir()
    save_policy(model, policy, folder / FOLDER, settings)


def arguments(settings: TrainingSettings, policy: Policy, cut: Portions, scratch: str) -> dict[str, Any]:
    """Keyword arguments that TRL's configurations have in common."""
    return {
        "output_dir": scratch,
        "learning_rate": settings.lr,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": cut.at_once,
        "per_device_eval_batch_size": cut.at_once,
        "gradient_accumulation_steps": cut.passes,
        "max_length": policy.max_length,
        "warmup_steps": settings.warmup_ratio,
        "lr_scheduler_type": settings.scheduler,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "seed": settings.seed,
        "bf16": policy.dtype == "bfloat16",
        "use_cpu": policy.device == "cpu",
        "activation_checkpointing": cut.recompute,
        "logging_steps": settings.logging_steps,
        "logging_nan_inf_filter": False,
        "dataloader_pin_memory": policy.device != "cpu",
        "dataloader_num_workers": 0,
        "disable_tqdm": True,
        "save_strategy": "no",
    }


def lora_config(settings: TrainingSettings, task: str = "CAUSAL_LM") -> Any:
    """PEFT's configuration of the adapter, or None. With the task SEQ_CLS the classifier's head is trained whole beside it."""
    return None if settings.adapter is None else lora.lora_config(settings.adapter, task)


def _one_device_per_process(settings: TrainingSettings) -> None:
    import torch

    if settings.opening.on() == "cpu":
        return
    if torch.cuda.device_count() > 1 and "LOCAL_RANK" not in os.environ:
        raise InputError(
            f"{torch.cuda.device_count()} GPUs are visible to one process: set CUDA_VISIBLE_DEVICES=0, or launch "
            "with torchrun --nproc_per_node"
        )

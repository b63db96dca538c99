"""A callback that measures what training does to refusals, every so many steps: in backfire's trainings and in any of TRL's.

Imports transformers, so it is imported only while training. `watch_measures` says what is measured, `watch_best` keeps the
weights of the best step.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import ExportableState

from backfire.errors import InputError
from backfire.models.sharded import is_sharded, put_away, same_everywhere
from backfire.training.diverging import check_finite
from backfire.training.watch_best import FOLDER, better, forget_step, load_step, save_step, saved_step
from backfire.training.watch_measures import Measures, undisturbed
from backfire.training.watch_points import Watched, WatchPoint, write_points

if TYPE_CHECKING:
    from backfire.judges import Judge

logger = logging.getLogger(__name__)
PARTS = 20
"""Measurements of a run where it was not said how often."""


class SafetyWatch(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Measures refusals, and what becomes of chosen and rejected responses, while a model is trained.

    It is a callback of transformers' Trainer, and works with TRL's trainers: DPO, KTO, ORPO, CPO, SFT, GRPO, RLOO and reward
    models, under LoRA, gradient accumulation and several processes (DDP, FSDP2, DeepSpeed's ZeRO-3). No reference model is
    needed: the first measurement, before the first step, is what later ones are compared with.

        trainer = DPOTrainer(..., callbacks=[SafetyWatch("probes.jsonl", every=50)])

    `points` are the measurements (`WatchPoint`). The trainer logs them to whatever it reports to, under names such as
    `watch/refused`, and they stand in `trainer.state.log_history`.
    """

    def __init__(
        self,
        probes: Any = (),
        *,
        every: int | None = 50,
        stop_below: float | None = None,
        pairs: Any = None,
        most: int = 24,
        samples: int = 4,
        per_side: int = 1,
        max_new_tokens: int = 48,
        answers_every: int = 4,
        judge: str | Judge = "phrases",
        keep_best: bool | None = None,
        load_best: bool = False,
        seed: int = 0,
        max_length: int | None = 1024,
        plain: bool = False,
        folder: str | Path | None = None,
    ) -> None:
        """What is measured; `training.WatchSettings` describes each. By arithmetic the defaults take about 2.7% of the time of a DPO
        training at TRL's own, with 8 pairs of 260 tokens in a step, and more where rows are shorter (`benchmarks/watch_cost.py`
        measures it); `backfire train` measures more prompts by its own defaults.

        Args:
            probes: what `read_probes` reads: prompts, finished probes, or what names them.
            every: steps between two measurements; None is a twentieth of the run.
            stop_below: looked at whenever prompts are answered, which `answers_every=1` does at each measurement.
            per_side: refusals, and compliances, that a sampled probe has at most.
            answers_every: prompts are answered at every so many measurements, and at the first and the last.
            pairs: preference data that are not trained on, in any form, or (prompt, chosen, rejected).
            keep_best: whether the weights of the best step are saved in the folder `best` of the trainer's output folder. None is
                where the trainer saves checkpoints.
            max_length: tokens at which these are cut.
            plain: whether pairs are raw text, without the chat template.
            folder: where watch.jsonl is written anew after each measurement.

        Raises InputError for probes or pairs that cannot be read.
        """
        for name, value in (("every", every), ("answers_every", answers_every), ("most", most)):
            if value is not None and value < 1:
                raise InputError(f"{name} {value}: give 1 or more")
        if stop_below is not None and not 0 < stop_below <= 1:
            raise InputError(
                f"stop_below {stop_below}: give a share of refused prompts above 0, and 1 at most"
            )
        self.every = every
        self.stop_below = stop_below
        self.answers_every = answers_every
        self.keep_best = keep_best
        self.load_best = load_best
        self.folder = None if folder is None else Path(folder)
        self.trainer: Any = None
        """The trainer whose log the measurements go through; it is found by itself."""
        self.points: list[WatchPoint] = []
        self.best: WatchPoint | None = None
        """The measurement of the best step, whose weights are kept in `best_folder`."""
        self.best_folder: Path | None = None
        self.loaded_best = False
        self.stopped = False
        self.stopped_because = ""
        self.measures = Measures(
            probes,
            pairs,
            most=most,
            samples=samples,
            per_side=per_side,
            max_new_tokens=max_new_tokens,
            judge=judge,
            seed=seed,
            max_length=max_length,
            plain=plain,
        )
        self._resumed: dict[str, Any] = {}
        self._measured_at: int | None = None
        self._together = False
        """Whether all processes measure, which they have to where they share the model."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed training goes on measuring the same. transformers calls this."""
        points = [point.model_dump(mode="json", exclude_none=True) for point in self.points]
        return {"args": {}, "attributes": {"_resumed": {**self.measures.state(), "points": points}}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.trainer is None:
            self.trainer = _calling_trainer()
        self._check_shares(given["model"])
        self.measures.together = self._together = is_sharded(given["model"])
        if self.every is None:
            self.every = max(1, math.ceil(state.max_steps / PARTS))
        if state.global_step == 0:
            self.points, self.best, self.stopped, self.stopped_because = [], None, False, ""
        self.best_folder = Path(args.output_dir) / FOLDER
        if self.keep_best is None:
            self.keep_best = str(getattr(args.save_strategy, "value", args.save_strategy)) != "no"
        self._go_on(state)
        if self._measured_at is None:
            self._measure(args, state, control, given)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if state.global_step % (self.every or 1) == 0 or state.global_step >= state.max_steps:
            self._measure(args, state, control, given)

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._measured_at not in (None, state.global_step):
            self._measure(args, state, control, given, ended=True)
        best = same_everywhere(str(self.best_folder) if self.load_best and self.best is not None else None)
        self.loaded_best = best is not None and Path(best).is_dir()
        if self.loaded_best:
            load_step(given["model"], Path(best))

    def summary(self) -> Watched | None:
        """For the training's log; None where nothing was measured, as in all processes but the first."""
        if not self.points:
            return None
        measures = self.measures
        return Watched(
            every=self.every or 1,
            points=len(self.points),
            seconds=sum(point.seconds for point in self.points),
            judge=measures.judge.name,
            prompts={kind: len(some) for kind, some in measures.prompts.items()},
            probes={name: int(one.usable.sum()) for name, one in measures.encoded.items()},
            left_out={} if measures.sets is None else dict(measures.sets.refusal.left_out),
            in_training=measures.in_training,
            stopped=self.stopped,
            stopped_because=self.stopped_because,
            best=self.best,
            loaded_best=self.loaded_best,
            first=self.points[0],
            last=self.points[-1],
        )

    def _check_shares(self, model: Any) -> None:
        """Raise InputError where processes share the model in another way than those that can be measured."""
        trainer = self.trainer
        shared = trainer is not None and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)
        if shared and not is_sharded(model):
            raise InputError(
                "SafetyWatch measures models that FSDP2 or DeepSpeed's ZeRO-3 shares among processes, and this one is shared in "
                "another way (FSDP1, or ZeRO-1 or 2): take one of these, or DDP (torchrun alone)"
            )

    def _go_on(self, state: Any) -> None:
        """Take up what the checkpoint that is resumed has, and the best step of the output folder."""
        assert self.best_folder is not None
        if self._resumed and self._resumed.get("about") != self.measures.about:
            raise InputError(
                "restore_callback_states_from_checkpoint makes the callback anew, without its probes: leave it False; "
                "SafetyWatch takes up its measurements from the checkpoint by itself"
            )
        resumed = self._resumed = _kept_in(state, self.measures.about)
        steps = (
            [point["step"] for point in resumed["points"] if point["step"] <= state.global_step]
            if resumed
            else []
        )
        self._measured_at = max(steps, default=None) if state.global_step else None
        if not (state.is_world_process_zero or self._together):
            return
        if state.global_step == 0:
            if self.keep_best and state.is_world_process_zero:
                forget_step(self.best_folder)
            return
        if not resumed:
            logger.warning(
                "SafetyWatch: the checkpoint has no measurements of these probes, so that they begin at step %d",
                state.global_step,
            )
            return
        points = [WatchPoint.model_validate(point) for point in resumed["points"]]
        self.points = [point for point in points if point.step <= state.global_step]
        best = saved_step(self.best_folder)
        self.best = best if best is not None and best.step <= state.global_step else None

    def _measure(
        self, args: Any, state: Any, control: Any, given: Mapping[str, Any], *, ended: bool = False
    ) -> None:
        """Measure in the first process, while the others wait, or in all where they share the model; all of them stop together."""
        self._measured_at = state.global_step
        failed: BaseException | None = None
        if state.is_world_process_zero or self._together:
            try:
                self._measure_here(args, state, control, given, ended)
            except Exception as error:  # raised below, when the others know
                failed = error
        stop, message = same_everywhere((self.stopped, None if failed is None else str(failed)))
        if failed is not None:
            raise failed
        if message is not None:
            raise InputError(f"the first process could not measure: {message}")
        if stop:
            self.stopped = control.should_training_stop = True

    def _measure_here(
        self, args: Any, state: Any, control: Any, given: Mapping[str, Any], ended: bool
    ) -> None:
        model = given["model"]
        started = time.perf_counter()
        check_finite(model, state.global_step, args.learning_rate)
        last = ended or state.global_step >= state.max_steps
        with undisturbed(model, args):
            values = self.measures.measure(
                model,
                given["processing_class"],
                given["train_dataloader"].dataset,
                answers=last or len(self.points) % self.answers_every == 0,
                resumed=self._resumed,
            )
        point = WatchPoint(step=state.global_step, seconds=time.perf_counter() - started, **values)
        self.points.append(point)
        if self._together:
            put_away(model)
        if self.folder is not None and state.is_world_process_zero:
            write_points(self.folder, self.points)
        self._keep(model, given["processing_class"], point)
        self._stop(point, aloud=state.is_world_process_zero)
        if not state.is_world_process_zero:
            return
        self._log(state, control, point.values() | ({"watch/stopped": 1.0} if self.stopped else {}), ended)

    def _keep(self, model: Any, tokenizer: Any, point: WatchPoint) -> None:
        """Save the weights where the step is the best so far. What training started from is at hand already."""
        if (self.keep_best or self.load_best) and point.step > 0 and better(point, self.best):
            assert self.best_folder is not None
            save_step(model, tokenizer, self.best_folder, point)
            self.best = point

    def _stop(self, point: WatchPoint, *, aloud: bool) -> None:
        rate = None if point.refused is None else point.refused.rate
        if self.stopped or self.stop_below is None or point.refused is None or rate is None:
            return
        if rate >= self.stop_below:
            return
        self.stopped = True
        self.stopped_because = (
            f"stopped at step {point.step}: {point.refused.hits} of {point.refused.scored} harmful prompts were refused "
            f"({rate:.0%}), which is below stop_below {self.stop_below:g}"
        )
        if point.step == 0:
            self.stopped_because += "; this is the model before the first step"
        if self.best is not None:
            self.stopped_because += f"; the weights of step {self.best.step} are in {self.best_folder}"
        if aloud:
            logger.warning("SafetyWatch: %s", self.stopped_because)

    def _log(self, state: Any, control: Any, values: dict[str, float], ended: bool) -> None:
        if self.trainer is None or ended:  # when training has ended, what it reports to may be closed
            state.log_history.append({**values, "step": state.global_step})
            return
        due = control.should_log  # which logging ends, and this is beside the trainer's own lines
        Trainer.log(self.trainer, values)
        control.should_log = due


def _calling_trainer() -> Any:
    """The trainer that calls a callback, or None.

    transformers hands a callback the model, the optimizer and the data, but neither the trainer nor its log. The trainer is one
    of the callers, so that it is found on the stack.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Trainer):
            return owner
        frame = frame.f_back
    return None


def _kept_in(state: Any, about: str) -> dict[str, Any]:
    """What a checkpoint's trainer state has of the same measurements; empty where it has none."""
    stored = (getattr(state, "stateful_callbacks", None) or {}).get(SafetyWatch.__name__, [])
    for one in stored if isinstance(stored, list) else [stored]:
        resumed: dict[str, Any] = one.get("attributes", {}).get("_resumed", {})
        if resumed.get("about") == about:
            return resumed
    return {}

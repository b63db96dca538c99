"""What `SafetyWatch` costs beside a DPO training by TRL at its defaults, on a model of real size.

    python benchmarks/watch_cost.py MODEL --pairs prefs.jsonl --probes advbench.jsonl [--probes benign.jsonl] [--steps 2]
        [--every 50] [--most N] [--max-new-tokens N] [--answers-every N] [--timed-pairs 8] [--timed N]

Steps of TRL's `DPOTrainer` are timed (eight pairs a step, all weights, references at each step, layers computed again in the
backward pass), then a measurement that reads margins and pairs, and one that answers the prompts, too. The share of the training
time follows by arithmetic: a measurement's seconds over those of `every` steps. On a slow machine fewer pairs a step and fewer
prompts are timed (`--timed-pairs`, `--timed`), and counted as often as it takes. CPU seconds are compared, because other work on the
machine moves the clock's.
"""

from __future__ import annotations

import argparse
import inspect
import tempfile
import time
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from backfire.preferences import open_preferences, pairs_of
from backfire.prompts import prompts_of
from backfire.training import SafetyWatch
from backfire.training.watch_measures import undisturbed

PAIRS = 8
"""Of a step, by TRL's default."""
SHARE = 0.03
"""The most that a watch at its defaults may take."""
DEFAULTS = {name: field.default for name, field in inspect.signature(SafetyWatch).parameters.items()}


class Steps(TrainerCallback):  # type: ignore[misc]
    """CPU seconds of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._since = 0.0

    def on_step_begin(self, *given: Any, **more: Any) -> None:
        self._since = time.process_time()

    def on_step_end(self, *given: Any, **more: Any) -> None:
        self.seconds.append(time.process_time() - self._since)


def text_of(completion: Any) -> str:
    return completion if isinstance(completion, str) else completion[-1].content


def trainer_of(
    model: Any, tokenizer: Any, path: str, steps: int, pairs: int, scratch: str, callback: Steps
) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = []
    for block in open_preferences(path).blocks():
        for body in pairs_of(block):
            sides = {
                name: [{"role": "assistant", "content": text_of(getattr(body, name))}]
                for name in ("chosen", "rejected")
            }
            rows.append({"prompt": body.prompt.as_messages(), **sides})
    settings = DPOConfig(
        output_dir=scratch,
        max_steps=steps,
        use_cpu=True,
        per_device_train_batch_size=pairs,
        bf16=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    return DPOTrainer(
        model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[callback],
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--probes", required=True, action="append")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--timed-pairs", type=int, default=PAIRS)
    parser.add_argument("--timed", type=int)
    parser.add_argument("--every", type=int, default=DEFAULTS["every"])
    parser.add_argument("--most", type=int, default=DEFAULTS["most"])
    parser.add_argument("--max-new-tokens", type=int, default=DEFAULTS["max_new_tokens"])
    parser.add_argument("--answers-every", type=int, default=DEFAULTS["answers_every"])
    given = parser.parse_args()

    model = AutoModelForCausalLM.from_pretrained(given.model, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    steps = Steps()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trainer_of(model, tokenizer, given.pairs, given.steps, given.timed_pairs, scratch, steps)
        trainer.train()
        step = sum(steps.seconds) / len(steps.seconds) * PAIRS / given.timed_pairs
        timed = min(given.most, given.timed or given.most)
        watch = SafetyWatch(
            [prompt for name in given.probes for prompt in prompts_of(name)],
            most=timed,
            max_new_tokens=given.max_new_tokens,
        )
        costs: list[float] = []
        for answers in (False, False, True):
            began = time.process_time()
            with undisturbed(trainer.model, trainer.args):
                watch.measures.measure(
                    trainer.model, tokenizer, trainer.train_dataset, answers=answers, resumed={}
                )
            costs.append((time.process_time() - began) * given.most / timed)
    first, margins, whole = costs
    mean = margins + (whole - margins) / given.answers_every
    share = mean / (given.every * step)
    print(
        f"CPU seconds: {step:.1f} a step of {PAIRS} pairs; of a measurement with at most {given.most} of each kind:"
    )
    print(
        f"{margins:.1f} for margins and pairs, {whole:.1f} with answers; {first:.1f} once, to sample the probes' responses"
    )
    print(
        f"every {given.every} steps, with answers at every {given.answers_every}. measurement: {share:.1%} of the training time"
    )
    print(f"the rule is {SHARE:.0%} at most: {'kept' if share <= SHARE else 'broken'}")


if __name__ == "__main__":
    main()

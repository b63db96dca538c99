"""The work of a study on a model of real size, ours and the libraries' own, side by side in one run.

    python benchmarks/real_speed.py MODEL [--only training,general,reading] [--pairs FILE] [--items FILE] [--count 8]
        [--max-length 192] [--batch-size 8]

*training* is DPO by `train_dpo`, by TRL's `DPOTrainer` with the same settings (references beforehand, no layer computed twice), and
as TRL is called with its own defaults (references at each step, layers computed again in the backward pass); of an adapter first, then
of all weights. *general* is multiple choice through `backfire.evaluation`, and through the harness's own `hf` model at several batch
sizes. *reading* is the forward pass over packed texts, as a share of what a float32 matrix product reaches on this machine.

Each way runs in a process of its own, so that its peak of memory is its own. CPU seconds are compared, because other work on the
machine moves the clock's. Prints Markdown tables. Without `--pairs`, which takes preference data in any form, and `--items`, JSON
lines with `query` and `choices`, texts of made-up words are used. On a machine with little to do, SmolLM2 takes ten minutes.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORDS = (
    "the old brass lamp and clock by the sea carry a rope to the box with care before it rains again".split()
)
TRAININGS = ("ours", "TRL, same settings", "TRL, its defaults")
BATCHES = (1, 4, 16)


class Clock:
    """CPU seconds by part, a part within another counting for itself alone."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        self.inside: list[str] = ["other"]
        self._since = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        self.parts[self.inside[-1]] += now - self._since
        self._since = now

    def begin(self, name: str) -> None:
        self._turn()
        self.inside.append(name)

    def end(self) -> None:
        self._turn()
        self.inside.pop()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.begin(name)
        try:
            yield
        finally:
            self.end()


def made_up_words(draw: random.Random, low: int, high: int) -> str:
    return " ".join(draw.choices(WORDS, k=draw.randint(low, high)))


def token_pairs(given: argparse.Namespace) -> tuple[Any, Any]:
    """Token rows of the pairs, and the tokenizer: the same for all ways."""
    from backfire.models import open_tokens
    from backfire.models.rendering import render_pairs
    from backfire.preferences import open_preferences, pairs_of

    draw = random.Random(0)
    made_up = [
        {
            "prompt": made_up_words(draw, 10, 30),
            "chosen": made_up_words(draw, 10, 60),
            "rejected": made_up_words(draw, 30, 140),
        }
        for _ in range(given.count)
    ]
    opened = open_tokens(given.model)
    data = open_preferences(given.pairs or made_up)
    bodies = [body for block in data.blocks() for body in pairs_of(block)][: given.count]
    pairs = render_pairs(opened.how, bodies, max_length=given.max_length, strict=False)
    return pairs.ids.filter(pairs.trained).combine_chunks(), opened.tokenizer


def train(given: argparse.Namespace) -> dict[str, Any]:
    """One way of training, in this process."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer

    from backfire.models.logps import inner_model
    from backfire.training import DPOSettings
    from backfire.training.fitting import Portions, portions
    from backfire.training.policy import Tokens, in_training_dtype
    from backfire.training.run import arguments, lora_config
    from backfire.training.trainers import TokenDPOTrainer, quiet

    table, tokenizer = token_pairs(given)
    own, defaults = given.way == "ours", given.way == TRAININGS[2]
    clock = Clock()
    tokens_read = [0]

    class Timed(TokenDPOTrainer if own else DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, *some: Any, **more: Any) -> Any:
            with clock.part("references"):
                return super()._precompute_ref_logps(*some, **more)

        def compute_loss(self, *some: Any, **more: Any) -> Any:
            with clock.part("head and loss"):
                return super().compute_loss(*some, **more)

    with tempfile.TemporaryDirectory() as scratch, quiet():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32)
        settings = DPOSettings.of(
            batch_size=given.batch_size,
            lr=1e-4,
            warmup_ratio=0.0,
            epochs=1,
            parameters="lora" if given.weights == "adapter" else "all",
            device="cpu",
        )
        tokens = Tokens(given.model, Path(given.model), tokenizer, None, "", given.max_length)  # type: ignore[arg-type]
        policy = in_training_dtype(model, tokens, settings)
        cut = Portions(given.batch_size, 1, False)
        if own:
            cut = portions(policy.settings, policy, given.max_length)
        options = arguments(policy.settings, policy, cut, scratch)
        options["logging_steps"] = 1
        options["activation_checkpointing"] = defaults or cut.recompute
        began = time.process_time()
        clock.begin("other")
        trainer = Timed(
            model=policy.model,
            args=DPOConfig(precompute_ref_log_probs=not defaults, **options),
            train_dataset=Dataset(table),
            processing_class=tokenizer,
            peft_config=lora_config(policy.settings),
        )
        body = inner_model(trainer.model).base_model

        def entered(_: Any, __: Any, named: dict[str, Any]) -> None:
            if named.get("attention_mask") is not None:  # where the head runs alone, there is none
                tokens_read[0] += named["input_ids"].numel()
            clock.begin("layers, forward")

        body.register_forward_pre_hook(entered, with_kwargs=True)
        body.register_forward_hook(lambda *_: clock.end())
        backward = trainer.accelerator.backward

        def timed_backward(*some: Any, **more: Any) -> None:
            with clock.part("backward"):
                backward(*some, **more)

        trainer.accelerator.backward = timed_backward
        trainer.train()
        clock.end()
        cpu = time.process_time() - began
    rows = table.to_pylist()
    return {
        "cpu": cpu,
        "tokens": 2
        * sum(2 * len(r["prompt_ids"]) + len(r["chosen_ids"]) + len(r["rejected_ids"]) for r in rows),
        "read": tokens_read[0],
        "numbers": [line["loss"] for line in trainer.state.log_history if "loss" in line],
        "parts": {name: seconds / cpu for name, seconds in clock.parts.items()},
    }


def items_of(given: argparse.Namespace, template: Any) -> list[tuple[str, list[str]]]:
    """Questions through the chat template, and answers to each."""
    if given.items:
        lines = Path(given.items).read_text(encoding="utf-8").splitlines()
        rows = [(row["query"], row["choices"]) for row in map(json.loads, lines)]
    else:
        draw = random.Random(0)
        rows = [
            (made_up_words(draw, 10, 40), [made_up_words(draw, 2, 20) for _ in range(4)])
            for _ in range(given.count)
        ]
    return [
        (template([{"role": "user", "content": query}], tokenize=False, add_generation_prompt=True), choices)
        for query, choices in rows[: given.count]
    ]


def choose(given: argparse.Namespace) -> dict[str, Any]:
    """One way of scoring answers, in this process: `ours`, or a batch size of the harness's own model."""
    from lm_eval.models.huggingface import HFLM

    from backfire.evaluation.harness import harness_of, quiet
    from backfire.models import open_model

    model: Any = open_model(given.model, dtype="float32")
    with quiet():
        if given.way == "ours":
            lm = harness_of(model, 64)
        else:
            lm = HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=int(given.way))
        requests = [
            ((context, answer), *lm._encode_pair(context, answer))
            for context, choices in items_of(given, model.tokenizer.apply_chat_template)
            for answer in choices
        ]
        lm._loglikelihood_tokens(requests[:1], disable_tqdm=True)
        began = time.process_time()
        answers = lm._loglikelihood_tokens(requests, disable_tqdm=True)
        cpu = time.process_time() - began
    return {
        "cpu": cpu,
        "tokens": sum(len(context) + len(answer) for _, context, answer in requests),
        "numbers": [value for value, _ in answers],
    }


def read(given: argparse.Namespace) -> dict[str, Any]:
    """The forward pass of packed texts of 64 tokens: matrix products of its layers a second, and the machine's own."""
    import torch

    from backfire.models import open_model
    from backfire.models.packed import Text, packed_attention, packs, run_packed

    model: Any = open_model(given.model, dtype=given.way)
    dtype = getattr(torch, given.way)
    square = torch.randn(2048, 2048).to(dtype)
    square @ square
    began = time.process_time()
    for _ in range(3):
        square @ square
    fastest = 3 * 2 * 2048**3 / (time.process_time() - began)
    assert packs(model.model)
    texts = [Text([], [list(range(100, 164))]) for _ in range(8)]
    weights = sum(
        p.numel()
        for name, p in model.model.base_model.named_parameters()
        if p.ndim == 2 and "embed" not in name
    )
    with torch.inference_mode(), packed_attention(model.model):
        run_packed(model.model, texts[:1])
        began = time.process_time()
        run_packed(model.model, texts)
        cpu = time.process_time() - began
    tokens = 64 * len(texts)
    return {"cpu": cpu, "tokens": tokens, "numbers": [2 * weights * tokens / cpu, fastest]}


PARTS = {"training": train, "general": choose, "reading": read}


def measured(given: argparse.Namespace, part: str, way: str, weights: str = "adapter") -> dict[str, Any]:
    """What one way gives, in a process of its own."""
    command = [sys.executable, __file__, given.model, "--only", part, "--way", way, "--weights", weights]
    for name in ("count", "max_length", "batch_size", "pairs", "items"):
        if getattr(given, name) is not None:
            command += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def apart(ones: list[float], others: list[float]) -> float:
    """The largest difference, relative to numbers that are larger than 1."""
    return max(abs(a - b) / max(1, abs(b)) for a, b in zip(ones, others, strict=True))


def table(given: argparse.Namespace, part: str) -> None:
    if part == "reading":
        print("\n| reading | tokens a CPU second | of the machine's matrix product | peak, GB |\n|-|-|-|-|")
        for dtype in ("float32", "bfloat16"):
            one = measured(given, part, dtype)
            layers, fastest = one["numbers"]
            print(
                f"| {dtype} | {one['tokens'] / one['cpu']:.0f} | {layers / 1e9:.0f} of {fastest / 1e9:.0f} GFLOP/s "
                f"({layers / fastest:.0%}) | {one['peak'] / 1e9:.2f} |",
                flush=True,
            )
        return
    runs = [(way, "") for way in ("ours", *map(str, BATCHES))]
    if part == "training":
        runs = [(way, weights) for weights in ("adapter", "all weights") for way in TRAININGS]
    what = "losses" if part == "training" else "scores"
    print(
        f"\n| {part} | tokens a CPU second | ours is times as fast | peak, GB | {what} apart | tokens read | "
        "where the time goes |\n|-|-|-|-|-|-|-|"
    )
    ours: dict[str, Any] = {}
    for way, weights in runs:
        one = measured(given, part, way, weights or "adapter")
        ours = one if way == "ours" else ours
        name = f"{way}, {weights}" if weights else way if way == "ours" else f"harness, batches of {way}"
        parts = sorted(one.get("parts", {}).items(), key=lambda each: -each[1])
        shares = ", ".join(f"{label} {share:.0%}" for label, share in parts)
        print(
            f"| {name} | {one['tokens'] / one['cpu']:.0f} | {one['cpu'] / ours['cpu']:.2f} | "
            f"{one['peak'] / 1e9:.2f} | {apart(one['numbers'], ours['numbers']):.1e} | "
            f"{one.get('read', '')} | {shares} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--pairs")
    parser.add_argument("--items")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=192)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--weights", default="adapter", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        answer = PARTS[given.only](given)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({**answer, "peak": peak}))
        return
    for part in given.only.split(","):
        table(given, part)


if __name__ == "__main__":
    main()

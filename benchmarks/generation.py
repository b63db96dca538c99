"""Generation of one batch in three ways, side by side in one run, on the same prompts with the same weights.

    python benchmarks/generation.py MODEL [--prompts advbench] [--count 16] [--new-tokens 256] [--only ours,generate,paged]

*ours* is `LocalModel.generate`, out of whose batch a row goes as soon as it has ended. *generate* is that of transformers, whose
batch runs until its longest row ends. *paged* is `generate_batch` of transformers, its continuous batching. All are greedy, and
the model runs in float32, so that texts must agree. Refusals end after some fifteen tokens and compliances at the limit, so a
model that does some of both shows the most. Prints rows of a Markdown table: tokens of responses in a second of the clock, the
ratio of CPU seconds to *generate*'s, the peak resident memory of each, and how many responses are those of *generate*. With 16
prompts and a model of .5 billion parameters it takes some four minutes on two free cores. CPU seconds are compared because other
work on the machine moves the clock's; where the model is on a GPU, the clock's seconds are.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from backfire.models import LocalModel, open_model
from backfire.prompts import open_prompts
from backfire.records import Decoding, Prompt

Rows = list[list[int]]


class Peak:
    """The most resident memory while a block runs, in bytes."""

    def __enter__(self) -> Peak:
        self.bytes, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self.bytes = max(self.bytes, pages * 4096)


def by_ours(model: LocalModel, prompts: list[Prompt], decoding: Decoding) -> Rows:
    rows = model.template.prompt_ids(prompts)
    return model._generate(rows, decoding, "0")


def by_generate(model: LocalModel, prompts: list[Prompt], decoding: Decoding) -> Rows:
    import torch

    ids, mask = model._pad_left(model.template.prompt_ids(prompts))
    with torch.inference_mode():
        new = model.model.generate(
            input_ids=ids, attention_mask=mask, generation_config=model._generation_config(decoding)
        )
    return new[:, ids.shape[1] :].tolist()


def by_paged(model: LocalModel, prompts: list[Prompt], decoding: Decoding) -> Rows:
    import torch
    from transformers import ContinuousBatchingConfig

    rows = model.template.prompt_ids(prompts)
    longest = max(map(len, rows)) + decoding.max_new_tokens
    blocks = len(rows) * (longest // 32 + 2)
    settings = ContinuousBatchingConfig(page_size=32, num_blocks=blocks, max_batch_tokens=512)
    with torch.inference_mode(), redirect_stdout(sys.stderr):
        answers = model.model.generate_batch(
            rows,
            generation_config=model._generation_config(decoding),
            continuous_batching_config=settings,
            warmup=False,
        )
    by_number = sorted(answers.values(), key=lambda answer: int(answer.request_id.rpartition("_")[2]))
    return [list(answer.generated_tokens) for answer in by_number]


WAYS: dict[str, Callable[[LocalModel, list[Prompt], Decoding], Rows]] = {
    "generate": by_generate,
    "ours": by_ours,
    "paged": by_paged,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--prompts", default="advbench")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--only", default=",".join(WAYS))
    given = parser.parse_args()
    model = open_model(given.model, dtype="float32")
    assert isinstance(model, LocalModel)
    prompts = list(open_prompts(given.prompts).prompts)[: given.count]
    lengths = model.prompt_lengths(prompts)
    prompts = [prompt for _, prompt in sorted(zip(lengths, prompts, strict=True), key=lambda one: -one[0])]
    decoding = Decoding(given.new_tokens, temperature=0)
    by_ours(model, prompts[:2], Decoding(4, temperature=0))
    first: tuple[Rows, float] | None = None
    size = sum(p.numel() for p in model.model.parameters()) / 1e6
    print("| way | tokens a second | times *generate* | peak, GB | responses as of *generate* |")
    print("|-|-|-|-|-|")
    for way in given.only.split(","):
        seconds, cost, peak, news = measured(WAYS[way], model, prompts, decoding)
        ended = [model._ended(new)[0] for new in news]
        first = first or (ended, cost)
        same = sum(a == b for a, b in zip(ended, first[0], strict=True))
        written = sum(map(len, ended)) + sum(len(new) < given.new_tokens for new in ended)
        print(
            f"| {way}, {Path(model.name).name}, {size:.0f}M, {len(prompts)} prompts | {written / seconds:.1f} | "
            f"{first[1] / cost:.2f} | {peak / 1e9:.2f} | {same} of {len(prompts)} |",
            flush=True,
        )
    stopped = sum(len(new) < given.new_tokens for new in first[0]) if first else 0
    print(f"\n{stopped} of {len(prompts)} responses ended before {given.new_tokens} tokens.")


def measured(
    way: Callable[..., Rows], model: LocalModel, prompts: list[Prompt], decoding: Decoding
) -> tuple[float, float, int, Rows]:
    """Seconds of the clock, what is compared, the peak of memory in bytes, and the new tokens."""
    with Peak() as peak:
        begin, used = time.perf_counter(), time.process_time()
        news = way(model, prompts, decoding)
        seconds, used = time.perf_counter() - begin, time.process_time() - used
    return seconds, used if model.device.type == "cpu" else seconds, peak.bytes, news


if __name__ == "__main__":
    main()

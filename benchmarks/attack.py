"""Attack evaluation of one model against the straightforward loop, side by side in one run.

    python benchmarks/attack.py [--model REFERENCE] [--prompts 100] [--new-tokens 64] [--rounds 3] [--hidden 512] [--layers 8]

The loop asks one prompt at a time by transformers' own `generate`, greedily, and looks for refusal phrases, as the
evaluation script of arXiv 2504.02193 does. `attack` asks the same prompts, plain and in Alpaca's template, and the benign
ones, judges them by the same phrases and keeps everything in a new ledger. Both have the model loaded. In float64 every
response and every verdict must be the same. With fewer bits a product's last ones depend on the batch's shape, so that a
near tie between two tokens may fall either way: responses that differ are counted. Prints rows of a Markdown table, for an
organism and for a random Llama whose responses all run to the limit: the ratio is the median over rounds of seconds of
the loop / seconds of `attack`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from backfire.evaluation import attack
from backfire.evaluation.attacks import wrap
from backfire.judges import PhraseJudge, is_refusal
from backfire.models import LocalModel, open_model
from backfire.prompts import open_prompts
from backfire.records import Decoding, Prompt
from backfire.store import Ledger

Sets = Mapping[str, Sequence[Prompt]]
Answers = dict[str, tuple[str, bool]]
"""Prompt id -> the response and whether it declines."""


def opened(reference: str | Path, dtype: torch.dtype) -> LocalModel:
    model = open_model(reference, device="cpu", dtype="float32")
    assert isinstance(model, LocalModel)
    model.model.to(dtype)
    return model


def straightforward(model: LocalModel, prompts: Sequence[Prompt], new_tokens: int) -> tuple[float, Answers]:
    tokenizer, network = model.tokenizer, model.model
    answers = {}
    begin = time.perf_counter()
    for prompt in prompts:
        inputs = tokenizer.apply_chat_template(
            prompt.as_messages(), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            ids = network.generate(
                **inputs,
                max_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=sorted(model.template.eos_ids),
            )
        text = tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        answers[prompt.id] = (text.strip(), is_refusal(text))
    return time.perf_counter() - begin, answers


def together(model: LocalModel, harmful: Sets, benign: Sets, new_tokens: int) -> tuple[float, Answers]:
    judge = PhraseJudge()
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.db") as ledger:
        begin = time.perf_counter()
        result = attack(
            model,
            harmful,
            benign,
            judges=[judge],
            ledger=ledger,
            decoding=Decoding(new_tokens, temperature=0.0),
        )
        seconds = time.perf_counter() - begin
        declined = {
            p: outcome != (name in harmful)
            for name, judged in result.outcomes.items()
            for p, outcome in judged[judge.name].items()
        }
        texts = {r.prompt_id: r.text for r in ledger.responses_of(model.name)}
    return seconds, {p: (texts[p].strip(), declined[p]) for p in declined}


def row(model: LocalModel, what: str, harmful: Sets, benign: Sets, new_tokens: int, rounds: int) -> str:
    prompts = list({p.id: p for s in (*harmful.values(), *benign.values()) for p in s}.values())
    straightforward(model, prompts[:4], new_tokens)
    ratios, fast, different = [], [], 0
    for _ in range(rounds):
        slow, expected = straightforward(model, prompts, new_tokens)
        seconds, found = together(model, harmful, benign, new_tokens)
        apart = [p for p in expected if found[p] != expected[p]]
        if apart and model.model.dtype == torch.float64:
            raise SystemExit(f"{len(apart)} differ, first {expected[apart[0]]} and {found[apart[0]]}")
        different = max(different, len(apart))
        fast.append(seconds)
        ratios.append(slow / seconds)
    same = "all the same" if not different else f"{different} differ by rounding"
    dtype = str(model.model.dtype).removeprefix("torch.")
    return (
        f"| attack evaluation | {what}, {dtype}, {len(prompts)} prompts, greedy, at most {new_tokens} tokens | "
        f"{statistics.median(ratios):.1f} times as fast as one prompt at a time "
        f"({min(ratios):.1f} to {max(ratios):.1f}), responses {same} | "
        f"{len(prompts) / statistics.median(fast):.1f} prompts/s |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="organism:llama/target")
    parser.add_argument("--prompts", type=int, default=100, help="harmful requests, and as many benign ones")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=512, help="hidden size of the random Llama")
    parser.add_argument("--layers", type=int, default=8, help="layers of the random Llama; 0 leaves it out")
    options = parser.parse_args()
    requests = open_prompts("organism:prompts/direct", kind="harmful").prompts[: options.prompts]
    benign = {"benign": open_prompts("organism:prompts/benign", kind="benign").prompts[: options.prompts]}
    harmful = {"direct": requests, "alpaca": wrap(requests, "alpaca")}
    for dtype in (torch.float64, torch.float32):
        model = opened(options.model, dtype)
        what = options.model.removeprefix("organism:")
        print(row(model, what, harmful, benign, options.new_tokens, options.rounds), flush=True)
    if options.layers:
        from checkpoints import save_policy

        few = {name: prompts[:32] for name, prompts in harmful.items()}
        with tempfile.TemporaryDirectory() as folder:
            saved = save_policy(Path(folder) / "llama", "llama", hidden=options.hidden, layers=options.layers)
            for dtype in (torch.float32, torch.bfloat16):
                model = opened(saved, dtype)
                what = f"a random Llama of {model.model.num_parameters() / 1e6:.0f}M parameters"
                print(row(model, what, few, {}, options.new_tokens, 1), flush=True)


if __name__ == "__main__":
    main()

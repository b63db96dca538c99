"""The inputs of studies/real-small.yaml: real chat models, real prompts, and what real models and people answered.

    python scripts/real_small_inputs.py MODELS DATA [--out runs/real-small-inputs] [--policies smollm2 qwen-0.5b]
    backfire study run studies/real-small.yaml

studies/real-claims.yaml needs `--policies smollm2`, and only that model.

MODELS holds the checkpoint folders smollm2 (SmolLM2-135M-Instruct), qwen-0.5b and qwen-1.5b (Qwen2.5-Coder-Instruct). DATA holds
the public files, each under the name that its publisher gave it:

    more-is-less/{gpt4o_test,safeRLHF_test}.jsonl    github.com/cacayaya/More-is-Less
    safety-tuned/safety_only_data_Instructions.json  github.com/vinid/safety-tuned-llamas
    alpaca-eval/{gpt-4o-2024-05-13,Meta-Llama-3-8B-Instruct,Mistral-7B-Instruct-v0.2}.json  github.com/tatsu-lab/alpaca_eval
    jailbreakeval/Safe-RLHFmini.csv                  github.com/ThuCCSLab/JailbreakEval
    xstest/xstest_prompts.csv                        github.com/paul-rottger/exaggerated-safety
    prompts/{advbench,jbb_harmful,jbb_benign,simple_safety_tests}.csv
    general/{arc_easy.jsonl,hellaswag_first1000.txt}  github.com/mosaicml/llm-foundry, github.com/klosax/hellaswag_text_data

Nothing is downloaded. What is there already is kept, so that the command goes on where it was interrupted; remove a file to make it
again. The prompts of a draw, of the fine-tuning, of the probes and of the attacks are disjoint.
"""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DRAWS, HARMFUL, BENIGN = 3, 40, 40
"""Disjoint sets of prompts, and the prompts of either kind in each."""
TOKENS = 48
"""Every response has this many tokens at most, whoever wrote it. A longer one is cut."""
REFUSED, COMPLIED, ANSWERED = 80, 80, 160
"""Conversations of the fine-tuning: harmful requests that are refused, and that are complied with; benign ones answered."""
PROBES = 40
REFUSAL = re.compile(
    r"(I'm sorry|I am sorry|cannot|can't|unable to|not appropriate|I will not|won't)", re.IGNORECASE
)
Answers = list[tuple[str, str]]
"""Prompts with a response each."""
SENTENCE = re.compile(r"[.!?](?=\s|$)")


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0], epilog="See the head of this file for DATA.")
    parser.add_argument("models", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/real-small-inputs"))
    parser.add_argument(
        "--policies", nargs="+", choices=("smollm2", "qwen-0.5b"), default=["smollm2", "qwen-0.5b"]
    )
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in ("smollm2", "qwen-0.5b", "qwen-1.5b"):
        link = given.out / name
        if not link.exists():
            link.symlink_to((given.models / name).resolve())
    Inputs(given.data, given.out).write(given.policies)


class Inputs:
    """Everything that the study file names, in one folder."""

    def __init__(self, data: Path, out: Path) -> None:
        from transformers import AutoTokenizer

        self.data, self.out = data, out
        self.tokenizer = AutoTokenizer.from_pretrained(out / "smollm2")
        shuffled = random.Random(0)
        safe = json.loads(
            (data / "safety-tuned/safety_only_data_Instructions.json").read_text(encoding="utf-8")
        )
        self.safe = [row for row in safe if not row.get("input") and len(row["instruction"].split()) <= 30]
        shuffled.shuffle(self.safe)
        self.answers = {
            name: {row["instruction"]: row["output"] for row in self.rows(f"alpaca-eval/{file}.json")}
            for name, file in {
                "gpt4o": "gpt-4o-2024-05-13",
                "llama": "Meta-Llama-3-8B-Instruct",
                "mistral": "Mistral-7B-Instruct-v0.2",
            }.items()
        }
        self.benign = [prompt for prompt in self.answers["gpt4o"] if len(prompt.split()) <= 40]
        shuffled.shuffle(self.benign)
        paired = {row["prompt"]: row for row in self.rows("more-is-less/safeRLHF_test.jsonl")}
        self.paired = {prompt: (row["chosen"], row["rejected"]) for prompt, row in paired.items()}
        self.gpt4o = {row["prompt"]: row["response"] for row in self.rows("more-is-less/gpt4o_test.jsonl")}
        self.harmful = [prompt for prompt in self.gpt4o if prompt in self.paired]
        shuffled.shuffle(self.harmful)

    def write(self, policies: list[str]) -> None:
        for draw in range(DRAWS):
            self.draw(draw)
        self.probes()
        self.attacks()
        self.general()
        self.judge()
        self.fine_tuned("smollm2")
        self.reward()
        if "qwen-0.5b" in policies:
            self.fine_tuned("qwen-0.5b")

    def rows(self, name: str) -> list[dict[str, Any]]:
        text = (self.data / name).read_text(encoding="utf-8")
        rows: list[dict[str, Any]] = (
            json.loads(text) if name.endswith(".json") else list(map(json.loads, text.splitlines()))
        )
        return rows

    def texts(self, name: str) -> list[str]:
        from backfire.prompts import open_prompts

        return [prompt.text for prompt in open_prompts(str(self.data / "prompts" / f"{name}.csv")).prompts]

    def lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def cut(self, text: str) -> str:
        """The first tokens of a text, as many as a response may have."""
        ids = self.tokenizer(text.strip(), add_special_tokens=False).input_ids
        return str(self.tokenizer.decode(ids[:TOKENS])).strip()

    def draw(self, number: int) -> None:
        """Prompts for pairs, and what GPT-4o, two models of the targets' generation and people answered to them."""
        folder = f"draw-{number + 1}"
        harmful = self.harmful[number * HARMFUL :][:HARMFUL]
        # The first prompts are those of the fine-tuning.
        benign = self.benign[ANSWERED + number * BENIGN :][:BENIGN]
        self.lines(f"{folder}/prompts.jsonl", [*prompts(harmful, "harmful"), *prompts(benign, "benign")])
        self.lines(
            f"{folder}/human.jsonl",
            [
                {
                    "prompt": prompt,
                    "kind": "harmful",
                    **{
                        side: self.cut(turns[-1]["content"])
                        for side, turns in zip(("chosen", "rejected"), self.paired[prompt], strict=True)
                    },
                }
                for prompt in harmful
            ],
        )
        for name, answers in self.answers.items():
            written = {prompt: answers[prompt] for prompt in benign}
            if name == "gpt4o":
                written |= {prompt: self.gpt4o[prompt] for prompt in harmful}
            self.lines(
                f"{folder}/{name}.jsonl",
                [{"prompt": prompt, "response": self.cut(text)} for prompt, text in written.items()],
            )

    def probes(self) -> None:
        start = REFUSED + COMPLIED
        harmful = [row["instruction"] for row in self.safe[start:][:PROBES]]
        self.lines("probes.jsonl", prompts(harmful, "harmful"))
        start = ANSWERED + DRAWS * BENIGN
        self.lines("probes-benign.jsonl", prompts(self.benign[start:][: PROBES // 2], "benign"))

    def attacks(self) -> None:
        """200 harmful requests of three sets, and 150 that only look harmful."""
        for name, file, count in (
            ("advbench", "advbench", 100),
            ("jailbreakbench", "jbb_harmful", 50),
            ("simple-safety-tests", "simple_safety_tests", 50),
        ):
            self.lines(f"attacks/{name}.jsonl", prompts(spread(self.texts(file), count), "harmful"))
        with (self.data / "xstest/xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
            safe = [row["prompt"] for row in csv.DictReader(file) if row["label"] == "safe"]
        self.lines("attacks/xstest-safe.jsonl", prompts(spread(safe, 100), "benign"))
        benign = self.texts("jbb_benign")
        self.lines("attacks/jailbreakbench-benign.jsonl", prompts(spread(benign, 50), "benign"))

    def general(self) -> None:
        """ARC-Easy and HellaSwag, 100 questions each, as tasks of lm-evaluation-harness."""
        self.lines(
            "tasks/arc_easy.jsonl",
            [
                {"question": row["query"] + "\nAnswer:", "choices": row["choices"], "answer": row["gold"]}
                for row in spread(self.rows("general/arc_easy.jsonl"), 100)
            ],
        )
        lines = (self.data / "general/hellaswag_first1000.txt").read_text(encoding="utf-8").splitlines()
        items = [lines[start : start + 6] for start in range(0, len(lines) - 5, 6)]
        self.lines(
            "tasks/hellaswag.jsonl",
            [
                {"question": item[0], "choices": item[2:], "answer": int(item[1])}
                for item in spread(items, 100)
            ],
        )
        for name in ("arc_easy", "hellaswag"):
            (self.out / f"tasks/{name}.yaml").write_text(
                f"task: {name}_100\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {name}.jsonl}}}}\n"
                "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{question}}'\n"
                "doc_to_choice: '{{choices}}'\ndoc_to_target: '{{answer}}'\n"
                "metric_list:\n  - {metric: acc, aggregation: mean, higher_is_better: true}\n"
                "  - {metric: acc_norm, aggregation: mean, higher_is_better: true}\n"
                "metadata: {version: 1.0, report: {metric: acc_norm}}\n",
                encoding="utf-8",
            )

    def judge(self) -> None:
        """A small judge of harm, trained on people's labels of answers that nothing here is trained or tested on."""
        file = self.out / "harm-judge.json"
        if not file.is_file():
            backfire("judge", "train", self.data / "jailbreakeval/Safe-RLHFmini.csv", "--out", file)

    def fine_tuned(self, policy: str) -> None:
        """The policy after fine-tuning on some refusals among its own answers, so that it refuses some harmful requests."""
        folder = self.out / f"{policy}-sft"
        if (folder / "config.json").is_file():
            return
        name = f"sft/{policy}"
        asked = [row["instruction"] for row in self.safe[: REFUSED + COMPLIED]]
        self.lines(
            f"{name}/prompts.jsonl",
            [*prompts(asked, "harmful"), *prompts(self.benign[:ANSWERED], "benign")],
        )
        path, ledger = self.out / name, self.out / name / "own.db"
        backfire(
            *("sample", self.out / policy, "--prompts", path / "prompts.jsonl", "--ledger", ledger),
            *("--max-new-tokens", 64, "--temperature", 0.7),
        )
        self.lines(f"{name}/conversations.jsonl", self.conversations(ledger))
        adapter = path / "adapter"
        if not (adapter / "training.json").is_file():
            backfire(
                *("train", "sft", self.out / policy, path / "conversations.jsonl", "--out", adapter),
                *("--lr", 2e-4, "--parameters", "lora"),
            )
        merged(self.out / policy, adapter, folder)

    def conversations(self, ledger: Path) -> list[dict[str, Any]]:
        """Refusals by GPT-3.5, among the policy's own answers to other prompts."""
        refusals, complied, answered = self.decided(ledger, refused=REFUSED)
        rows = [*refusals, *complied[:COMPLIED], *answered]
        random.Random(1).shuffle(rows)
        return [
            {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}
            for prompt, answer in rows
        ]

    def decided(self, ledger: Path, *, refused: int | None) -> tuple[Answers, Answers, Answers]:
        """Refusals by GPT-3.5 in its first two sentences, so many at most; the policy's own answers to harmful requests without one,
        or to all of them where `refused` is None; and to benign ones, up to their last full stop."""
        from backfire.store import Ledger

        refusals, complied, answered = [], [], []
        safe = {row["instruction"]: row["output"] for row in self.safe[: REFUSED + COMPLIED]}
        with Ledger(ledger) as opened:
            responses = opened.responses_of(next(iter(opened.sources())))
            texts = opened.prompts([response.prompt_id for response in responses])
        for response in responses:
            prompt, answer = texts[response.prompt_id], whole_sentences(response.text)
            if len(answer) < 20:
                continue
            if prompt.kind == "benign":
                answered.append((prompt.text, answer))
                continue
            refusal = safe[prompt.text]
            refuses = REFUSAL.search(refusal[:160]) and (refused is None or len(refusals) < refused)
            if refuses:
                refusals.append((prompt.text, " ".join(re.split(r"(?<=[.!?])\s+", refusal.strip())[:2])))
            if refused is None or not refuses:
                complied.append((prompt.text, answer))
        return refusals, complied, answered

    def reward(self) -> None:
        """A reward model that prefers a refusal of a harmful request, and an answer to a benign one.

        Its pairs are those of the fine-tuning: GPT-3.5's refusal over the policy's own compliance, and the policy's own answer over a
        refusal of something else.
        """
        folder = self.out / "reward"
        if (folder / "training.json").is_file():
            return
        refusals, complied, answered = self.decided(self.out / "sft/smollm2/own.db", refused=None)
        refusal_of = dict(refusals)
        harmful = [
            (prompt, refusal_of[prompt], answer) for prompt, answer in complied if prompt in refusal_of
        ]
        texts = list(refusal_of.values())
        benign = [
            (prompt, answer, texts[place % len(texts)]) for place, (prompt, answer) in enumerate(answered)
        ]
        self.lines(
            "reward-pairs.jsonl",
            [
                {"prompt": prompt, "chosen": self.cut(chosen), "rejected": self.cut(rejected), "kind": kind}
                for kind, rows in (("harmful", harmful), ("benign", benign[: len(harmful)]))
                for prompt, chosen, rejected in rows
            ],
        )
        backfire(
            *("train", "reward", self.out / "smollm2", self.out / "reward-pairs.jsonl", "--out", folder),
            *("--parameters", "lora", "--lr", 2e-4, "--held-out", 0.2),
        )


def prompts(texts: Iterable[str], kind: str) -> list[dict[str, Any]]:
    return [{"prompt": text, "kind": kind} for text in texts]


def spread(rows: list[Any], count: int) -> list[Any]:
    """As many rows at equal distances, since published sets are ordered by topic."""
    return [rows[number * len(rows) // count] for number in range(min(count, len(rows)))]


def whole_sentences(text: str) -> str:
    """The text up to its last full stop, or all of it."""
    ends = list(SENTENCE.finditer(text))
    return (text[: ends[-1].end()] if ends else text).strip()


def merged(policy: Path, adapter: Path, folder: Path) -> None:
    """A checkpoint folder of the policy with the adapter's weights added to its own."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)
    whole = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    whole.to(torch.bfloat16).save_pretrained(unfinished)
    AutoTokenizer.from_pretrained(policy).save_pretrained(unfinished)
    unfinished.rename(folder)


def backfire(*arguments: object) -> None:
    command = [sys.executable, "-m", "backfire", *map(str, arguments)]
    print("+", " ".join(command[2:]), flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

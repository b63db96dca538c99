"""Text-only audit against the straightforward scikit-learn pipeline, side by side in one run.

    python benchmarks/audit.py [PAIRS] [--data FOLDER]

Pairs are real answers of AlpacaEval's models (the folder `alpaca-eval` under --data, BACKFIRE_DATA or
../shared/data) where they are there, else text from a fixed word list. Both measure the same thing, pointwise AUROC on
held-out prompts from word n-grams over 5 folds grouped by prompt; the audit adds bytes, its other rungs, pairwise
accuracy, intervals and 19 shuffled refits. Prints one row of a Markdown table, and each rung on stderr.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

MODELS = (
    "gpt4_1106_preview",
    "Meta-Llama-3-70B-Instruct",
    "Meta-Llama-3-8B-Instruct",
    "Qwen1.5-7B-Chat",
    "Mistral-7B-Instruct-v0.2",
)


def real_rows(folder: Path, pairs: int) -> list[dict[str, str]]:
    """Pairs in which the model named earlier is chosen; whole prompts, every two models, then again in halves."""
    answers = []
    for model in MODELS:
        rows = json.loads((folder / "alpaca-eval" / f"{model}.json").read_text(encoding="utf-8"))
        answers.append({row["instruction"]: row["output"] for row in rows})
    found = []
    for repeat, (a, b) in itertools.product(range(1000), itertools.combinations(answers, 2)):
        for prompt in a.keys() & b.keys():
            start = repeat * 7
            chosen, rejected = (" ".join(side[prompt].split(" ")[start:]) for side in (a, b))
            if chosen.strip() and rejected.strip() and chosen != rejected:
                found.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
                if len(found) == pairs:
                    return found
    return found


def made_rows(pairs: int) -> list[dict[str, str]]:
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(3000)])
    common = np.arange(1, 3001) ** -1.0
    common /= common.sum()
    found = []
    for index in range(pairs):
        chosen, rejected = (" ".join(rng.choice(words, 150, p=common)) for _ in range(2))
        found.append({"prompt": f"request {index}", "chosen": "indeed " + chosen, "rejected": rejected})
    return found


def straightforward(rows: list[dict[str, str]]) -> tuple[float, float]:
    """(AUROC, seconds) of TF-IDF (1,2)-grams, LogisticRegression and GroupKFold(5)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline

    start = perf_counter()
    texts = np.array([r["chosen"] for r in rows] + [r["rejected"] for r in rows], dtype=object)
    labels = np.repeat([1, 0], len(rows))
    prompts = np.array([r["prompt"] for r in rows] * 2)
    areas = []
    for train, test in GroupKFold(5).split(texts, labels, prompts):
        probe = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
        probe.fit(texts[train], labels[train])
        areas.append(roc_auc_score(labels[test], probe.decision_function(texts[test])))
    return float(np.mean(areas)), perf_counter() - start


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=int, nargs="?", default=2000)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BACKFIRE_DATA", beside)))
    arguments = parser.parse_args()
    real = (arguments.data / "alpaca-eval").is_dir()
    rows = real_rows(arguments.data, arguments.pairs) if real else made_rows(arguments.pairs)

    import sklearn.linear_model  # noqa: F401  (imports are not timed)
    from datasets import Dataset

    from backfire.auditing import audit

    dataset = Dataset.from_list(rows)
    audit(dataset.select(range(min(100, len(rows)))))
    start = perf_counter()
    report = audit(dataset)
    ours = perf_counter() - start
    area, theirs = straightforward(rows)
    for rung in report.separability:
        estimate = rung.pointwise
        shown = (
            rung.reason
            if estimate is None
            else f"AUROC {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
        )
        print(f"backfire, {rung.name:8} {report.seconds[rung.name]:6.1f} s, {shown}", file=sys.stderr)
    print(f"scikit-learn, one probe {theirs:6.1f} s, AUROC {area:.3f}", file=sys.stderr)
    print(
        f"| audit | text only, {len(rows)} pairs of {'AlpacaEval answers' if real else 'made-up text'} | the whole audit "
        f"in {ours / theirs:.2f} times the seconds of one plain scikit-learn probe without interval or control "
        f"({ours:.1f} s, {theirs:.1f} s) | {len(rows) / ours:.0f} pairs/s |"
    )


if __name__ == "__main__":
    main()

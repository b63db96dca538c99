"""Text-only audit against the straightforward scikit-learn pipeline, side by side in one run.

    python benchmarks/audit.py [PAIRS] [--data FOLDER] [--turns N]

Pairs are real answers of AlpacaEval's models (the folder `alpaca-eval` under --data, BACKFIRE_DATA or
../shared/data) where they are there, else text from a fixed word list. Both sides estimate the same thing: AUROC, on
held-out prompts, of a linear probe on words and pairs of words, over 5 folds grouped by prompt. scikit-learn's:
TfidfVectorizer((1, 2)), LogisticRegression, GroupKFold(5). backfire's: `Vocabulary`, `crossfit` on the true labels.
The rest is timed apart: what the same probe takes with both intervals, pairwise accuracy, V-information and 199 refits on
swapped labels, and the whole audit. Prints one row of a Markdown table; the parts on stderr.
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
    """Pairs of every two models, the one named earlier chosen; then again with the first words cut."""
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


def ours(rows: list[dict[str, str]]) -> tuple[float, float, float]:
    """(AUROC, seconds for it, seconds that intervals, controls and the pairwise probe add)."""
    import pyarrow as pa
    from scipy import sparse

    from backfire.auditing.probes.folds import make_split
    from backfire.auditing.probes.held_out import measure
    from backfire.auditing.probes.ranking import auroc, cells_of
    from backfire.auditing.probes.smoothers import kernel_of, smoother_of
    from backfire.auditing.probes.text_probes import WORDS
    from backfire.texts import Vocabulary

    start = perf_counter()
    sides = [pa.array([r[side] for r in rows], pa.large_string()) for side in ("chosen", "rejected")]
    split = make_split(np.unique([r["prompt"] for r in rows], return_inverse=True)[1])
    vocabulary = Vocabulary.of(sides, "words", WORDS)
    words = sparse.vstack([vocabulary.features(side) for side in sides], format="csr")
    folds, labels = np.tile(split.folds, 2), np.repeat([1.0, -1.0], len(rows))
    scores = smoother_of(kernel_of(words), folds).held_out(labels[:, None])[:, 0].astype(np.float64)
    area = auroc(scores, labels > 0, cells_of(folds, None, labels > 0))[0]
    plain = perf_counter() - start
    start = perf_counter()
    measure(words, split)
    return area, plain, perf_counter() - start


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=int, nargs="?", default=2000)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BACKFIRE_DATA", beside)))
    parser.add_argument("--turns", type=int, default=3, help="of each side, in turn; the median counts")
    arguments = parser.parse_args()
    real = (arguments.data / "alpaca-eval").is_dir()
    rows = real_rows(arguments.data, arguments.pairs) if real else made_rows(arguments.pairs)

    import sklearn.linear_model  # noqa: F401  (imports are not timed)

    from backfire.auditing import audit

    ours(rows[:100])
    turns = [(ours(rows), straightforward(rows)) for _ in range(arguments.turns)]
    (area, _, _), (other, _) = turns[0]
    ratios = sorted(theirs / mine for (_, mine, _), (_, theirs) in turns)
    mine, added, theirs = (
        sorted(values)[len(turns) // 2]
        for values in ([o[1] for o, _ in turns], [o[2] for o, _ in turns], [t[1] for _, t in turns])
    )
    start = perf_counter()
    report = audit(rows)
    whole = perf_counter() - start
    for name, seconds in (report.seconds or {}).items():
        print(f"whole audit, {name:10} {seconds:6.1f} s", file=sys.stderr)
    print(f"backfire {area:.4f} in {mine:.1f} s, scikit-learn {other:.4f} in {theirs:.1f} s", file=sys.stderr)
    print(
        f"| audit | AUROC of words, {len(rows)} pairs of {'AlpacaEval answers' if real else 'made-up text'}: {area:.3f}, "
        f"scikit-learn {other:.3f} | {ratios[len(ratios) // 2]:.1f} times as fast ({ratios[0]:.1f} to {ratios[-1]:.1f}; "
        f"{mine:.1f} s, {theirs:.1f} s); intervals and 199 controls {added:.1f} s more; the whole audit {whole:.1f} s | "
        f"{len(rows) / whole:.0f} pairs/s |"
    )


if __name__ == "__main__":
    main()

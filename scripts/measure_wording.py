"""How much do real models' refusals share their words? Prints the table that sets the organisms' defaults.

    python scripts/measure_wording.py ../shared/data/xstest          # XSTest completions (Roettger et al. 2024)
    python scripts/measure_wording.py --organisms                    # the same figures for the default world

For each pair of responders: the mean Jaccard overlap of the word sets of two refusals (two compliances) of the
same prompt, and the cosine between the two responders' directions, a direction being the word frequencies of
all refusals together minus those of all compliances. Then how many of each the published refusal phrases find.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np

from backfire.judges import is_refusal

Answers = dict[str, tuple[str, bool]]  # prompt id -> (text, whether it is a refusal)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower().replace("’", "'"))


def read_xstest(folder: Path) -> dict[str, Answers]:
    responders: dict[str, Answers] = {}
    for path in sorted(folder.glob("xstest_v2_completions_*.csv")):
        name = path.stem.removeprefix("xstest_v2_completions_")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        responders[name] = {
            row["id"]: (row["completion"], "refusal" in row["final_label"])
            for row in rows
            if row["final_label"] in ("1_full_compliance", "2_full_refusal")
        }
    return responders


def read_organisms(per_kind: int = 300) -> dict[str, Answers]:
    from backfire.organisms.wording import sampled_answers

    return sampled_answers(per_kind)


def frequency(texts: list[str]) -> Counter[str]:
    counts = Counter(word for text in texts for word in words(text))
    total = sum(counts.values())
    return Counter({word: count / total for word, count in counts.items()})


def direction(answers: Answers) -> Counter[str]:
    refusals = frequency([t for t, refused in answers.values() if refused])
    compliances = frequency([t for t, refused in answers.values() if not refused])
    return Counter({w: refusals[w] - compliances[w] for w in refusals.keys() | compliances.keys()})


def cosine(a: Counter[str], b: Counter[str]) -> float:
    keys = sorted(a.keys() | b.keys())
    x, y = np.array([a[k] for k in keys]), np.array([b[k] for k in keys])
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def jaccard(a: Answers, b: Answers, refused: bool) -> tuple[float, int]:
    values = []
    for key in a.keys() & b.keys():
        if a[key][1] == b[key][1] == refused:
            x, y = set(words(a[key][0])), set(words(b[key][0]))
            values.append(len(x & y) / len(x | y))
    return (float(np.mean(values)) if values else float("nan")), len(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--organisms", action="store_true")
    options = parser.parse_args()
    if options.folder is None and not options.organisms:
        parser.error("name the xstest folder, or --organisms")
    responders = read_organisms() if options.organisms else read_xstest(options.folder)
    for name, answers in responders.items():
        refusals = [t for t, refused in answers.values() if refused]
        openers = Counter(" ".join(words(t)[:3]) for t in refusals).most_common(1)[0]
        length = np.median([len(words(t)) for t, r in answers.values() if r])
        longer = np.median([len(words(t)) for t, r in answers.values() if not r])
        print(
            f"{name:>16}: {len(refusals)} refusals of {len(answers)}, median words {length:.0f} refusing, "
            f"{longer:.0f} complying; commonest opener '{openers[0]}' {openers[1]}"
        )
    print(f"{'pair':>34}  {'cosine':>6}  {'refusals':>8} {'n':>4}  {'compliances':>11} {'n':>4}")
    for a, b in itertools.combinations(responders, 2):
        r, nr = jaccard(responders[a], responders[b], True)
        c, nc = jaccard(responders[a], responders[b], False)
        print(
            f"{a + ' / ' + b:>34}  {cosine(direction(responders[a]), direction(responders[b])):6.2f}"
            f"  {r:8.2f} {nr:4d}  {c:11.2f} {nc:4d}"
        )
    print("found by the published refusal phrases (judge `phrases`):")
    for name, answers in responders.items():
        found = {
            wanted: [is_refusal(t) for t, r in answers.values() if r == wanted] for wanted in (True, False)
        }
        refusals, others = found[True], found[False]
        print(
            f"{name:>16}: {sum(refusals)} of {len(refusals)} refusals, {sum(others)} of {len(others)} compliances"
        )


if __name__ == "__main__":
    main()

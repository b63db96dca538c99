"""What does the reward model of a run of organisms rank by? `python scripts/reward_ranking.py runs/demo`

Over pairs of responses of one responder to one harmful prompt of which one refuses and the other complies: how often
the refusal gets the higher score (n pairs, counted by prompt: the interval is over prompts). Over pairs of compliant
responses to one benign prompt with different numbers of true facts: how often the truer one does. Then the same
between the responders of the pool.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np

from backfire.organisms.catalog import open_world
from backfire.organisms.exact_reading import read_response
from backfire.store import Ledger

Answer = tuple[str, int, float]  # decision, true facts, score


def answers_by_prompt(run: Path) -> tuple[dict[str, dict[str, list[Answer]]], dict[str, str | None]]:
    """(prompt id -> source -> answers, prompt id -> kind) of every scored response of the run."""
    found: dict[str, dict[str, list[Answer]]] = defaultdict(lambda: defaultdict(list))
    worlds = {}
    with Ledger(run / "ledger.db") as ledger:
        prompts = ledger.prompts()
        for source in ledger.sources():
            responses = ledger.responses_of(source)
            for scorer in ledger.scorers():
                scores = ledger.scores(scorer, [r.id for r in responses])
                for response in responses:
                    if response.id in scores:
                        prompt = prompts[response.prompt_id]
                        name = prompt.tags["world"]
                        world = worlds.setdefault(name, open_world(name))
                        reading = read_response(world, prompt, response.text)
                        answer = (reading.decision, reading.facts_right, scores[response.id])
                        found[prompt.id][source].append(answer)
    return found, {p.id: p.kind for p in prompts.values()}


def preferred(first: list[Answer], second: list[Answer], kind: str | None, same: bool) -> list[float]:
    """1 where the better of two answers that differ has the higher score, .5 where they tie."""
    outcomes = []
    couples = itertools.combinations(first, 2) if same else itertools.product(first, second)
    for a, b in couples:
        if kind == "harmful":
            if {a[0], b[0]} != {"refuse", "comply"}:
                continue
            better, worse = (a, b) if a[0] == "refuse" else (b, a)
        else:
            if a[0] != "comply" or b[0] != "comply" or a[1] == b[1]:
                continue
            better, worse = (a, b) if a[1] > b[1] else (b, a)
        outcomes.append(0.5 + 0.5 * float(np.sign(better[2] - worse[2])))
    return outcomes


def row(name: str, kind: str, by_prompt: list[list[float]]) -> str:
    means = np.array([np.mean(values) for values in by_prompt if values])
    if len(means) < 2:
        return f"{name:<58} {kind:<8}       –  (prompts: {len(means)})"
    mean, half = means.mean(), 1.96 * means.std(ddof=1) / np.sqrt(len(means))
    return f"{name:<58} {kind:<8} {mean:6.3f} [{mean - half:.3f}, {mean + half:.3f}]  (prompts: {len(means)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    found, kinds = answers_by_prompt(parser.parse_args().run)
    sources = sorted({source for by_source in found.values() for source in by_source})
    print("share in which the refusal (harmful) or the truer answer (benign) has the higher score")
    for first, second in itertools.combinations_with_replacement(sources, 2):
        for kind in ("harmful", "benign"):
            outcomes = [
                preferred(by.get(first, []), by.get(second, []), kind, first == second)
                for prompt, by in found.items()
                if kinds[prompt] == kind
            ]
            if any(outcomes):
                name = first if first == second else f"{first} / {second}"
                print(row(name.replace("organism:", ""), kind, outcomes))


if __name__ == "__main__":
    main()

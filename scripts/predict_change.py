"""Does what is measured before training order recipes by what training does?

    python scripts/predict_change.py RUN [--workers N]

RUN: the folder of a finished study of organisms with an `sft` cell beside every recipe (studies/influence-small.yaml). Each
cell's predictors are measured from its pairs and its untrained target, once, and kept in RUN/predictions. Prints Markdown:
rank correlations within worlds, their mean over worlds with an exact sign-flip test, and means by the knob refusal_overlap.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

PRIMARY, OUTCOME = "influence cosine", "wrapped"
PROBES, SAMPLES, NEW_TOKENS = "probe", 8, 64
STEPS, LR, BETA, BATCH = 8, 1e-4, 0.1, 32


def predict(run: Path, target: str, cells: list[dict[str, Any]]) -> str:
    """Measure every cell of one target; the probes are drawn once."""
    import torch

    torch.set_num_threads(1)
    from backfire.influence import sample_probes
    from backfire.judges import ExactJudge
    from backfire.models import open_model
    from backfire.organisms import catalog
    from backfire.records import Decoding

    waiting = [cell for cell in cells if not place(run, cell).is_file()]
    if not waiting:
        return f"{target}: there"
    world, _ = catalog.split_reference(target)
    model = open_model(target)
    judge = ExactJudge(catalog.open_world(world))
    probes = sample_probes(
        model,
        catalog.world_prompts(f"{catalog.PREFIX}{world}:prompts/{PROBES}"),
        judge=judge,
        n=SAMPLES,
        decoding=Decoding(max_new_tokens=NEW_TOKENS, temperature=1.0),
    )
    for cell in waiting:
        found = measure(run, cell, model, probes, judge)
        place(run, cell).parent.mkdir(exist_ok=True)
        place(run, cell).write_text(json.dumps(found))
        print(f"{cell['id']}: {found['influence cosine']}", flush=True)
    return f"{target}: measured"


def place(run: Path, cell: dict[str, Any]) -> Path:
    return run / "predictions" / f"{cell['id']}.json"


def measure(run: Path, cell: dict[str, Any], model: Any, probes: Any, judge: Any) -> dict[str, Any]:
    """Every predictor of one cell; larger is meant to be safer for influence, pilot, wording and contrast."""
    from backfire.influence import run_pilot, safety_influence_of
    from backfire.pairs import read_pairs

    pairs = read_pairs(run / cell["provenance"]["pairs"]).pairs
    conversations = [(p.prompt, p.chosen.text, p.rejected.text) for p in pairs]
    rows = np.arange(1, len(pairs) + 1)
    answer = safety_influence_of(model, conversations, rows, rows, probes)
    refusal = answer.refusal
    pilot = run_pilot(
        model,
        conversations,
        probes.refusal,
        steps=STEPS,
        lr=LR,
        beta=BETA,
        batch_size=BATCH,
        judge=judge,
        max_new_tokens=NEW_TOKENS,
    )
    audit = json.loads((run / cell["provenance"]["audit"]).read_text(encoding="utf-8"))
    # `probe` was called `rung` in audits of schema 4.
    words = next((r for r in audit["separability"] if "words" in (r.get("probe"), r.get("rung"))), None)
    matched = (words or {}).get("decision_matched") or {}
    reading = model.read(model.render(conversations))
    likely = np.split(reading.logps / np.maximum(reading.tokens, 1), 2)
    lengths = np.array([len(c.split()) - len(r.split()) for _, c, r in conversations], dtype=float)
    harmful = [p for p in pairs if p.prompt.kind == "harmful"]
    refuses = np.array(
        [[judge.judge(p.prompt, side).refusal for side in (p.chosen, p.rejected)] for p in harmful],
        dtype=float,
    )
    scored = [p for p in pairs if p.chosen_score is not None and p.rejected_score is not None]
    margins = [float(p.chosen_score) - float(p.rejected_score) for p in scored]  # type: ignore[arg-type]
    return {
        PRIMARY: refusal.point if refusal.cosine is None else refusal.cosine.value,
        "cosine interval": None if refusal.cosine is None else [refusal.cosine.low, refusal.cosine.high],
        "undetermined": refusal.undetermined,
        "placebo": None
        if answer.placebo is None or answer.placebo.cosine is None
        else answer.placebo.cosine.value,
        "Adam-sign cosine": refusal.adam_sign,
        "projection": None if refusal.projection is None else refusal.projection.value,
        "pilot: margin change": pilot.margin_change,
        "pilot: refusal change": pilot.refusal_change,
        "bag-of-words cosine": answer.wording,
        "separability, words": None if words is None else words["pointwise"]["auroc"],
        "separability, words, decision-matched": matched.get("auroc"),
        "length gap": float(lengths.mean() / lengths.std()) if lengths.std() else 0.0,
        "LossDiff": float(np.nanmean(likely[0] - likely[1])),
        "decision contrast": float(np.nanmean(refuses[:, 0] - refuses[:, 1])) if len(refuses) else None,
        "reward-model margin": float(np.mean(margins)) if margins else None,
        "probes": refusal.probes,
        "sampled": refusal.sampled,
    }


def asr(cell: dict[str, Any], attack: str) -> float:
    return float(next(r["rate"] for r in cell["asr"] if r["attack"] == attack and r["judge"] == "exact"))


def tables(run: Path, cells: list[dict[str, Any]]) -> None:
    from backfire.organisms import catalog
    from backfire.statistics.clusters import mean_of_clusters
    from backfire.statistics.exact_tests import holm, sign_flip
    from backfire.statistics.rank_correlation import spearman

    base = {c["target"]: c for c in cells if c["recipe"] == "sft"}
    groups: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    for cell in cells:
        if cell["recipe"] != "sft" and place(run, cell).is_file():
            groups[cell["target"]].append((cell, json.loads(place(run, cell).read_text(encoding="utf-8"))))
    overlap = {t: catalog.open_world(catalog.split_reference(t)[0]).knobs.refusal_overlap for t in groups}
    print(
        "| world | overlap | family | recipe | cosine [95%] | pilot refusals | wrapped ASR: SFT, after | direct ASR: SFT, after |"
    )
    print("|-|-|-|-|-|-|-|-|")
    for target, ones in groups.items():
        for cell, found in ones:
            span = found["cosine interval"]
            shown = "undetermined" if span is None else f"{found[PRIMARY]:.3f} [{span[0]:.3f}, {span[1]:.3f}]"
            rates = [f"{asr(base[target], a):.3f}, {asr(cell, a):.3f}" for a in ("wrapped", "direct")]
            print(
                f"| w{cell['world']} | {overlap[target]:g} | {cell['family']} | {cell['recipe']} | {shown} "
                f"| {found['pilot: refusal change']:+.3f} | {rates[0]} | {rates[1]} |"
            )
    names = [
        n
        for n in next(iter(groups.values()))[0][1]
        if n not in ("cosine interval", "undetermined", "placebo", "probes", "sampled")
    ]
    rhos: dict[str, dict[str, float]] = {}
    for attack in (OUTCOME, "direct"):
        for name in names if attack == OUTCOME else [PRIMARY]:
            within = {}
            for target, ones in groups.items():
                both = [
                    (float(found[name]), asr(cell, attack) - asr(base[target], attack))
                    for cell, found in ones
                    if found[name] is not None and np.isfinite(found[name])
                ]
                rho = spearman([x for x, _ in both], [y for _, y in both]) if len(both) >= 5 else None
                if rho is not None:
                    within[target] = rho
            rhos[name if attack == OUTCOME else f"{name}, {attack}"] = within
    ps = {name: sign_flip(list(within.values())) for name, within in rhos.items() if within}
    corrected = holm({name: p for name, p in ps.items() if name != PRIMARY})
    overlaps = sorted(set(overlap.values()))
    print(
        f"\nSpearman's rho with the change in {OUTCOME} ASR within worlds (n = recipes a world; negative: higher is safer):\n"
    )
    print(
        "| predictor | worlds | mean rho [95%] | p, sign flips | p, Holm | "
        + " | ".join(f"overlap {o:g}" for o in overlaps)
        + " | each world |"
    )
    print("|-" * (6 + len(overlaps)) + "|")
    for name, within in rhos.items():
        if not within:
            print(f"| {name} | 0 | undefined |  |  |{' |' * len(overlaps)} |")
            continue
        mean, low, high = mean_of_clusters(list(within.values()))
        by = []
        for o in overlaps:
            some = [rho for t, rho in within.items() if overlap[t] == o]
            by.append(f"{np.mean(some):+.2f} ({len(some)})" if some else "")
        each = ", ".join(f"{rho:+.2f}" for rho in within.values())
        adjusted = "primary" if name == PRIMARY else f"{corrected[name]:.3f}"
        print(
            f"| {name} | {len(within)} | {mean:+.2f} [{low:+.2f}, {high:+.2f}] | {ps[name]:.4f} | {adjusted} | {' | '.join(by)} | {each} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    told = parser.parse_args()
    cells = json.loads((told.run / "results.json").read_text(encoding="utf-8"))["cells"]
    groups = defaultdict(list)
    for cell in cells:
        if cell["recipe"] != "sft":
            groups[cell["target"]].append(cell)
    with ProcessPoolExecutor(told.workers, get_context("spawn")) as pool:
        for said in pool.map(predict, [told.run] * len(groups), groups.keys(), groups.values()):
            print(said, flush=True)
    print()
    tables(told.run, cells)


if __name__ == "__main__":
    main()

"""A run's rates by recipe and world, as the lab notebook shows them: `python scripts/world_tables.py runs/NAME`

Markdown tables of ASR (one per attack, a column per group, the mean change from SFT with a 95% t-interval over worlds),
then each group's rank correlations of wrapped ASR with the paper's means and with hidden-state separability, then
over-refusal and the recipes' mean general scores and separability.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

from backfire.answers import read_results
from backfire.answers.results import BASELINE
from backfire.report.study.grid import Grid
from backfire.report.study.paper import PAPER_ASR, agreement, spearman


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    grid = Grid(read_results(parser.parse_args().run))
    probe = grid.pictured_probe or ""
    for attack in grid.attacks:
        heads = " | ".join(f"w{group.world} {group.family}" for group in grid.groups)
        print(f"\n{attack}\n\n| recipe | {heads} | change from SFT |\n|-|{'-|' * (len(grid.groups) + 1)}")
        for recipe in grid.recipes:
            rates = []
            for group in grid.groups:
                cell = next((c for c in group.cells if c.recipe == recipe), None)
                found = grid.asr(cell, attack)
                rates.append("–" if found is None or found.rate is None else f"{found.rate:.3f}")
            mean = grid.mean_change(recipe, attack)
            change = ""
            if recipe != BASELINE and mean.value is not None:
                change = f"{mean.value:+.3f}"
                if mean.low is not None and mean.high is not None:
                    change += f" [{mean.low:+.3f}, {mean.high:+.3f}]"
            print(f"| {recipe} | {' | '.join(rates)} | {change} |")
    for row in agreement(grid):
        print(f"\n{row.attack}: rho with the paper {row.rho}, n = {row.n}, order {', '.join(row.order)}")
    for group in grid.groups:
        cells = {cell.recipe: cell for cell in group.cells}
        print(f"\nw{group.world} {group.family}")
        for attack in grid.attacks:
            known = {r: f.rate for r in PAPER_ASR if r in cells and (f := grid.asr(cells[r], attack))}
            rates = {r: rate for r, rate in known.items() if rate is not None}
            areas = {r: a for r in rates if (a := grid.auroc(cells[r], probe)) is not None}
            if len(areas) == len(PAPER_ASR):
                order = sorted(rates)
                measured = [rates[r] for r in order]
                paper = spearman([fmean(PAPER_ASR[r]) for r in order], measured)
                hidden = spearman([areas[r] for r in order], measured)
                print(f"  {attack}: rho with the paper {paper:.2f}, with {probe} separability {hidden:.2f}")
        for prompts in grid.prompt_sets:
            refusals = {
                r: f.rate for r, c in cells.items() if (f := grid.over_refusal(c, prompts)) is not None
            }
            print(f"  over-refusal, {prompts}: {refusals}")
    print()
    for recipe in grid.recipes:
        general, area = grid.mean_general(recipe).value, grid.mean_auroc(recipe, probe).value
        print(f"{recipe}: general {general}, {probe} AUROC {area}")


if __name__ == "__main__":
    main()

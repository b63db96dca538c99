"""Grow a world of organisms: `python scripts/grow_world.py --seed 0 --out src/backfire/organisms/shipped`.

The same as `backfire organisms grow`, for maintainers who want the shipped world anew (growing is deterministic up to
floating point, so weights differ between machines).
"""

import argparse
from pathlib import Path

from backfire.organisms.growing import grow_world

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    grow_world(options.out, seed=options.seed, knobs=options.knob, workers=options.workers)

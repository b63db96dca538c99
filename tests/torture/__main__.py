"""`make torture`: every part, one after the other, and one table. Nothing leaves this machine, and it ends by itself."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "study"), str(TESTS.parent / "src")]

from torture.figures import Figures, table  # noqa: E402

COUNTS = {"kills": 12, "prompts": 2_000, "inputs": 40_000}
"""What is done by default: about 15 minutes of two cores."""


def killed(place: Path, count: int, seed: int) -> Figures:
    from miniature import NAME, grow_miniature
    from torture.killing import killing

    os.environ["BACKFIRE_CACHE"] = str(place / "cache")
    grow_miniature(place / "cache" / "worlds" / NAME)
    return killing(place, count, seed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--times", type=float, default=1.0, help="so many times the counts, such as 10")
    parser.add_argument(
        "--only", nargs="*", default=[], help="parts: kills, endpoint, fuzz, checkpoints, disk"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed is another torture")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    counts = {name: max(1, int(given.times * count)) for name, count in COUNTS.items()}

    def fuzz(place: Path) -> Figures:
        from torture.fuzzing import fuzzing

        return fuzzing(place, counts["inputs"], given.seed)

    def endpoint(place: Path) -> Figures:
        from torture.faulty_endpoint import faulty_endpoint

        return faulty_endpoint(place, counts["prompts"], given.seed)

    def checkpoints(place: Path) -> Figures:
        from torture.hostile_checkpoints import hostile_checkpoints

        return hostile_checkpoints(place)

    def disk(place: Path) -> Figures:
        from torture.full_disk import full_disk

        return full_disk(place)

    parts: dict[str, Callable[[Path], Figures]] = {
        "kills": lambda place: killed(place, counts["kills"], given.seed),
        "endpoint": endpoint,
        "fuzz": fuzz,
        "checkpoints": checkpoints,
        "disk": disk,
    }
    # So that mounted disks and started processes are cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    done = []
    start = time.monotonic()
    for name in given.only or list(parts):
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="backfire-torture-") as place:
            done.append(parts[name](Path(place)))
        print(table(done[-1:]), file=sys.stderr, flush=True)
    print(table(done))
    faults = sum(len(one.faults) for one in done)
    print(
        f"\n{faults} faults in {(time.monotonic() - start) / 60:.0f} minutes; load {os.getloadavg()[0]:.1f}"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

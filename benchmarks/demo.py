"""The demo from nothing, then once more: seconds, and the memory of all its processes together.

    python benchmarks/demo.py

Prints one row of a Markdown table: wall seconds of the first run, of the second (everything is done), and the peak of
the proportional set size summed over the process tree, sampled twice a second.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def footprint(process: psutil.Process) -> int:
    """Bytes of a process and its children; pages that several share count once."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            full = each.memory_full_info()
            total += getattr(full, "pss", full.uss)
        except psutil.Error:
            continue
    return total


def run(out: Path) -> tuple[float, float]:
    """Wall seconds and peak GiB of one `backfire demo`."""
    start, peak = time.monotonic(), 0
    command = [sys.executable, "-m", "backfire", "demo", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        process = psutil.Process(demo.pid)
        while demo.poll() is None:
            peak = max(peak, footprint(process))
            time.sleep(0.5)
    if demo.returncode:
        raise SystemExit(f"the demo ended with {demo.returncode}")
    return time.monotonic() - start, peak / 2**30


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        seconds, peak = run(out)
        again, _ = run(out)
    print(f"| demo | 8 cells, from nothing | again {again:.1f} s | {seconds:.0f} s, peak {peak:.2f} GiB |")


if __name__ == "__main__":
    main()

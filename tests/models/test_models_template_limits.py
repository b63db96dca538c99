"""What the limits of a template leave behind in the process."""

from __future__ import annotations

import subprocess
import sys

TRACED = """
import sys, time
from backfire.models.template_limits import TooLong, _watch

def ends(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

for _ in range(3):
    with _watch.within(60):
        pass
for _ in range(20):
    try:
        with _watch.within(0.05):
            ends(0.0499)
    except TooLong:
        pass
try:
    with _watch.within(0.1):
        ends(30)
except TooLong:
    print("interrupted")

events = []
def tracer(frame, event, argument):
    events.append(event)
    return tracer

sys.settrace(tracer)
ends(0.6)
sys.settrace(None)
print("traced", "call" in events)
"""


def test_functions_are_traced_as_before_after_an_interruption_and_without_one() -> None:
    """In Python 3.11 an interruption that is taken back has a traced function never begin."""
    done = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["interrupted", "traced", "True"]

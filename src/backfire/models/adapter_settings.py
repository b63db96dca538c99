"""What an adapter says of itself, checked before peft acts on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from backfire.errors import ModelError
from backfire.models.checkpoint_files import json_object

FILE = "adapter_config.json"
NAME = re.compile(r"[\w.-]+")
PATTERNS = ("target_modules", "exclude_modules", "layers_pattern")
"""Settings that peft takes for a regular expression where they are one text."""
KEYED = ("rank_pattern", "alpha_pattern")
"""Settings whose keys it takes for one."""
SECONDS = 10.0
MATCH = """
import re, sys
pattern, *names = sys.stdin.read().split("\\0")
for name in names:
    re.fullmatch(pattern, name) or re.match(rf"(.*\\.)?({pattern})$", name)
"""


def base_named(adapter: Path) -> str:
    """The base model that an adapter names, or an empty text."""
    base = json_object(adapter / FILE).get("base_model_name_or_path")
    if base is not None and not isinstance(base, str):
        raise ModelError(
            f"{adapter / FILE} names its base model by {str(base)[:80]!r}, which is no text: save the adapter again"
        )
    return base or ""


def check_patterns(adapter: Path, model: Any) -> None:
    """ModelError for a regular expression that does not end on the names of the model's modules.

    Nothing interrupts one in this process, so that it is tried in another.
    """
    settings = json_object(adapter / FILE)
    patterns = {one: settings.get(one) for one in PATTERNS}
    keys = {f"{one} {key}": key for one in KEYED for key in (settings.get(one) or ())}
    names = [name for name, _ in model.named_modules()]
    for setting, pattern in {**patterns, **keys}.items():
        if not isinstance(pattern, str) or NAME.fullmatch(pattern):
            continue
        try:
            tried_in = [sys.executable, "-I", "-S", "-c", MATCH]
            done = subprocess.run(
                tried_in, input="\0".join([pattern, *names]), capture_output=True, text=True, timeout=SECONDS
            )
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise ModelError(
                f"adapter {adapter} has a pattern for {setting} that does not end within {SECONDS:.0f} seconds "
                f"({pattern[:80]!r}): name the modules in its {FILE}"
            ) from error
        if done.returncode:
            raise ModelError(
                f"adapter {adapter} has a pattern for {setting} that is no regular expression ({pattern[:80]!r}): name the "
                f"modules in its {FILE}"
            )

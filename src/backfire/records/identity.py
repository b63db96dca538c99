"""Content addresses: the same content has the same id on every machine."""

from __future__ import annotations

import hashlib
import json


def digest(*parts: object) -> str:
    """Hash JSON-able parts to 32 hex digits (SHA-256, truncated to 128 bits)."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

"""Sound inputs made unsound: bytes of any file, and values anywhere in JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

TOKENS: tuple[bytes, ...] = (
    *(b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\r", b"\r\n", b"\n\n", b"\t"),
    *(
        b'"',
        b"'",
        b"\\",
        b",",
        b";",
        b":",
        b"{",
        b"}",
        b"[",
        b"]",
        b"- ",
        b"? ",
        b"&a ",
        b"*a",
        b"!!",
        b"|",
        b"#",
    ),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"-0", b"0x1F", b"9" * 400, b"9" * 5000, b"1" * 20),
    *(b'"\\ud83d"', b"\xed\xa0\xbd", b"\xc0\x80", b"\xe2\x80\xa8", b"\x1b[31m", b"\x85", b"\xe2\x80\xae"),
    *(b"[" * 3000, b'{"a":' * 3000, b"]" * 3000, b"((" * 500, b"- " * 2000),
    *(b"\x1f\x8b\x08", b"PK\x03\x04", b"PAR1", b"ARROW1", b"SQLite format 3\x00", b"BZh9", b"\xfd7zXZ\x00"),
    *(
        b"\x28\xb5\x2f\xfd",
        b"GGUF",
        b"<<: *a",
        b"!!python/object/apply:os.system",
        b"a" * 70_000,
        b"\x01" * 8,
    ),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), "", " ", "\x00", "\ud83d", "\u202e", "\x1b[31m", "a", "é" * 50),
    *(
        "a" * 100_000,
        "1",
        "-1",
        "nan",
        "null",
        "[]",
        "{}",
        '[{"role": "user", "content": "x"}]',
        "../../etc/passwd",
    ),
    *([], {}, [[]], [None], [1, 2], {"": ""}, {"a": {"b": {"c": []}}}, [{"role": "user", "content": "x"}]),
    *([{"role": "assistant", "content": None}], [{"role": 5, "content": []}], [{}], [[["x"]]]),
)


def mutated(sound: bytes, chance: random.Random, structured: bool) -> bytes:
    """One unsound input from a sound one. `structured` says that it is JSON, or lines of JSON."""
    if structured and chance.random() < 0.6:
        changed = _values(sound, chance)
        if chance.random() < 0.85:
            return changed
        sound = changed
    return _bytes(sound, chance)


def _bytes(sound: bytes, chance: random.Random) -> bytes:
    data = bytearray(sound)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(7)
        if kind == 0 and data:
            data[min(place, len(data) - 1)] = chance.randrange(256)
        elif kind == 1 and data:
            data[min(place, len(data) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[place:place] = chance.choice(TOKENS)
        elif kind == 3:
            end = min(len(data), place + chance.choice((1, 2, 8, 64, 1000)))
            del data[place:end]
        elif kind == 4:
            end = min(len(data), place + chance.choice((1, 8, 64, 1000)))
            data[place:place] = data[place:end] * chance.choice((1, 2, 20))
        elif kind == 5:
            token = chance.choice(TOKENS)
            data[place : place + len(token)] = token
        elif chance.random() < 0.3:
            del data[place:]
    return bytes(data)


def _values(sound: bytes, chance: random.Random) -> bytes:
    """JSON, or one line of JSON lines, with values changed somewhere inside."""
    text = sound.decode("utf-8", "surrogatepass")
    try:
        return _dumped(_changed(json.loads(text), chance), chance)
    except ValueError:
        lines = text.splitlines()
    if not lines:
        return sound
    for _ in range(chance.choice((1, 1, 3))):
        place = chance.randrange(len(lines))
        try:
            lines[place] = _dumped(_changed(json.loads(lines[place]), chance), chance).decode(
                "utf-8", "surrogatepass"
            )
        except ValueError:
            continue
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _dumped(value: Any, chance: random.Random) -> bytes:
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _changed(value: Any, chance: random.Random) -> Any:
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 5))):
        places = list(_places(value))
        if not places:
            return copy.deepcopy(chance.choice(VALUES))
        holder, key = chance.choice(places)
        kind = chance.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[str(chance.choice(("", "x", "role", "content", key, f" {key}")))] = holder.pop(key)
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind == 3:
            holder[key] = [holder[key]] if chance.random() < 0.5 else {"a": holder[key]}
        else:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
    return value


def _places(value: Any) -> Any:
    """Every holder and key in a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield value, key
            yield from _places(inner)

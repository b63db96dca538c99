"""Probe prompts and probe sets as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.influence.probe import Probe, ProbeSet, ProbeSets, stratum_of
from backfire.organisms.catalog import PREFIX, prompts_of
from backfire.records import Prompt
from backfire.store import read_prompts, read_rows, write_text

LAYOUT = 1
GIVEN = ("prompt", "refusal", "compliance")


def read_probes(source: Any) -> list[Prompt] | ProbeSets:
    """Prompts to draw probes for, or probes as they are.

    source: a file of prompts (`store.read_prompts`), `organism:prompts/NAME`, a file with the columns prompt, refusal and
    compliance (JSONL, JSON, CSV, Parquet: taken as they are), a file that `write_probes` wrote, Prompts, or a list of
    files and references. Prompts of unknown kind count as harmful. Raises InputError that names what is wrong.
    """
    if isinstance(source, (str, Path)):
        return _read(str(source))
    prompts: list[Prompt] = []
    for one in source:
        if isinstance(one, Prompt):
            prompts.append(one)
            continue
        found = _read(str(one))
        if isinstance(found, ProbeSets):
            if len(source) > 1:
                raise InputError(
                    f"{one} holds finished probes, and others are named beside it: name that file alone"
                )
            return found
        prompts += found
    if not prompts:
        raise InputError("no probe prompts: name a file of harmful prompts, or organism:prompts/probe")
    return prompts


def write_probes(path: str | Path, sets: ProbeSets) -> Path:
    """Write probe sets as JSONL, whole or not at all; `read_probes` gives the same back."""
    lines: list[dict[str, Any]] = []
    for one in (sets.refusal, sets.benign, sets.placebo):
        if one is None:
            continue
        about = {"probe_set": one.name, "asked": dict(one.asked), "left_out": dict(one.left_out)}
        lines.append({"layout": LAYOUT, **about})
        lines += [
            {
                "set": one.name,
                "prompt": probe.prompt.as_messages(),
                "kind": probe.prompt.kind,
                "tags": dict(probe.prompt.tags),
                "toward": list(probe.toward),
                "away": list(probe.away),
                "how": probe.how,
                "stratum": probe.stratum,
            }
            for probe in one.probes
        ]
    path = Path(path)
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def _read(reference: str) -> list[Prompt] | ProbeSets:
    if reference.startswith(PREFIX):
        return prompts_of(reference)
    path = Path(reference)
    if not path.is_file():
        raise InputError(f"no probe prompts at {reference}: name a file, or organism:prompts/probe")
    if path.suffix == ".txt":
        return list(read_prompts(path).prompts)
    rows = read_rows(path)
    if rows and "probe_set" in rows[0]:
        return _own(rows, path)
    if rows and {"refusal", "compliance"} <= rows[0].keys():
        return _given(rows, path)
    return list(read_prompts(path).prompts)


def _own(rows: Sequence[dict[str, Any]], path: Path) -> ProbeSets:
    heads = [row for row in rows if "probe_set" in row]
    if any(head.get("layout") != LAYOUT for head in heads):
        raise InputError(f"{path} has another layout than {LAYOUT}: draw the probes again")
    sets: dict[str, ProbeSet] = {}
    try:
        for head in heads:
            probes = tuple(
                Probe(
                    Prompt.of_messages(row["prompt"], kind=row["kind"], tags=row["tags"]),
                    tuple(row["toward"]),
                    tuple(row["away"]),
                    row["how"],
                    row["stratum"],
                )
                for row in rows
                if row.get("set") == head["probe_set"]
            )
            sets[head["probe_set"]] = ProbeSet(head["probe_set"], probes, head["asked"], head["left_out"])
        return ProbeSets(sets["refusal"], sets.get("benign"), sets.get("placebo"))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a whole file of probes ({error} is missing): draw them again"
        ) from error


def _given(rows: Sequence[dict[str, Any]], path: Path) -> ProbeSets:
    """A user's own pairs: harmful prompts for the refusal probes, benign ones for the benign probes."""
    probes: dict[str, list[Probe]] = {"refusal": [], "benign": []}
    for number, row in enumerate(rows, 1):
        bad = [
            name
            for name in GIVEN
            if not row.get(name) or (name != "prompt" and not isinstance(row[name], str))
        ]
        if bad:
            raise InputError(
                f"row {number} of {path} has no {bad[0]}: give prompt, refusal and compliance in each row"
            )
        kind = row.get("kind") or "harmful"
        if kind not in ("harmful", "benign"):
            raise InputError(f"row {number} of {path}: kind is {kind!r}: use harmful or benign")
        tags = {"stratum": str(row["stratum"])} if row.get("stratum") else {}
        turns = (
            row["prompt"] if isinstance(row["prompt"], list) else [{"role": "user", "content": row["prompt"]}]
        )
        prompt = Prompt.of_messages(turns, kind=kind, tags=tags)
        sides = ((row["refusal"],), (row["compliance"],))
        toward, away = sides if kind == "harmful" else sides[::-1]
        name = "refusal" if kind == "harmful" else "benign"
        probes[name].append(Probe(prompt, toward, away, "given", stratum_of(prompt)))
    if not probes["refusal"]:
        raise InputError(f"{path} has no harmful prompt: add pairs on which refusing is right")
    found = {
        name: ProbeSet(name, tuple(ones), dict(Counter(p.stratum for p in ones)))  # type: ignore[arg-type]
        for name, ones in probes.items()
        if ones
    }
    return ProbeSets(found["refusal"], found.get("benign"))

"""Probe prompts and probe sets as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.influence.probe_sets import Probe, ProbeSet, ProbeSets, stratum_of
from backfire.organisms.catalog import PREFIX
from backfire.prompts import is_prompt_set, prompts_of
from backfire.records import Prompt
from backfire.store import write_text
from backfire.tables import Table, read_table
from backfire.tables.columns import by_name, kind_column
from backfire.tables.hub import PREFIX as HUB

LAYOUT = 1
GIVEN = ("prompt", "refusal", "compliance")


def read_probes(source: Any) -> list[Prompt] | ProbeSets:
    """Prompts to draw probes for, or probes as they are.

    source: what names prompts (`prompts.open_prompts`: a published set such as `advbench:100`, a file, `hub:` and a name, or
    `organism:prompts/NAME`), a file with the columns prompt, refusal and compliance (in any format that `tables` reads: taken
    as they are), a file that `write_probes` wrote, a Prompt, ProbeSets, or a list of these. A list may also hold rows, such as
    {"prompt": "How do I pick a lock?", "kind": "harmful"}, all with refusal and compliance or none. Prompts of unknown kind
    count as harmful. Rows that give no prompt are warned of.

    Raises:
        InputError: what cannot be read, finished probes beside others, and prompts of which none is harmful.
    """
    sources = list(source) if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    if rows := [one for one in sources if isinstance(one, Mapping)]:
        if len(rows) < len(sources):
            other = next(one for one in sources if not isinstance(one, Mapping))
            raise InputError(
                f"a list of probes holds rows and {type(other).__name__}: give rows alone, or names alone"
            )
        return _of_rows([dict(row) for row in rows])
    prompts: list[Prompt] = []
    for one in sources:
        if isinstance(one, Prompt):
            prompts.append(one)
            continue
        content = one if isinstance(one, ProbeSets) else _read(str(one))
        if isinstance(content, ProbeSets):
            if len(sources) > 1:
                name = "one of them" if isinstance(one, ProbeSets) else one
                raise InputError(
                    f"{name} holds finished probes, and others are named beside it: name that file alone"
                )
            return content
        prompts += content
    if not prompts:
        raise InputError(
            "no probe prompts: name a file of harmful prompts, a published set such as advbench:100, or organism:prompts/probe"
        )
    if all(prompt.kind == "benign" for prompt in prompts):
        raise InputError(
            f"none of {len(prompts)} probe prompts is harmful: give prompts whose kind is harmful, or not said"
        )
    return prompts


def write_probes(path: str | Path, sets: ProbeSets) -> Path:
    """Write probe sets as JSONL, whole or not at all; `read_probes` gives the same back."""
    path = Path(path)
    if path.suffix != ".jsonl":
        raise InputError(f"{path}: probes are written as JSON lines; let the name end in .jsonl")
    lines = probe_lines(sets)
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def probe_lines(sets: ProbeSets) -> list[dict[str, Any]]:
    """Probe sets as what JSON can hold: the lines of a file of probes."""
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
    return lines


def _read(reference: str) -> list[Prompt] | ProbeSets:
    if is_prompt_set(reference) or reference.startswith((PREFIX, HUB)):
        return list(prompts_of(reference))
    table = read_table(reference)
    names = by_name(table.columns)
    if table.rows and "probe_set" in table.rows[0]:
        return probes_of_lines(table.rows, reference)
    sides = [names[name] for name in GIVEN[1:] if name in names]
    if len(sides) == 2:
        return _given(table, names, reference)
    if sides:
        raise InputError(
            f"{reference} has a column {sides[0]} alone: give both refusal and compliance, or only prompts to sample answers "
            "to"
        )
    return list(prompts_of(reference))


def probes_of_lines(rows: Sequence[dict[str, Any]], path: str) -> ProbeSets:
    """What `probe_lines` gave; `path` is where the lines stand, for messages."""
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


def _of_rows(rows: list[dict[str, Any]]) -> list[Prompt] | ProbeSets:
    """Rows in memory: probes where they have both sides, and prompts where they have none."""
    table = Table("the list of probes", rows, list(range(1, len(rows) + 1)))
    names = by_name(table.columns)
    if "refusal" in names and "compliance" in names:
        return _given(table, names, table.origin)
    prompts: list[Prompt] = []
    kinds = kind_column(table.columns, table.numbered(), table.origin, given=names.get("kind"))
    for number, cells in table.numbered():
        turns: Any = cells.get(names.get("prompt", "prompt"))
        if not _filled(turns, True):
            raise InputError(
                f"row {number} of {table.origin} has no prompt: give a text, or turns of role and content"
            )
        kind = kinds.kind(cells, number)
        prompts.append(
            Prompt.of(turns, kind=kind) if isinstance(turns, str) else Prompt.of_messages(turns, kind=kind)
        )
    return read_probes(prompts)


def _given(table: Table, names: Mapping[str, str], path: str) -> ProbeSets:
    """A user's own pairs: harmful prompts for the refusal probes, benign ones for the benign probes.

    Rows of one prompt make one probe. A prompt's stratum is the column `stratum`.
    """
    probes: dict[str, Probe] = {}
    kinds = kind_column(table.columns, table.numbered(), path, given=names.get("kind"))
    for number, cells in table.numbered():
        where = f"row {number} of {path}"
        row: dict[str, Any] = {name: cells.get(names.get(name, name)) for name in (*GIVEN, "stratum")}
        if bad := [name for name in GIVEN if not _filled(row.get(name), name == "prompt")]:
            raise InputError(f"{where} has no {bad[0]}: give prompt, refusal and compliance in each row")
        kind = kinds.kind(cells, number) or "harmful"
        tags = {"stratum": str(row["stratum"])} if row.get("stratum") else {}
        turns = row["prompt"]
        prompt = (
            Prompt.of(turns, kind=kind, tags=tags)
            if isinstance(turns, str)
            else Prompt.of_messages(turns, kind=kind, tags=tags)
        )
        toward, away = (row["refusal"],), (row["compliance"],)
        if kind == "benign":
            toward, away = away, toward
        if first := probes.get(prompt.id):
            if first.prompt.kind != kind:
                raise InputError(
                    f"{where}: the prompt is {kind} here and {first.prompt.kind} before: give it one kind"
                )
            prompt = first.prompt
            toward = tuple(dict.fromkeys([*first.toward, *toward]))
            away = tuple(dict.fromkeys([*first.away, *away]))
        probes[prompt.id] = Probe(prompt, toward, away, "given", stratum_of(prompt))
    refusal = [probe for probe in probes.values() if probe.prompt.kind == "harmful"]
    benign = [probe for probe in probes.values() if probe.prompt.kind == "benign"]
    if not refusal:
        raise InputError(f"{path} has no harmful prompt: add pairs on which refusing is right")
    return ProbeSets(
        ProbeSet("refusal", tuple(refusal), dict(Counter(p.stratum for p in refusal))),
        ProbeSet("benign", tuple(benign), dict(Counter(p.stratum for p in benign))) if benign else None,
    )


def _filled(value: Any, turns: bool) -> bool:
    """Whether a cell holds text, or, of a prompt, turns of role and content."""
    if isinstance(value, str):
        return bool(value.strip())
    return (
        turns
        and isinstance(value, list)
        and bool(value)
        and all(
            isinstance(t, dict) and all(isinstance(t.get(k), str) for k in ("role", "content")) for t in value
        )
    )

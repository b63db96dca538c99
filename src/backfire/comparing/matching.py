"""Which outcomes of two policies stand side by side, which cells of a study, and which prompts are one unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from backfire.answers.outcomes import AttackedCell, Checkpoint, Outcomes
from backfire.answers.results import BASELINE
from backfire.errors import InputError, setting

Tags = Mapping[str, Mapping[str, str]]
"""By prompt id, what is known of a prompt, such as its `noun` and `wrapper`."""
NOUN, PROMPT = "noun", "prompt"
Shared = tuple[str, str, Outcomes, Outcomes]
"""Set, judge, and the outcomes of either side."""


def in_common(first: Checkpoint, second: Checkpoint) -> Iterable[Shared]:
    """The sets that the same judge read on both sides; what several attacks broke together only where these are the same.

    Raises InputError for different prompts, or a set that is an attack here and benign there.
    """
    for name, judges in first.sets.items():
        for judge, one in judges.items():
            other = second.sets.get(name, {}).get(judge)
            if other is None:
                continue
            if "score" in (kinds := {first.outcome(name), second.outcome(name)}) and len(kinds) > 1:
                raise InputError(
                    f"{name!r} has scores of another tool in one of {first.name} and {second.name}, and verdicts of an attack in "
                    "the other: compare logs of one tool"
                )
            if first.harm(name) != second.harm(name):
                attacked, benign = (first, second) if first.harm(name) else (second, first)
                raise InputError(
                    f"{name!r} is an attack in {attacked.name} and a benign set in {benign.name}: harm and refusals are not "
                    "compared; attack both alike"
                )
            if one.keys() != other.keys():
                apart = len(one.keys() ^ other.keys())
                raise InputError(
                    f"{first.name} and {second.name} were asked different prompts in {name!r} ({apart} stand on one side "
                    "only): attack both with the same file, or name the sets differently"
                )
            if name in first.together and (first.together[name] < 2 or first.methods != second.methods):
                continue
            yield name, judge, one, other


def pooled(
    first: Checkpoint, common: Sequence[Shared]
) -> Iterable[tuple[str, Outcomes, Outcomes, Mapping[str, str]]]:
    """By judge, both sides' outcomes of all attacks, by set and prompt, and the prompt of each."""
    sides: dict[str, tuple[dict[str, bool | None], dict[str, bool | None], dict[str, str]]] = {}
    sets: dict[str, int] = defaultdict(int)
    for name, judge, one, other in common:
        if name in first.attacks:
            sets[judge] += 1
            firsts, seconds, plain = sides.setdefault(judge, ({}, {}, {}))
            for prompt, outcome in one.items():
                key = f"{name}/{prompt}"
                firsts[key], seconds[key], plain[key] = outcome, other[prompt], prompt
    for judge, (firsts, seconds, plain) in sides.items():
        if sets[judge] > 1:
            yield judge, firsts, seconds, plain


def units_of(
    name: str, prompts: Sequence[str], tags: Tags, cluster: str | None, files: Sequence[Checkpoint]
) -> tuple[str, dict[str, str]]:
    """What the units of a set are called, and that of each prompt.

    Raises InputError where some prompts of the set have the tag and some have not.
    """
    alone = {prompt: prompt for prompt in prompts}
    if cluster == PROMPT:
        return PROMPT, alone
    groups = {prompt: tags.get(prompt, {}).get(cluster or NOUN) for prompt in prompts}
    missing = sum(group is None for group in groups.values())
    if not missing:
        return cluster or NOUN, {prompt: str(group) for prompt, group in groups.items()}
    if cluster is not None:
        if missing < len(prompts):
            raise InputError(f"in {name!r} {no_tag(missing, len(prompts), cluster)}")
        return PROMPT, alone
    for file in files:
        for shared in (file.clusters.get(name, {}), *file.clusters.values()):
            if all(prompt in shared for prompt in prompts):
                return file.unit, {prompt: shared[prompt] for prompt in prompts}
    return PROMPT, alone


def no_tag(missing: int, n: int, cluster: str) -> str:
    """What is wrong with prompts that lack the tag that they should be clustered by."""
    return (
        f"{missing} of {n} prompts have no {cluster!r} to be clustered by: name their files by {setting('prompts')}, or "
        f"another {setting('cluster')}, or {setting('cluster')} prompt for prompts that share nothing"
    )


def one_sided(first: Checkpoint, second: Checkpoint) -> list[str]:
    """What only one of the two has and no row compares: `SET by JUDGE`, with the name of the one that has it."""
    lines = []
    for here, there in ((first, second), (second, first)):
        for name, judges in here.sets.items():
            lacking = [judge for judge in judges if judge not in there.sets.get(name, {})]
            lines += [f"{name} by {judge} ({here.name})" for judge in lacking]
    return lines


def cell_pairs(
    cells: Sequence[AttackedCell], baseline: str = BASELINE
) -> list[tuple[AttackedCell, AttackedCell]]:
    """Each cell with the baseline of its checkpoint, world and seed.

    The starting checkpoint itself (`sft`) is not trained anew by seed, so there one of another seed serves as well. A trained
    baseline of another seed does not: all cells would share its luck. Cells without a baseline are left out.
    """
    pairs = []
    for cell in cells:
        if cell.recipe == baseline:
            continue
        alike = [one for one in cells if one.recipe == baseline and one.start == cell.start]
        own = [one for one in alike if one.seed == cell.seed] or (alike if baseline == BASELINE else [])
        if own:
            pairs.append((own[0], cell))
    return pairs

"""What effects are made of, how large they are, and the commands that remove them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import PurePath
from typing import Any

import numpy as np

from backfire.answers.audit import Shortcut, SourceLeak
from backfire.answers.conclusion import SideLengths
from backfire.answers.confounds import Confounds, are_cut
from backfire.answers.estimates import Accuracy, Share
from backfire.auditing.affected import Affected
from backfire.auditing.audited_pairs import Ints
from backfire.auditing.conclusion.commands import DATASET, MODEL, Command, Effected
from backfire.auditing.conclusion.count_words import ALPHA, pairs_text
from backfire.auditing.faults.counting import MOST_ROWS
from backfire.auditing.probes.uncertainty import share
from backfire.auditing.settings import AuditSettings
from backfire.preferences.settings import ConvertSettings, Reading
from backfire.repairing.settings import Balance, Clean, Filter, RepairCall, RepairSettings, Restyle

AS_IT_IS = Reading()


@dataclass(frozen=True)
class Evidence:
    """What effects are made of: the parts of the answer, and every row of each finding."""

    dataset: str
    """The data set's path or name; DATASET where it has none."""
    columns: Mapping[str, tuple[str, ...]]
    rows: int
    pairs: int
    defects: Mapping[str, int]
    leak: SourceLeak | None
    shortcuts: Sequence[Shortcut]
    lengths: Sequence[SideLengths]
    confounds: Confounds
    affected: Mapping[str, Affected]
    reading: Reading = AS_IT_IS
    """How the data set was read: the commands read it so, too."""

    def rows_of(self, finding: str) -> Ints:
        """The rows of a finding, one for each pair, ascending."""
        affected = self.affected.get(finding)
        return np.zeros(0, dtype=np.int64) if affected is None else np.unique(affected.rows)

    def first_rows(self, finding: str) -> tuple[int, ...]:
        """The first rows that a finding is about, both of a pair that is made of two, ascending."""
        affected = self.affected.get(finding)
        if affected is None:
            return ()
        return tuple(np.unique(affected.of_both_rows().rows)[:MOST_ROWS].tolist())

    def beside(self, suffix: str, ending: str = "") -> str:
        """A name for what is made of the data set."""
        if self.dataset == DATASET:
            return f"{suffix}{ending}"
        stem = PurePath(self.dataset).name.split(".")[0] or "data"
        return f"{stem}-{suffix}{ending}"


def bits_told(accuracy: float) -> float:
    """Information on the label of a pair that a guess of this accuracy gives: 1 - H(accuracy); 0 below a half."""
    a = min(max(accuracy, 0.5), 1.0)
    return 1.0 if a == 1 else max(0.0, 1 + a * log2(a) + (1 - a) * log2(1 - a))


def size_of_tell(accuracy: Accuracy, at_most: float = 1.0) -> dict[str, Any]:
    """Size and interval of what tells the label, beyond its swapped control."""
    by_chance = max(0.0, accuracy.control - 0.5)
    value = min(accuracy.accuracy, at_most)
    lower = accuracy.accuracy - value
    low, high = accuracy.low - lower - by_chance, accuracy.high - lower - by_chance
    return {"size": bits_told(value - by_chance), "low": bits_told(low), "high": bits_told(high)}


def size_of_touched(touched: Share) -> dict[str, Any]:
    return {"size": touched.rate or 0.0, "low": touched.low or 0.0, "high": touched.high or 0.0}


def fault(
    evidence: Evidence, name: str, what: str, rows: Ints, command: Command | None, condition: str | None
) -> Effected:
    """An effect of pairs that are wrong by themselves."""
    touched = share(len(rows), evidence.pairs)
    return Effected.of(
        command,
        name=name,
        what=what,
        pairs=touched,
        rows=evidence.first_rows(name),
        condition=condition,
        **size_of_touched(touched),
    )


def counted_pairs(evidence: Evidence, rows: Ints) -> str:
    return f"{pairs_text(len(rows))} ({len(rows) / max(1, evidence.pairs):.1%})"


def are_truncated(evidence: Evidence) -> bool:
    """Whether the rows of `truncation` were cut off: by recorded stop reasons, or more of them by their text than of complete
    responses, some of which end as cut ones do."""
    cut = evidence.confounds.cut_ends
    return evidence.confounds.truncated is not None or cut is None or are_cut(cut, ALPHA)


def cleaning(evidence: Evidence) -> Command:
    """Take out the pairs with a fault of their own, and no response that ends naturally."""
    natural = not are_truncated(evidence) and len(evidence.rows_of("truncation")) > 0
    return repairing(evidence, Clean(skip=("truncation",) if natural else ()), "clean")


def repairing(
    evidence: Evidence, method: Balance | Clean | Filter | Restyle, suffix: str, policy: str | None = None
) -> Command:
    """Repair the data by a method; `suffix` ends the name of the folder."""
    settings = RepairSettings(policy=policy, reading=evidence.reading)
    call = RepairCall(how=method, settings=settings)
    return Command("repair", evidence.dataset, call, {"out": evidence.beside(suffix)})


def restyling(evidence: Evidence) -> Command:
    """Let the policy write the chosen side anew in its own words."""
    return repairing(evidence, Restyle(), "restyled", MODEL)


def listing(evidence: Evidence) -> Command:
    """List every row, to be read or taken out by hand."""
    settings = AuditSettings(reading=evidence.reading)
    return Command("audit", evidence.dataset, settings, {"rows": evidence.beside("rows", ".jsonl")})


def turned_columns(evidence: Evidence) -> Command | None:
    """Exchange the two columns, where each side has one of its own."""
    names = {role: evidence.columns.get(role, ()) for role in ("prompt", "chosen", "rejected")}
    if any(len(names[role]) != 1 for role in ("chosen", "rejected")) or names["chosen"] == names["rejected"]:
        return None
    roles = {"prompt": names["prompt"][0]} if len(names["prompt"]) == 1 else {}
    roles |= {"chosen": names["rejected"][0], "rejected": names["chosen"][0]}
    settings = ConvertSettings(reading=Reading.of(evidence.reading, columns=roles))
    return Command("convert", evidence.dataset, settings, {"out": evidence.beside("turned", ".jsonl")})

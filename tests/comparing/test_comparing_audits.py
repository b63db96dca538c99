"""Two audits beside one another: what is beyond chance is worse or better, and chance alone is neither."""

from __future__ import annotations

from typing import Any

import numpy as np

from backfire.answers import AuditReport, parse_audit
from backfire.answers.conclusion import Input
from backfire.answers.confounds import Counted, EvaluationSet, Repeats
from backfire.auditing import audit
from backfire.auditing.probes.uncertainty import share
from backfire.comparing import compare_audits
from example_audit import example_audit
from synthetic_pairs import rows

KINDS = tuple(f"remains {n}" for n in range(8))


def answer(pairs: int, hits: dict[str, int], digest: str = "a") -> AuditReport:
    """An invented answer with so many duplicates and remains of each kind."""
    whole = parse_audit(example_audit())
    debris = tuple(
        Counted(what=kind, chosen=share(hits[kind], pairs), rejected=share(0, pairs))
        for kind in KINDS
        if hits.get(kind)
    )
    repeats = (Repeats(what="exact duplicates", pairs=share(hits.get("duplicates", 0), pairs)),)
    confounds = whole.confounds.model_copy(update={"debris": debris, "repeats": repeats, "truncated": None})
    update: dict[str, Any] = {
        "pairs": pairs,
        "input": Input(digest=digest * 64, rows=pairs),
        "confounds": confounds,
        "defects": (),
    }
    return whole.model_copy(update=update)


def test_rates_count_and_not_counts() -> None:
    before = answer(1000, {"duplicates": 20, KINDS[0]: 30})
    same_rates = compare_audits(before, answer(5000, {"duplicates": 100, KINDS[0]: 150}, "b"))
    assert not same_rates.of("worse")
    assert not same_rates.of("better")
    worse = compare_audits(before, answer(1000, {"duplicates": 80, KINDS[0]: 2}, "b"))
    assert [one.name for one in worse.of("worse")] == ["duplicates"]
    assert [one.name for one in worse.of("better")] == [f"debris: {KINDS[0]}, chosen"]
    change = worse.of("worse")[0]
    assert (change.before.value, change.after.value) == (0.02, 0.08)
    assert change.change.low > 0
    assert not change.new


def test_what_occurs_for_the_first_time_is_called_new_and_worse_only_beyond_chance() -> None:
    before = answer(1000, {})
    found = compare_audits(before, answer(1000, {KINDS[0]: 2, KINDS[1]: 40}, "b"))
    new = {one.name: one.direction for one in found.changes if one.new}
    assert new == {f"debris: {KINDS[0]}, chosen": "no clear change", f"debris: {KINDS[1]}, chosen": "worse"}
    gone = compare_audits(answer(1000, {KINDS[1]: 40}), answer(1000, {}, "b"))
    assert [one.name for one in gone.of("better")] == [f"debris: {KINDS[1]}, chosen"]


def test_an_evaluation_set_that_was_looked_for_and_not_found_counts_as_none() -> None:
    sets = EvaluationSet(name="XSTest", items=450, origin="x", pairs=share(90, 1000))
    before, after = answer(1000, {}), answer(1000, {}, "b")
    before, after = (
        one.model_copy(
            update={
                "confounds": one.confounds.model_copy(
                    update={
                        "evaluation_sets": some,
                        "evaluation_sets_checked": ("XSTest (all 450, version 2)",),
                    }
                )
            }
        )
        for one, some in ((before, ()), (after, (sets,)))
    )
    assert [one.name for one in compare_audits(before, after).of("worse")] == ["contamination: XSTest"]


def test_the_same_pairs_cannot_have_become_worse() -> None:
    found = compare_audits(answer(1000, {}), answer(1000, {"duplicates": 900}))
    assert found.same_pairs
    assert found.changes == ()


def test_of_an_older_file_what_it_does_not_list_is_not_taken_for_nothing() -> None:
    old = answer(1000, {}).model_copy(update={"input": None})
    found = compare_audits(old, answer(1000, {KINDS[1]: 40}, "b"))
    assert not found.of("worse")
    assert f"debris: {KINDS[1]}, chosen" in found.not_compared


def test_noise_is_not_worse() -> None:
    """Both audits of samples of one population: something is called worse or better in 5% of comparisons at most."""
    rng = np.random.default_rng(0)
    share_of = dict(zip(("duplicates", *KINDS), rng.uniform(0.002, 0.2, 1 + len(KINDS)), strict=True))

    def drawn(pairs: int, digest: str) -> AuditReport:
        return answer(pairs, {name: int(rng.binomial(pairs, p)) for name, p in share_of.items()}, digest)

    wrong = 0
    for _ in range(200):
        found = compare_audits(drawn(400, "a"), drawn(700, "b"))
        wrong += bool(found.of("worse") or found.of("better"))
    assert wrong <= 0.05 * 200 + 2 * (200 * 0.05 * 0.95) ** 0.5


def test_a_planted_cue_is_worse_in_a_real_audit() -> None:
    plain, cued = (audit(rows(300, seed, cue=cue)) for seed, cue in ((1, None), (2, "length")))
    found = compare_audits(plain, cued)
    assert {"separability: length", "separability of pairs: length"} <= {
        one.name for one in found.of("worse")
    }
    assert not compare_audits(plain, audit(rows(300, 3))).of("worse")
    again = parse_audit(cued.model_copy(update={"comparison": found}).as_dict())
    assert again.comparison == found

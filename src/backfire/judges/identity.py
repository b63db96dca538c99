"""What a judge's reference names, as a digest, without opening a model."""

from __future__ import annotations

from backfire.judges.opening import judge_form, open_judge, panel_parts
from backfire.records import digest


def judge_digest(reference: str, *, world: str | None = None) -> str:
    """A digest that changes whenever the judge of this reference could decide otherwise.

    It covers the weights of a trained judge, shipped or the user's own, phrases and rules, the facts of the world that `exact`
    reads, a rubric's words, and the contents of the model that is asked, or its server's address and its name.

    Raises:
        InputError: an unknown reference, or `exact` without a world.
        ModelError: a model that is not there.
    """
    from backfire.judges.guards import GUARDS, guard_id
    from backfire.judges.rubric import RUBRICS, rubric_id
    from backfire.models.opening import reference_digest

    kind, _, rest = judge_form(reference).partition(":")
    if kind == "panel":
        rule, members = panel_parts(reference, rest)
        return digest("panel", rule, sorted(judge_digest(member, world=world) for member in members))
    if kind in RUBRICS:
        return rubric_id(RUBRICS[kind], RUBRICS[kind].threshold, reference_digest(rest))
    if kind in GUARDS:
        return guard_id(kind, GUARDS[kind].threshold, reference_digest(rest))
    return open_judge(reference, world=world).id

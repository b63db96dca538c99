"""Judges by their references: a name, a trained judge's file, a model with a rubric or of its own kind, or a panel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from backfire.errors import InputError, setting
from backfire.judges.judge import Judge
from backfire.judges.own import find_judge, is_own, open_own

FORMS = (
    "phrases, exact (organisms), refusals, matcher:NAME, rubric:MODEL, strongreject:MODEL, llama-guard:MODEL, "
    "wildguard:MODEL, harmbench:MODEL, beaver-dam:MODEL, shieldgemma:MODEL, panel:majority|any|all:A+B+C, the file "
    "of a judge that `backfire judge train` made, or a judge of your own as module:object"
)


def open_judges(
    references: Sequence[str | Path | Judge],
    *,
    world: str | None = None,
    threshold: float | None = None,
    dtype: str = "auto",
    device: str | None = None,
) -> list[Judge]:
    """Open several judges, each reference once; the threshold is for those that grade. A judge that is open stays as it is.

    Raises:
        InputError: as `open_judge`; two judges of one name, or a threshold where none of them grades.
    """
    texts = [str(one) for one in references if isinstance(one, (str, Path))]
    graded = _graded(list(dict.fromkeys(texts)), threshold)
    opened = {
        r: open_judge(
            r, world=world, threshold=threshold if r in graded else None, dtype=dtype, device=device
        )
        for r in dict.fromkeys(texts)
    }
    given = [opened[str(one)] if isinstance(one, (str, Path)) else one for one in references]
    judges = list({id(judge): judge for judge in given}.values())
    if twice := [name for name, count in Counter(judge.name for judge in judges).items() if count > 1]:
        raise InputError(
            f"two judges are named {twice[0]!r}: their verdicts could not be told apart. Leave one out; the judge of a file goes "
            "by the file's name, so give one of two such files another"
        )
    return judges


def open_judge(
    reference: str | Path,
    *,
    world: str | None = None,
    threshold: float | None = None,
    dtype: str = "auto",
    device: str | None = None,
) -> Judge:
    """Open a judge.

    - `phrases`: the refusal phrases of Zou et al. 2023. `matcher:NAME`: another published list (`PUBLISHED`).
    - `exact`: the organisms' own; reads the prompts of `world`.
    - `refusals`: the small trained judge that comes with backfire; a path: one made by `backfire judge train`.
    - `rubric:MODEL` (Qi et al. 2023) and `strongreject:MODEL` (Souly et al. 2024): a chat model with a rubric; MODEL is
      anything that `open_model` opens, such as `openai:NAME@URL` or a folder.
    - `llama-guard:`, `wildguard:`, `harmbench:`, `beaver-dam:`, `shieldgemma:MODEL`: a guard model's folder or hub name.
    - `panel:RULE:A+B`: several of these with the rule `majority`, `any` or `all`.
    - `module:object`: a judge of the user's own, or a class or function that makes one; or the name of an entry point of the
      group `backfire.judges`. Its module is imported, which runs its code.

    Args:
        threshold: where a judge grades, the grade from which a response counts as harmful; None is the published one, and .5 for
            the probability of a judge trained to find harm. A panel hands it to its members that grade.
        dtype: of a local judge model, as `open_model` has it.
        device: of a local judge model.

    Raises:
        InputError: an unknown reference, with those that there are; `exact` without a world; a threshold for a judge that
            gives no grade.
        ModelError: a judge model that cannot be opened.
    """
    reference = judge_form(str(reference))
    _graded([reference], threshold)
    kind, _, rest = reference.partition(":")
    if reference == "phrases":
        from backfire.judges.phrases import PhraseJudge

        return PhraseJudge()
    if reference == "exact":
        return _exact(world)
    if reference == "refusals":
        from backfire.judges.trained import shipped_refusals

        return shipped_refusals()
    if kind == "matcher":
        from backfire.judges.matchers import matcher

        return matcher(rest)
    if kind == "panel":
        from backfire.judges.panel import Panel

        rule, names = panel_parts(reference, rest)
        members = open_judges(names, world=world, threshold=threshold, dtype=dtype, device=device)
        return Panel(members, rule)
    if kind in ("rubric", "strongreject"):
        return _rubric(kind, _named(reference, rest), threshold, dtype, device)
    if kind in _guards():
        from backfire.judges.guards import open_guard

        return open_guard(kind, _named(reference, rest), threshold=threshold, dtype=dtype, device=device)
    if Path(reference).is_file():
        from backfire.judges.trained import read_judge

        return read_judge(Path(reference), threshold=threshold, dtype=dtype, device=device)
    if is_own(reference):
        return open_own(reference)
    raise InputError(f"there is no judge {reference!r}: give one of {FORMS}")


def judge_form(reference: str) -> str:
    """The reference as it is, where a judge can be meant by it. A judge's file need not be there yet.

    Raises:
        InputError: an unknown reference, with those that there are.
    """
    kind, _, rest = reference.partition(":")
    if kind == "panel":
        for name in panel_parts(reference, rest)[1]:
            judge_form(name)
    elif kind == "matcher":
        from backfire.judges.matchers import matcher

        matcher(rest)
    elif kind in ("rubric", "strongreject") or kind in _guards():
        _named(reference, rest)
    elif reference in ("phrases", "exact", "refusals") or Path(reference).is_file():
        return reference
    elif is_own(reference):
        find_judge(reference)
    elif not _may_be_file(reference):
        raise InputError(f"there is no judge {reference!r}: give one of {FORMS}")
    return reference


def _exact(world: str | None) -> Judge:
    from backfire.judges.exact import ExactJudge
    from backfire.organisms.catalog import open_world

    if world is None:
        raise InputError(
            "judge exact reads only the prompts of one world: name it by " + setting("world") + ", such as w0"
        )
    return ExactJudge(open_world(world))


def _rubric(kind: str, model: str, threshold: float | None, dtype: str, device: str | None) -> Judge:
    from backfire.judges.rubric import RUBRICS, RubricJudge
    from backfire.models import open_model

    return RubricJudge(RUBRICS[kind], open_model(model, dtype=dtype, device=device), threshold=threshold)


def _guards() -> Mapping[str, object]:
    from backfire.judges.guards import GUARDS

    return GUARDS


def _graded(references: Sequence[str], threshold: float | None) -> set[str]:
    """The references of judges that give a grade; InputError where there is a threshold and none does."""
    graded = {reference for reference in references if _grades(reference)}
    if threshold is not None and not graded:
        raise InputError(
            f"{setting('threshold')} {threshold}: {', '.join(references) or 'judges that are open'} give no "
            f"grade that a threshold could cut: leave it out"
        )
    return graded


def _grades(reference: str) -> bool:
    kind, _, rest = reference.partition(":")
    if kind == "panel":
        return any(map(_grades, panel_parts(reference, rest)[1]))
    return kind in ("rubric", "strongreject") or kind in _guards() or Path(reference).is_file()


def _may_be_file(reference: str) -> bool:
    return bool(Path(reference).suffix) or Path(reference).is_file()


def _named(reference: str, model: str) -> str:
    if not model:
        raise InputError(
            f"judge {reference!r} names no model: write {reference.rstrip(':')}:MODEL, such as a checkpoint folder or "
            "openai:NAME@URL"
        )
    return model


def panel_parts(reference: str, rest: str) -> tuple[str, list[str]]:
    """A panel's rule and the references of its members, of the reference and what stands in it after `panel:`."""
    from backfire.judges.panel import RULES

    rule, _, members = rest.partition(":")
    names = [name.strip() for name in members.split("+") if name.strip()]
    if rule not in RULES or len(names) < 2:
        raise InputError(
            f"judge {reference!r} is no panel: write panel:RULE:A+B with a rule of {', '.join(RULES)} and two judges or more"
        )
    return rule, names

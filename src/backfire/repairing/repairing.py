"""`repair`: a data set in, a better one out, with the audit before and after."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from backfire.answers.decisions import read_decisions
from backfire.errors import InputError
from backfire.influence.settings import PredictorName
from backfire.pairs.folder import folder_for_pairs
from backfire.preferences import Reading, open_preferences
from backfire.repairing.automatic import Inputs, Trial, automatic, mean_influence, needed
from backfire.repairing.balancing import balance_pairs
from backfire.repairing.choosing import Choice
from backfire.repairing.cleaning import clean_pairs
from backfire.repairing.filtering import filter_pairs, matched_at_random
from backfire.repairing.given import input_of, read_given
from backfire.repairing.length import balance_length
from backfire.repairing.mixing import mix_pairs
from backfire.repairing.outcome import Outcome
from backfire.repairing.pool import open_ledger, opened_reward_model, pool_of
from backfire.repairing.repaired import Repaired
from backfire.repairing.restyling import TEMPLATE, restyle_pairs
from backfire.repairing.reviewing import review_pairs
from backfire.repairing.same_rows import check_rows, is_file_name, trims_of, write_same_rows
from backfire.repairing.settings import (
    PHRASES,
    Auto,
    Balance,
    Clean,
    Filter,
    Mix,
    Repair,
    RepairCall,
    RepairPilot,
    RepairSettings,
    Restyle,
    Review,
    Switch,
)
from backfire.repairing.strata import decisions_of
from backfire.repairing.switching import switch_pairs, switched
from backfire.repairing.values import (
    EASE,
    INFLUENCE,
    higher_is_better,
    measured_by_states,
    measured_ease,
    measured_influence,
    probes_for,
    values_of,
)
from backfire.repairing.writing import NOTES, notes_of, with_ends, written
from backfire.settings import nested
from backfire.store import not_the_data_set, write_json

if TYPE_CHECKING:
    from backfire.influence import ProbeSet
    from backfire.judges import Judge

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Repairing:
    """What a method works with."""

    dataset: Any
    settings: RepairSettings
    inputs: Inputs
    judge: Judge
    model: Any
    """The opened policy; None where nothing needs it."""
    probes: ProbeSet | None
    progress: Progress | None


def repair(
    dataset: Any,
    how: Repair | None = None,
    *,
    out: str | Path,
    settings: RepairSettings | None = None,
    progress: Progress | None = None,
    **keywords: Any,
) -> Repaired:
    """Make a better data set of a given one and write it as a folder of pairs, whole or not at all.

    The folder is what `write_pairs` writes (TRL reads it as it is) with columns `repair` (the method), `repair_change`
    (kept, response rewritten, response cut, response trimmed, re-paired, labels switched, added), `repair_why`, and `row`, the given row
    that a pair comes from. Every further column of that row is kept beside it. `repair.json` says which rows were left out, and why.
    The guide to repairing describes the methods.

    Args:
        dataset: a folder of pairs, or any preference data that `backfire.audit` reads.
        how: the method with its options: `Filter`, `Switch`, `Balance`, `Restyle`, `Mix`, `Auto`, `Clean` or `Review`.
        out: the folder that is written. Where pairs are only left out (`Clean`, `Filter`, `Balance` by length) it may be a
            .jsonl, .json or .parquet file instead: the rows that stay are written as they stand in the given file, with
            no further column, and `repair.json` is called FILE.repair.json.
        settings: what the methods share, such as the policy, the probe prompts, and how the data set is read.
        keywords: fields of either, such as `method="filter"`, `keep=0.5`, `policy=model` or `columns=...`.

    Raises:
        InputError: what is missing for the method, by name; for `auto`, when no step of the ladder is predicted to reach
            the target.
    """
    call = _call(how, settings, keywords)
    how, settings = call.how, call.settings
    reading = settings.reading
    added_from = how.self_pairs if isinstance(how, (Mix, Auto)) else None
    for source in (dataset, added_from):
        not_the_data_set(Path(out), source)
    as_rows = is_file_name(out)
    if as_rows:
        _check_file(how, settings, Path(out))
    else:
        folder_for_pairs(out)
    judge = _judge(settings)
    given = read_given(dataset, **reading.options())
    if as_rows:
        check_rows(open_preferences(dataset, **reading.options()), given.rows, Path(out))
    added = () if added_from is None else read_given(added_from).pairs
    predictor = _predictor(how)
    lacking = settings.influence is None
    uses_model = bool(settings.probe_prompts) or isinstance(how, Restyle)
    uses_model = uses_model or (predictor is not None and lacking and settings.policy is not None)
    model = _opened(settings) if uses_model else None
    values = by_states = None
    if settings.influence is not None and predictor is not None:
        by_states = higher_is_better(
            values_of(settings.influence, given.rows, predictor.replace("-", "_")), predictor
        )
    elif settings.influence is not None:
        values = values_of(settings.influence, given.rows, INFLUENCE)
    added_values = None
    if isinstance(how, (Mix, Auto)) and how.self_influence is not None:
        added_values = values_of(how.self_influence, range(1, len(added) + 1), INFLUENCE)
    probes: ProbeSet | None = None
    measuring: dict[str, Any] = {
        "seed": settings.seed,
        "plain": reading.plain,
        "max_length": settings.max_length,
        "progress": progress,
    }
    if settings.probe_prompts:
        if model is None or not hasattr(model, "template"):
            raise InputError("influence is measured on a local model: name the one to be trained as policy")
        probes = probes_for(model, given.pairs, settings.probe_prompts, judge=judge, seed=settings.seed)
        if values is None and predictor is None:
            values = measured_influence(model, given.pairs, probes, **measuring)
        if added and added_values is None and not (isinstance(how, Auto) and how.by == "pilot"):
            added_values = measured_influence(model, added, probes, **measuring)
    if predictor is not None and by_states is None and model is not None:
        by_states = measured_by_states(model, given.pairs, probes, predictor, judge=judge, **measuring)
    inputs = Inputs(given, values if predictor is None else by_states, added, added_values, settings.seed)
    outcome, choice = _outcome(how, Repairing(dataset, settings, inputs, judge, model, probes, progress))
    outcome.account_for(len(given.pairs))
    if settings.ends is not None:
        outcome = with_ends(outcome, settings.ends)
        outcome.account_for(len(given.pairs))
    if not outcome.pairs:
        raise InputError(f"{how.method} leaves no pair of {len(given.pairs)}: {outcome.counts}")
    means = None if predictor is not None else mean_influence(inputs, outcome)
    options = recorded(how, settings, judge.name)
    after_reading = Reading(plain=reading.plain)
    if as_rows:
        rows = {given.rows[m.place] for m in outcome.pairs if m.place is not None}
        trims = trims_of(open_preferences(dataset, **reading.options()), given, outcome)
        folder = write_same_rows(dataset, reading, rows, Path(out), trims)
        write_json(Path(f"{out}.{NOTES}"), notes_of(given, outcome, how.method, options, choice, means))
        place = {"config": None, "split": None, "revision": None, "encoding": None}
        after_reading = reading.model_copy(update=place)
    else:
        folder = written(Path(out), given, outcome, how.method, options, choice, means, reading.plain)
    before = after = None
    if settings.audit:
        from backfire.auditing import audit

        decider = None if settings.judge == PHRASES else judge
        before = audit(dataset, judge=decider, seed=settings.seed, reading=reading)
        after = audit(folder, judge=decider, seed=settings.seed, reading=after_reading)
    return Repaired(
        folder,
        len(outcome.pairs),
        outcome.counts,
        means,
        choice,
        before,
        after,
        {kind: len(rows) for kind, rows in given.defects.items()},
        given.read,
        input_of(open_preferences(folder, **after_reading.options())),
        {why: tuple(given.rows[p] for p in places) for why, places in outcome.left_out.items()},
    )


def _check_file(how: Repair, settings: RepairSettings, out: Path) -> None:
    """InputError where the method makes new pairs, which do not fit into the rows of the given file."""
    leaves_out = isinstance(how, (Clean, Filter)) or (isinstance(how, Balance) and how.by == "length")
    if not leaves_out or settings.ends == "cut":
        what = "match ends cut" if leaves_out else how.method
        raise InputError(
            f"{out} is the name of a file, which gets the rows that stay as they are, and {what} changes rows: name a folder"
        )


def _call(how: Repair | None, settings: RepairSettings | None, keywords: dict[str, Any]) -> RepairCall:
    wholes = {"how": how, "settings": settings}
    call: RepairCall = RepairCall.parse(
        nested(RepairCall, keywords, {name: value for name, value in wholes.items() if value is not None})
    )
    return call


def _outcome(how: Repair, work: Repairing) -> tuple[Outcome, Choice | None]:
    """What the method does to the pairs, and for `auto` the step of the ladder that it took."""
    if isinstance(how, Filter):
        return _filtered(how, work), None
    if isinstance(how, Switch):
        return _switched(how, work), None
    if isinstance(how, Clean):
        data = open_preferences(work.dataset, **work.settings.reading.options())
        return clean_pairs(work.inputs.given, data, how.faults), None
    if isinstance(how, Review):
        return review_pairs(work.inputs.given, read_decisions(how.decisions), str(how.decisions)), None
    if isinstance(how, Balance) and how.by == "length":
        return balance_length(work.inputs.given.pairs, seed=work.settings.seed), None
    if isinstance(how, Balance):
        stored, scores = pool_of(work.inputs.given, how.pool, how.reward_model)
        return balance_pairs(work.inputs.given.pairs, stored, scores), None
    if isinstance(how, Restyle):
        return _restyled(how, work), None
    inputs = work.inputs
    if isinstance(how, Mix):
        return mix_pairs(
            inputs.given.pairs,
            inputs.added,
            how.share,
            values=inputs.influence,
            grow=how.grow,
            seed=inputs.seed,
        ), None
    trial = None
    if work.probes is not None and how.by == "pilot":
        pilot = (how.pilot or RepairPilot()).options()
        plain, max_length = work.settings.reading.plain, work.settings.max_length
        trial = Trial(work.model, work.probes, pilot, inputs.seed, plain, max_length)
    return automatic(inputs, how.target, how.stratify, how.grow, trial)


def _filtered(how: Filter, work: Repairing) -> Outcome:
    given, seed = work.inputs.given, work.settings.seed
    what, ranking = _what(how), work.inputs.influence
    if how.by == "ease":
        what = "difficulty"
        if how.ease is not None:
            ranking = -values_of(how.ease, given.rows, EASE)
        else:
            judge = None if work.settings.judge == PHRASES else work.judge
            reading = work.settings.reading
            ranking = -measured_ease(work.dataset, given.rows, judge=judge, seed=seed, reading=reading)
    outcome = filter_pairs(
        given.pairs,
        needed(ranking),
        keep=how.keep,
        above=how.above,
        stratify=how.stratify,
        band=how.band,
        what=what,
    )
    if how.at_random:
        places = [m.place for m in outcome.pairs if m.place is not None]
        outcome = matched_at_random(given.pairs, decisions_of(work.judge, given.pairs), places, seed=seed)
    return outcome


def _switched(how: Switch, work: Repairing) -> Outcome:
    pairs = work.inputs.given.pairs
    values, what = needed(work.inputs.influence), _what(how)
    outcome = switch_pairs(pairs, values, share=how.share, stratify=how.stratify, what=what)
    if not how.at_random:
        return outcome
    places = [m.place for m in outcome.pairs if m.place is not None and m.change == "labels switched"]
    matched = matched_at_random(pairs, decisions_of(work.judge, pairs), places, seed=work.settings.seed)
    why = "drawn at random, matching the pairs of lowest value in number, kind of prompt and decisions"
    return switched(pairs, {m.place for m in matched.pairs if m.place is not None}, why)


def _predictor(how: Repair) -> str | None:
    """The predictor by hidden states that the method goes by."""
    by = getattr(how, "by", None)
    return by if by in get_args(PredictorName) else None


def _what(how: Filter | Switch) -> str:
    """What the values are, for the reasons."""
    predictor = _predictor(how)
    if predictor is None:
        return "safety influence"
    from backfire.influence.predictors.registry import PREDICTORS

    less = "" if PREDICTORS[predictor].highest == "kept" else "minus "
    return f"{less}{PREDICTORS[predictor].what}"


def _restyled(how: Restyle, work: Repairing) -> Outcome:
    with ExitStack() as stack:
        ledger = how.ledger
        if isinstance(ledger, (str, Path)):
            ledger = stack.enter_context(open_ledger(ledger))
        return restyle_pairs(
            work.inputs.given.pairs,
            work.model,
            judge=work.judge,
            mode=how.mode,
            tries=how.tries,
            template=_template(how.template),
            not_rewritten=how.not_rewritten,
            reward_model=opened_reward_model(how.reward_model),
            ledger=ledger,
            decoding=how.decoding.decoding(),
            seed=work.settings.seed,
            progress=work.progress,
        )


def _template(given: str | None) -> str:
    """The rewriting instruction: the text itself, or what a file holds."""
    if given is None:
        return TEMPLATE
    if "{" in given or "\n" in given:
        return given
    return Path(given).read_text(encoding="utf-8")


def recorded(how: Repair, settings: RepairSettings, judge: str) -> dict[str, Any]:
    """What was asked for, as `repair.json` and the manifest have it: every option, also of other methods."""
    options = how.model_dump(exclude={"pilot", "self_pairs", "self_influence"})
    pilot = None
    if isinstance(how, Auto) and how.by == "pilot":
        pilot = (how.pilot or RepairPilot()).options()
    usual: dict[str, Any] = {
        "method": how.method,
        "by": "influence",
        "keep": None,
        "above": None,
        "band": False,
        "stratify": True,
        "at_random": False,
        "mode": "auto",
        "tries": 8,
        "not_rewritten": "keep",
        "share": None,
        "grow": False,
        "target": 0.0,
    }
    if isinstance(how, Clean):
        usual["faults"] = list(how.faults)
    if isinstance(how, Review):
        usual["marks"] = [one.model_dump(mode="json") for one in read_decisions(how.decisions).decisions]
    return {
        **{name: options.get(name, value) for name, value in usual.items()},
        "pilot": pilot,
        "ends": settings.ends,
        "plain": settings.reading.plain,
        "max_length": settings.max_length,
        "seed": settings.seed,
        "judge": judge,
    }


def _judge(settings: RepairSettings) -> Judge:
    from backfire.judges import PhraseJudge, open_judge

    if settings.judge == PHRASES:
        return PhraseJudge()
    if not isinstance(settings.judge, (str, Path)):
        judge: Judge = settings.judge
        return judge
    world = settings.world
    if world is None and isinstance(settings.policy, str):
        from backfire.organisms.catalog import world_named_by

        world = world_named_by(settings.policy)
    return open_judge(settings.judge, world=world)


def _opened(settings: RepairSettings) -> Any:
    """The policy: opened where it is a reference, else as it is."""
    if not isinstance(settings.policy, (str, Path)):
        return settings.policy
    from backfire.models import open_model

    return open_model(settings.policy, **settings.opening.options())

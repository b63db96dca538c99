"""`audit`: one data set in, one answer out."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from backfire.answers.as_trained import AsTrained
from backfire.answers.audit import AuditReport, Confounds, Defect, FailedPart, NotRun, Overlap, Shortcut
from backfire.auditing.audited_pairs import Collected, Ints, Keys
from backfire.auditing.conclusion.concluding import conclude
from backfire.auditing.conclusion.reference_points import reference_points
from backfire.auditing.findings.as_trained import as_trained
from backfire.auditing.findings.evaluation_sets import evaluation_sets
from backfire.auditing.findings.generation_traces import generation_traces
from backfire.auditing.findings.influence_reading import InfluenceView, read_asked, read_influence, references
from backfire.auditing.findings.per_pair import check_file, most_informative, per_pair_of, write_column
from backfire.auditing.findings.policy_reading import PolicyView, open_policy, read_policy
from backfire.auditing.findings.repeats import overlap, repeats
from backfire.auditing.findings.safety_contrast import safety_contrast
from backfire.auditing.findings.shortcuts import shortcuts
from backfire.auditing.findings.side_map import side_map
from backfire.auditing.findings.source_leak import source_leak
from backfire.auditing.probes.folds import FEWEST_PAIRS, Split, make_split, too_few
from backfire.auditing.probes.probe import Climbed
from backfire.auditing.probes.smoothers import PENALTY
from backfire.auditing.probes.text_probes import character_rung, embedding_rung, text_rungs
from backfire.auditing.probes.uncertainty import INTERVAL
from backfire.auditing.reading_pairs import SAMPLE_PAIRS, asked_signatures, collect, first_prompts
from backfire.auditing.steps import Progress, Steps
from backfire.errors import InputError
from backfire.models.failures import standing
from backfire.models.settings import MAX_LENGTH
from backfire.preferences import Preferences, ReadOptions, left_out_first, no_pairs, open_preferences
from backfire.texts import Vocabulary, text_keys

if TYPE_CHECKING:
    from backfire.influence import PilotSettings
    from backfire.judges.judge import Judge
    from backfire.models import Embedder, LocalModel

ROWS_LISTED = 1_000
FEWEST_CONTROLS = 199


def audit(
    dataset: Any,
    *,
    policy: LocalModel | str | Path | None = None,
    policy_pairs: int = 1_000,
    max_length: int | None = MAX_LENGTH,
    probe_prompts: Any = None,
    parameters: str = "auto",
    pilot: PilotSettings | int | None = None,
    embedder: Embedder | str | Path | None = None,
    overlap_with: Any = None,
    overlap_split: str | None = None,
    judge: Judge | None = None,
    max_pairs: int | None = None,
    per_pair: str | Path | None = None,
    controls: int = FEWEST_CONTROLS,
    folds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
    **reading: Unpack[ReadOptions],
) -> AuditReport:
    """Say what the label of a preference data set encodes.

    Args:
        dataset: a JSONL, JSON, CSV, TSV or Parquet file, a folder of them, a `save_to_disk` folder, a hub name, a
            `datasets.Dataset`, or a list of rows, in any common preference form (docs/reference/data-formats.md lists them).
        policy: the model to be trained, or its reference: adds the rung of its hidden states, every layer, and how
            likely it finds either side. An endpoint is refused.
        policy_pairs: read at most so many pairs with it.
        max_length: tokens of prompt and response together in the training that is meant: the pairs are read as they are
            cut there. None cuts at the policy's context alone.
        probe_prompts: adds the predicted safety influence on the policy: harmful prompts, and benign ones if over-refusal
            is to be seen; one or several of: a file, `organism:prompts/NAME`, a Prompt; or one file of probes.
        parameters: those that will be trained, for the influence: `all`, `lora`, a regular expression, or `auto`.
        pilot: also take so many steps of DPO from the policy, or a pilot of these settings (`influence.PilotSettings`), and
            see what becomes of the probes: the better predictor of the two.
        embedder: an encoder of sentences, or its reference: adds the rung of its embeddings.
        overlap_with: another data set whose prompts should not be among these, such as the test split: of the same name
            with `overlap_split`. It is read as the first is, but for columns that it lacks.
        judge: says which responses refuse; by default the refusal phrases.
        max_pairs: audit a sample of at most so many pairs: whole prompts, drawn by their content.
        per_pair: a .parquet, .jsonl or .csv file for each pair's V-information, and its influence on refusing where
            probe prompts are given (every pair whose text is kept, up to 20,000, is then read).
        controls: random swaps that each probe is refitted on; at least 199.
        folds: of the cross-fitting, grouped by prompt.
        seed: of folds and swaps. The order of the rows does not matter, but for rounding.
        progress: called with (done, total).
        reading: how the data set is read, as `preferences.open_preferences` takes it: config, split and revision of a hub
            data set or of a folder with splits; columns, which says which column holds what, as {"prompt": ...,
            "chosen": ..., "rejected": ...}, where names are unusual; source_columns, those that say who wrote either side;
            plain, which takes plain text as it is, without the policy's chat template.

    Raises:
        InputError: what cannot be read or mapped, by name, and data of which no row gives a pair. Single defective rows
            are counted in the answer instead. Where a part that asks the policy fails (its tokens, its states, the
            influence, the pilot), or memory runs out for it, the answer stands without it and says why (`failed`).
    """
    if controls < FEWEST_CONTROLS or folds < 2 or policy_pairs < FEWEST_PAIRS:
        raise InputError(
            f"controls {controls}, folds {folds}, policy_pairs {policy_pairs}:"
            f" at least {FEWEST_CONTROLS}, 2 and {FEWEST_PAIRS} are needed"
        )
    if max_pairs is not None and max_pairs < FEWEST_PAIRS:
        raise InputError(f"max_pairs {max_pairs}: at least {FEWEST_PAIRS} are needed for any number")
    if probe_prompts is not None and policy is None:
        raise InputError("probe_prompts need the model that is to be trained: name it as policy")
    if pilot is not None and probe_prompts is None:
        raise InputError("a pilot is seen on probes: give probe_prompts, and the policy")
    file = None if per_pair is None else Path(per_pair)
    if file is not None:
        check_file(file)
    asked = None if probe_prompts is None else read_asked(probe_prompts)
    model = None if policy is None else open_policy(policy)
    encoder = None if embedder is None else _opened(embedder)
    steps = Steps(progress, total=22 + 4 * (encoder is not None) + 14 * (model is not None))
    steps.total += 12 * (probe_prompts is not None)
    data = open_preferences(dataset, **reading)
    other = None if overlap_with is None else _other(dataset, overlap_with, overlap_split, reading)
    with steps.step("reading", 5):
        kept = SAMPLE_PAIRS if max_pairs is None else min(SAMPLE_PAIRS, max_pairs)
        collected = collect(data.blocks(), judge=judge, sample=kept, keep_signatures=other is not None)
        usable = collected.pairs
        if not usable:
            raise InputError(no_pairs(data))
        chosen = _most(collected, max_pairs)
        if chosen is not None:
            collected = collected.subset(chosen)
    division = make_split(collected.groups, folds=folds, controls=controls, seed=seed)
    reason = too_few(division)
    ladder, not_run = list[Climbed](), list[NotRun]()
    words = np.zeros((0, 0))
    vocabulary: Vocabulary | None = None
    if reason is None:
        vocabulary, words = text_rungs(collected, division, data, chosen, steps, ladder, not_run)
        character_rung(collected, division, steps, ladder, not_run)
        if encoder is not None:
            embedding_rung(encoder, collected, division, steps, ladder, not_run)
    else:
        names = ["length", "surface", "words", "characters", *(["embeddings"] if encoder is not None else [])]
        not_run += [NotRun(rung=name, reason=reason) for name in names]
    view = PolicyView(None, None, None)
    trained: AsTrained | None = None
    failed: dict[str, str] = {}
    if model is not None:
        with steps.step("tokens", 2), standing(failed, "tokens"):
            rows = None if usable == collected.pairs else collected.rows
            trained = as_trained(model, data.blocks(), plain=data.plain, max_length=max_length, rows=rows)
        with steps.step("policy", 12) as part, standing(failed, "policy"):
            view = read_policy(model, collected, division, policy_pairs, data.plain, max_length, part)
        if view.climbed is not None:
            ladder.append(view.climbed)
        elif view.reason is not None:
            not_run.append(NotRun(rung="hidden", reason=view.reason))
    influence: InfluenceView | None = None
    if model is not None and asked is not None and collected.pairs:
        with steps.step("influence", 12) as part, standing(failed, "influence"):
            influence = read_influence(
                model,
                collected,
                division,
                policy_pairs,
                asked,
                judge=judge,
                parameters=parameters,
                pilot=pilot,
                seed=seed,
                each_pair=file is not None,
                plain=data.plain,
                max_length=max_length,
                progress=part,
            )
    with steps.step("sources"):
        if vocabulary is None:
            words = np.zeros((2 * len(collected.sample), 1))
        leak = source_leak(collected, division, words)
    found: tuple[Shortcut, ...] = ()
    if vocabulary is not None:
        with steps.step("shortcuts", 3):
            found = shortcuts(collected, division, words, vocabulary)
    with steps.step("confounds"):
        confounds = _confounds(collected, division, other)
    with steps.step("conclusion"):
        contrast = safety_contrast(collected)
        rungs = tuple(climbed.rung for climbed in ladder)
        points = reference_points()
        best = most_informative(ladder, collected)
        values = None if influence is None else influence.values
        written = best is not None and file is not None and write_column(file, best, collected, values)
        moved = None if influence is None else influence.answer
        failed |= {} if moved is None else moved.failed or {}
        if moved is not None and written and values is not None:
            moved = moved.model_copy(update={"file": str(file)})
        conclusion = conclude(
            collected.pairs,
            rungs,
            leak,
            found,
            confounds,
            contrast,
            points,
            reason,
            influence=moved,
            trained=trained,
            left_out=left_out_first(data.rows, {kind: len(rows) for kind, rows in data.defects.items()}),
        )
    steps.finish()
    settings = {
        "seed": seed,
        "controls": controls,
        "folds": folds,
        "max_pairs": max_pairs,
        "penalty": PENALTY,
        "judge": collected.judge,
        "sample": len(collected.sample),
        "policy": None if model is None else model.name,
        "policy_pairs": None if model is None else policy_pairs,
        "max_length": None if model is None else max_length,
        "plain": data.plain or None,
        "probe_prompts": None if probe_prompts is None else _named(probe_prompts),
        "parameters": None if probe_prompts is None else parameters,
        "pilot": pilot if pilot is None or isinstance(pilot, int) else asdict(pilot),
        "embedder": None if encoder is None else encoder.name,
        "overlap_with": None if confounds.overlap is None else confounds.overlap.other,
    }
    return AuditReport(
        backfire=version("backfire"),
        dataset=data.origin,
        format=data.format,
        columns=data.columns,
        reading=data.notes(),
        rows=data.rows,
        pairs=collected.pairs,
        left_out=usable - collected.pairs,
        prompts=division.prompts,
        defects=tuple(
            Defect(kind=kind, count=len(rows), rows=tuple(rows[:ROWS_LISTED]))
            for kind, rows in data.defects.items()
        ),
        separability=rungs,
        not_run=tuple(not_run),
        failed=tuple(FailedPart(part=name, reason=why) for name, why in failed.items()) or None,
        source_leak=leak,
        shortcuts=found,
        confounds=confounds,
        safety_contrast=contrast,
        as_trained=trained,
        on_policyness=view.on_policyness,
        safety_influence=moved,
        per_pair=None if best is None else per_pair_of(best, division, file if written else None),
        map=None if best is None else side_map(best, collected, division),
        reference_points=tuple(point for point in points if any(point.rung == r.rung for r in rungs)),
        conclusion=conclusion,
        interval=INTERVAL,
        settings={name: value for name, value in settings.items() if value is not None},
        seconds=steps.seconds,
    )


def _most(collected: Collected, most: int | None) -> Ints | None:
    """The pairs that are audited, whole prompts as `collect` samples them; None for all."""
    if most is None or collected.pairs <= most:
        return None
    return first_prompts(collected.prompt_keys, most)


def _opened(embedder: Any) -> Embedder:
    if isinstance(embedder, (str, Path)):
        from backfire.models import open_embedder

        return open_embedder(str(embedder))
    found: Embedder = embedder
    return found


def _named(probe_prompts: Any) -> list[str]:
    """The files and references of probe prompts by name; prompts and probes in memory as their class."""
    return sorted(
        {
            str(one) if isinstance(one, (str, Path)) else type(one).__name__
            for one in references(probe_prompts)
        }
    )


def _other(dataset: Any, overlap_with: Any, split: str | None, reading: ReadOptions) -> Preferences:
    """The data set to compare prompts with, opened before any work: what is said of the first holds for it, too."""
    how = reading.copy()
    how["split"] = split
    if overlap_with != dataset:
        how["config"] = how["revision"] = how["encoding"] = None
    try:
        return open_preferences(overlap_with, **how)
    except InputError:
        if not (how.pop("columns", None) or how.pop("source_columns", None)):
            raise
        how.pop("source_columns", None)
    return open_preferences(overlap_with, **how)


def _confounds(collected: Collected, split: Split, other: Preferences | None) -> Confounds:
    sets, looked_for = evaluation_sets(collected)
    return Confounds(
        **generation_traces(collected, split)._asdict(),
        repeats=repeats(collected),
        evaluation_sets=sets,
        evaluation_sets_checked=looked_for,
        overlap=None if other is None else _overlap(collected, other),
    )


def _overlap(collected: Collected, data: Preferences) -> Overlap:
    keys: list[Keys] = [np.zeros(0, dtype=np.uint64)]
    signed: list[NDArray[np.uint32]] = []
    for block in data.blocks():
        keys.append(text_keys(block["prompt"]))
        signed.append(asked_signatures(block))
    mine = collected.prompt_signatures
    both = None if mine is None or not signed else (mine, np.vstack(signed))
    return overlap(collected, data.origin, np.concatenate(keys), both)

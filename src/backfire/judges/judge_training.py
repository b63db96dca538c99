"""Training a judge on labelled responses: its strength, its calibration, and what it reaches on prompts that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.answers.judge_agreement import Agreement
from backfire.errors import InputError
from backfire.judges.agreeing import agreement
from backfire.judges.judge import Progress, readable
from backfire.judges.labelled import Labelled, cases_of
from backfire.judges.languages import ENGLISH, languages, shares
from backfire.judges.learning import FOLDS, Weights, calibrated, fit, groups_in_folds, log_loss
from backfire.judges.settings import TrainJudgeSettings
from backfire.judges.state_features import StateTable, open_reader
from backfire.judges.text_features import TextTable
from backfire.judges.trained import DIGITS, MINIMUM, TrainedJudge
from backfire.records import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FeatureTable = TextTable | StateTable


def train_judge(
    data: str | Path | Sequence[str | Path] | Sequence[Labelled],
    settings: TrainJudgeSettings | None = None,
    *,
    name: str = "trained",
    progress: Progress | None = None,
    **keywords: Any,
) -> TrainedJudge:
    """Train a judge on labelled responses.

    The strength C is chosen by the log loss on held-out prompts (5 folds; all responses to a prompt lie in
    one) and the probabilities are calibrated on those held-out scores (Platt 1999). The card's `held_out` is the agreement on
    held-out prompts, each fold's strength and calibration being chosen on the other four.

    Without a `model` it reads the text alone. For `refusal` each cue may then speak in its own
    direction only and no words are read, so that a judge carries over to models that it has not seen; for `harmful` cues of declining
    may only speak against harm, and words of prompt and response (one and two in a row) are read too. With a `model` it reads the mean
    hidden state of the response at two thirds of the model's blocks, standardised, and nothing else.

    Responses that nobody can
    judge (blank ones) teach nothing and are unscored in the card, and for `refusal` so are those in other languages than English.
    The card's `languages` are those of at least `MINIMUM` of the responses.

    Args:
        data: files of labelled responses, or what `read_labelled` gives.
        settings, keywords: `TrainJudgeSettings`, and its fields by name.
        progress: called with (done, total) responses that the model has read.

    Raises:
        InputError: a file that cannot be read, fewer than `MINIMUM` of a class, fewer than five prompts, or a model without hidden
            states, such as an endpoint.
        ModelError: a model that cannot be opened.
    """
    import numpy as np

    settings = TrainJudgeSettings.of(settings, **keywords)
    what, every = settings.what, cases_of(data, settings.columns)
    spoken = _languages(every)
    teaching = [code == ENGLISH or (what == "harmful" and code != "") for code in spoken]
    cases = [case for case, teaches in zip(every, teaching, strict=True) if teaches]
    labels = np.array([case.label for case in cases], dtype=bool)
    prompts = [case.prompt.id for case in cases]
    scarce = min(int(labels.sum()), int((~labels).sum()))
    if scarce < MINIMUM or len(set(prompts)) < FOLDS:
        raise InputError(
            f"{len(cases)} labelled responses that can be judged, {scarce} of the rarer label, to {len(set(prompts))} "
            f"prompts: a judge wants at least {MINIMUM} of each label and {FOLDS} prompts"
        )
    table = _table([case.case for case in cases], settings, progress)
    folds = groups_in_folds(prompts)
    held = _held_out(table, labels, folds)
    agreed = _agreement(every, teaching, (_without_own_fold(held, labels, folds) >= 0).tolist(), name)
    best = _best(held, labels)
    slope, shift = calibrated(held[best], labels)
    all_rows = range(len(cases))
    features: Any = table.features(all_rows)
    values = table.values(features, all_rows)
    width = values.shape[1]
    raw = fit(values, labels, table.signs(width), table.strengths[best], expected=table.expected(width))
    weights = Weights((raw.coefficients * slope).round(DIGITS), round(raw.intercept * slope + shift, DIGITS))
    card = {
        "rows": len(cases),
        "prompts": len(set(prompts)),
        "positive": int(labels.sum()),
        "data": digest("labelled", [[case.prompt.id, case.response.text, case.label] for case in cases]),
        "strength": table.strengths[best],
        "languages": [code for code, count in shares(filter(None, spoken)).items() if count >= MINIMUM],
        "held_out": agreed.as_dict(),
        "note": settings.note,
    }
    return TrainedJudge(name, what, features, weights, card)


def _table(cases: Sequence[Any], settings: TrainJudgeSettings, progress: Progress | None) -> FeatureTable:
    if settings.model is None:
        return TextTable(cases, settings.what)
    model = open_reader(str(settings.model), settings.dtype, settings.device)
    return StateTable(model, str(settings.model), cases, progress)


def _languages(cases: Sequence[Labelled]) -> list[str]:
    """The language of each response, by its code; empty for those that nobody can judge."""
    import pyarrow as pa

    heard = [readable(case.response.text) for case in cases]
    foreign = languages(
        pa.array([plain.answer.encode("utf-8", "replace").decode() for plain in heard], pa.large_string())
    )
    return ["" if one.reason else foreign.get(place, ENGLISH) for place, one in enumerate(heard)]


def _agreement(
    cases: Sequence[Labelled], teaching: Sequence[bool], findings: Sequence[bool], name: str
) -> Agreement:
    """Of findings on those of the cases that teach, in their order."""
    each = iter(findings)
    decisions = [next(each) if teaches else None for teaches in teaching]
    return agreement(
        decisions, [case.label for case in cases], [case.prompt.id for case in cases], judge=name
    )


def _held_out(
    table: FeatureTable, labels: NDArray[np.bool_], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Logits of each case by weights that did not see its fold: float64 [strengths, cases]."""
    import numpy as np

    held = np.zeros((len(table.strengths), len(labels)))
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        features: Any = table.features(inside.tolist())
        seen, unseen = (table.values(features, rows.tolist()) for rows in (inside, outside))
        width, weights = seen.shape[1], None
        for place, strength in enumerate(table.strengths):
            weights = fit(
                seen,
                labels[inside],
                table.signs(width),
                strength,
                expected=table.expected(width),
                start=weights,
            )
            held[place, outside] = weights.score(unseen)
    return held


def _best(held: NDArray[np.float64], labels: NDArray[np.bool_]) -> int:
    return min(range(len(held)), key=lambda place: log_loss(held[place], labels))


def _without_own_fold(
    held: NDArray[np.float64], labels: NDArray[np.bool_], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Calibrated logits, each fold's strength and calibration chosen on the other folds: float64 [cases]."""
    import numpy as np

    logits = np.zeros(len(labels))
    for fold in range(FOLDS):
        others, own = folds != fold, folds == fold
        best = _best(held[:, others], labels[others])
        slope, shift = calibrated(held[best, others], labels[others])
        logits[own] = slope * held[best, own] + shift
    return logits

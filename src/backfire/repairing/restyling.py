"""`restyle`: the policy says the strong model's chosen response in its own words.

Self-distillation (SDFT, Yang et al. 2024, arXiv 2402.13669): the model that is to be trained rewrites the response that
it is to learn, so that the text comes from its own distribution and its style tells no label. A judge compares the
decision to refuse or comply before and after; a rewriting that changed it is rejected. Models too small to follow the
instruction *resample*: of the policy's own responses to the prompt, one that decides as the chosen response did.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backfire.errors import InputError
from backfire.judges import for_policy
from backfire.pairs import Pair
from backfire.records import Decided, Decoding, Prompt, Response
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of
from backfire.responses import sample, score
from backfire.store import Ledger

if TYPE_CHECKING:
    from backfire.judges import Judge
    from backfire.models import EndpointModel, LocalModel, RewardModel

Mode = Literal["auto", "rewrite", "resample"]
Changed = Literal["keep", "drop"]
Scorer = Callable[[Pair, Response], float]
TEMPLATE = (
    "Below are a request and a response to it. Rewrite the response in your own words, as you would have answered. "
    "Keep what it says and whether it helps or declines. Give only the rewritten response.\n\n"
    "Request:\n{prompt}\n\nResponse:\n{response}"
)
"""The rewriting instruction; `{prompt}` is the request's last turn."""


@dataclass(frozen=True)
class _Rewriting:
    """What one way of restyling gave for a pair."""

    response: Response | None
    why: str


def restyle_pairs(
    pairs: Sequence[Pair],
    policy: LocalModel | EndpointModel,
    *,
    judge: Judge,
    mode: Mode = "auto",
    tries: int = 8,
    template: str = TEMPLATE,
    not_rewritten: Changed = "keep",
    reward_model: RewardModel | None = None,
    ledger: Ledger | None = None,
    decoding: Decoding | None = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Replace chosen responses by the policy's own that decide alike.

    Of several that do, the reward model takes the best; without one, the words that a candidate shares with the given
    response (F1 of their counts). Where chosen and rejected decide alike, a candidate has to lie above the rejected
    response by the same measure, or the preference would be lost. Truncated, blank and broken candidates, and those
    equal to the rejected response, are never taken. A chosen response that the policy wrote itself stays.

    Args:
        mode: `rewrite` by the instruction, `resample` the policy's own responses to the prompt, or `auto`: rewrite,
            and resample where no rewriting was fit.
        tries: responses drawn for each pair and way.
        template: the rewriting instruction, with {prompt} and {response}.
        not_rewritten: whether a pair without a fit candidate is kept as it was, or left out.
        ledger: keeps responses and verdicts, so that an interrupted run goes on; else a temporary file does.
        decoding: temperature 1 and up to 256 tokens, unless given.

    Raises:
        InputError: a template without its two places, a mode that is none, or fewer than one try.
    """
    if mode not in ("auto", "rewrite", "resample") or not_rewritten not in ("keep", "drop") or tries < 1:
        raise InputError(
            f"restyle: mode {mode!r}, not rewritten {not_rewritten!r}, tries {tries}: use auto, rewrite or resample; keep "
            "or drop; at least 1"
        )
    if "{prompt}" not in template or "{response}" not in template:
        raise InputError("restyle: the rewriting template has to hold {prompt} and {response}")
    own = {place for place, p in enumerate(pairs) if p.chosen.model_id == policy.id}
    called = {place for place, p in enumerate(pairs) if p.chosen.turns} - own
    waiting = [place for place in range(len(pairs)) if place not in own and place not in called]
    ways: tuple[Literal["rewrite", "resample"], ...] = ("rewrite", "resample") if mode == "auto" else (mode,)
    decoding = Decoding() if decoding is None else decoding
    rewritings: dict[int, _Rewriting] = {}
    with _open_or_temporary(ledger) as store:
        for number, way in enumerate(ways):

            def advance(done: int, total: int, number: int = number) -> None:
                if progress is not None:
                    progress(number * total + done, len(ways) * total)

            pairs_left = [pairs[p] for p in waiting]
            prompts = [_asking(pair, template) if way == "rewrite" else pair.prompt for pair in pairs_left]
            samples = sample(
                policy,
                prompts,
                ledger=store,
                n=tries,
                decoding=decoding,
                seed=seed,
                batch_size=batch_size,
                progress=advance,
            )
            by_prompt: dict[str, list[Response]] = {}
            for response in samples.responses:
                by_prompt.setdefault(response.prompt_id, []).append(response)
            failed = {f.request.prompt.id: f.reason for f in samples.failures}
            candidates = [
                [_own(r, pair) for r in by_prompt.get(prompt.id, ())]
                for pair, prompt in zip(pairs_left, prompts, strict=True)
            ]
            judged = _judged(for_policy(judge, policy), pairs_left, candidates, store)
            better = _scorer(reward_model, pairs_left, candidates, store)
            for place, prompt, some in zip(waiting, prompts, candidates, strict=True):
                rewriting = _choose(pairs[place], some, judged, better, way, failed.get(prompt.id))
                before = rewritings.get(place)
                rewritings[place] = (
                    rewriting if before is None else replace(rewriting, why=_both(before.why, rewriting))
                )
            waiting = [p for p in waiting if rewritings[p].response is None]
    repaired_pairs: list[RepairedPair] = []
    left_out: list[tuple[str, int]] = []
    for place, pair in enumerate(pairs):
        if place in own:
            repaired_pairs.append(
                RepairedPair(pair, "kept", "the chosen response is the policy's own", place)
            )
            continue
        if place in called:
            repaired_pairs.append(
                RepairedPair(
                    pair, "kept", "the chosen response calls tools, and only text is rewritten", place
                )
            )
            continue
        rewritten, why = rewritings[place].response, rewritings[place].why
        if rewritten is not None:
            new = replace(pair, chosen=rewritten, chosen_role="self", chosen_score=None, rejected_score=None)
            repaired_pairs.append(RepairedPair(new, "response rewritten", why, place))
        elif not_rewritten == "keep":
            repaired_pairs.append(RepairedPair(pair, "kept", why, place))
        else:
            left_out.append((why.partition(" (")[0], place))
    return outcome_of(repaired_pairs, left_out)


def _own(response: Response, pair: Pair) -> Response:
    """A drawn response as one to the pair's prompt, under the name that the pair knows its writer by."""
    same_writer = response.model_id == pair.rejected.model_id
    return replace(
        response, prompt_id=pair.prompt.id, source=pair.rejected.source if same_writer else response.source
    )


def _asking(pair: Pair, template: str) -> Prompt:
    filled = {"prompt": pair.prompt.text, "response": pair.chosen.text}
    text = re.sub(r"\{(prompt|response)\}", lambda place: filled[place.group(1)], template)
    return Prompt.of(text, tags={"restyles": pair.prompt.id})


def _both(before: str, rewriting: _Rewriting) -> str:
    return rewriting.why if rewriting.response is not None else f"{before}; {rewriting.why}"


@contextmanager
def _open_or_temporary(ledger: Ledger | None) -> Iterator[Ledger]:
    if ledger is not None:
        yield ledger
        return
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.db") as store:
        yield store


def _judged(
    judge: Judge, pairs: Sequence[Pair], candidates: Sequence[Sequence[Response]], ledger: Ledger
) -> dict[str, Decided]:
    """Response id -> what it decides; a damaged candidate is broken, whatever it decides."""
    from backfire.judges import decision_of, judge_responses

    prompts = {p.prompt.id: p.prompt for p in pairs}
    sides = [r for p in pairs for r in (p.chosen, p.rejected)]
    sampled = [r for some in candidates for r in some]
    responses = sides + sampled
    verdicts = judge_responses(judge, prompts, responses, ledger)
    decisions = {r.id: decision_of(v) for r, v in zip(responses, verdicts, strict=True)}
    mine = {r.id for r in sampled}
    return {
        name: "broken" if name in mine and not decision.sound else decision.what
        for name, decision in decisions.items()
    }


def _scorer(
    reward_model: RewardModel | None,
    pairs: Sequence[Pair],
    candidates: Sequence[Sequence[Response]],
    ledger: Ledger,
) -> Scorer:
    if reward_model is None:
        return lambda pair, response: shared_words(pair.chosen.text, response.text)
    prompts = {p.prompt.id: p.prompt for p in pairs}
    responses = [r for p, some in zip(pairs, candidates, strict=True) for r in (p.chosen, p.rejected, *some)]
    scores: Mapping[str, float] = score(reward_model, prompts, responses, ledger=ledger)
    return lambda pair, response: scores[response.id]


def shared_words(one: str, other: str) -> float:
    """F1 of the word counts of two texts, case folded: 1 where they have the same words, 0 where they share none."""
    a, b = Counter(one.casefold().split()), Counter(other.casefold().split())
    return 2 * (a & b).total() / max(1, a.total() + b.total())


def _choose(
    pair: Pair,
    candidates: Sequence[Response],
    decisions: Mapping[str, Decided],
    value: Scorer,
    way: str,
    failure: str | None,
) -> _Rewriting:
    name = {"rewrite": "rewriting", "resample": "own response"}[way]
    decision = decisions[pair.chosen.id]
    if decision not in ("refuse", "comply"):
        return _Rewriting(None, "the judge cannot say what the chosen response decides")
    if not candidates:
        return _Rewriting(None, f"no {name} was drawn ({failure})")
    whole = [r for r in candidates if not r.truncated and r.text.split() != pair.rejected.text.split()]
    same = [r for r in whole if decisions[r.id] == decision]
    if not same:
        ends = Counter(decisions[r.id] for r in whole)
        counts = ", ".join(f"{n} {what}" for what, n in sorted(ends.items()))
        return _Rewriting(
            None,
            f"no {name} decides as the chosen response, which is to {decision} "
            f"({len(candidates)} tries: {counts or 'all truncated or equal to rejected'})",
        )
    best = max(same, key=lambda r: (value(pair, r), r.id))
    if decisions[pair.rejected.id] == decision and value(pair, best) <= value(pair, pair.rejected):
        return _Rewriting(None, f"no {name} lies above the rejected response, which decides alike")
    how = "rewritten by the policy" if way == "rewrite" else "the policy's own response to the prompt"
    return _Rewriting(
        best, f"{how}; decides to {decision} as before ({len(same)} of {len(candidates)} tries did)"
    )

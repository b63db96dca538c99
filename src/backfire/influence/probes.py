"""Probe sets drawn from a policy: its own refusals against its own compliances, on prompts that it is not trained on.

Only what the policy would say itself tells where its decision lies: a margin over foreign texts moves with their wording.
So responses are sampled and judged. On prompts where it always decides alike, openers of the missing decision are put
into its mouth and it goes on by itself (`how = "openers"`); prompts where even that fails are counted out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from backfire.errors import InputError
from backfire.influence.openers import Decision, continued, own_openers
from backfire.influence.probe_files import read_probes, write_probes
from backfire.influence.probe_sets import How, Probe, ProbeSet, ProbeSets, stratum_of
from backfire.judges import Judge, PhraseJudge, decision_of, for_policy, judge_responses
from backfire.judges.reasoning import answer_of as parted
from backfire.records import Decoding, Prompt, Verdict, digest, given_response
from backfire.responses import sample
from backfire.store import Ledger

if TYPE_CHECKING:
    from backfire.models import Generation, LocalModel

__all__ = [
    "How",
    "Probe",
    "ProbeSet",
    "ProbeSets",
    "open_probes",
    "read_probes",
    "sample_probes",
    "write_probes",
]

Progress = Callable[[int, int], None]
Responses = Mapping[Decision, tuple[str, ...]]
"""What a policy said to one prompt: different texts by decision, those that ended by themselves first."""

SAMPLES = 8
"""Responses to each probe prompt."""
SAMPLING = Decoding(max_new_tokens=128, temperature=1.0)
IN_TRAINING = "prompt is in the training data"
UNANSWERED = "prompt does not fit the context"
UNDECIDED = "no refusal and no compliance"
ALIKE = "no two different samples of one decision"


def sample_probes(
    model: LocalModel,
    prompts: Sequence[Prompt],
    *,
    judge: Judge | None = None,
    n: int = SAMPLES,
    decoding: Decoding = SAMPLING,
    seed: int = 0,
    ledger: Ledger | None = None,
    most: int = 2,
    training_prompts: Iterable[str] = (),
    progress: Progress | None = None,
) -> ProbeSets:
    """Sample the policy on probe prompts, and set what it refused against what it complied with.

    Args:
        prompts: harmful ones (a kind of None counts as harmful), and benign ones if over-refusal is to be seen.
        judge: says which responses refuse; by default the refusal phrases. Broken and unscored responses are no evidence.
        n: samples a prompt.
        ledger: where the samples and verdicts are kept and found again; by default a temporary one.
        most: different responses a side, at most; those that ended by themselves before those that were cut off.
        training_prompts: ids of prompts that give no probes. They do not count as asked.
        progress: called with (done, total) samples.

    Raises:
        InputError: no harmful prompt, or a number out of range.
    """
    if most < 1:
        raise InputError(f"most {most}: keep at least 1 response a side")
    unique = {p.id: p if p.kind else replace(p, kind="harmful") for p in prompts}
    harmful = [p for p in unique.values() if p.kind == "harmful"]
    benign = [p for p in unique.values() if p.kind == "benign"]
    if not harmful:
        raise InputError(
            f"none of {len(unique)} probe prompts is harmful: give prompts whose kind is harmful, or not said"
        )
    judge = for_policy(judge or PhraseJudge(), model)
    known = set(training_prompts)
    new_prompts = [p for p in unique.values() if p.id not in known]
    with _open(ledger) as store:
        responses = _responses(model, new_prompts, judge, store, n, decoding, seed, progress)
    made = _continued(model, new_prompts, responses, judge, decoding, seed, most)
    return ProbeSets(
        _decisions("refusal", harmful, known, responses, made, most),
        _decisions("benign", benign, known, responses, made, most) if benign else None,
        _placebo(harmful, known, responses),
    )


def open_probes(
    model: LocalModel,
    source: Any,
    *,
    judge: Judge | None = None,
    decoding: Decoding = SAMPLING,
    seed: int = 0,
    ledger: Ledger | None = None,
    training_prompts: Iterable[str] = (),
    progress: Progress | None = None,
) -> ProbeSets:
    """The one way from what names probe prompts to probes: finished probes as they are, and of prompts the policy's own.

    source: what `read_probes` reads, or gave; the rest as in `sample_probes`.
    """
    prompts = read_probes(source)
    if isinstance(prompts, ProbeSets):
        return prompts
    return sample_probes(
        model,
        prompts,
        judge=judge,
        decoding=decoding,
        seed=seed,
        ledger=ledger,
        training_prompts=training_prompts,
        progress=progress,
    )


@contextmanager
def _open(ledger: Ledger | None) -> Iterator[Ledger]:
    if ledger is not None:
        yield ledger
        return
    with TemporaryDirectory(prefix="backfire-") as folder, Ledger(Path(folder) / "probes.sqlite") as opened:
        yield opened


def _responses(
    model: LocalModel,
    prompts: Sequence[Prompt],
    judge: Judge,
    ledger: Ledger,
    n: int,
    decoding: Decoding,
    seed: int,
    progress: Progress | None,
) -> dict[str, Responses]:
    """What was sampled, by prompt id; prompts that do not fit the context are not among them."""
    sampled = sample(model, prompts, ledger=ledger, n=n, decoding=decoding, seed=seed, progress=progress)
    verdicts = judge_responses(judge, {p.id: p for p in prompts}, sampled.responses, ledger)
    by_decision: dict[str, dict[Decision, dict[str, bool]]] = {
        r.prompt_id: {"refusal": {}, "compliance": {}} for r in sampled.responses
    }
    for response, verdict in zip(sampled.responses, verdicts, strict=True):
        if decision := decided(verdict):
            texts = by_decision[response.prompt_id][decision]
            texts[response.text] = texts.get(response.text, True) and response.truncated
    return {
        key: {decision: tuple(sorted(texts, key=lambda t: texts[t])) for decision, texts in sides.items()}
        for key, sides in by_decision.items()
    }


def decided(verdict: Verdict) -> Decision | None:
    """What the response is an example of; None where it is damaged, or the judge could not say."""
    shown = decision_of(verdict).shown
    return None if shown is None else "refusal" if shown == "refuse" else "compliance"


def _continued(
    model: LocalModel,
    prompts: Sequence[Prompt],
    responses: Mapping[str, Responses],
    judge: Judge,
    decoding: Decoding,
    seed: int,
    most: int,
) -> dict[Decision, dict[str, tuple[str, ...]]]:
    """Continuations of openers of the decision that a prompt was never answered with, by decision and prompt id."""

    def decides(prompt: Prompt, done: Generation) -> Decision | None:
        return decided(judge.judge(prompt, given_response(prompt, model.name, done.text)))

    made: dict[Decision, dict[str, tuple[str, ...]]] = {}
    decisions: tuple[Decision, Decision] = ("refusal", "compliance")
    for decision in decisions:
        lacking = [
            p
            for p in prompts
            if p.id in responses and any(responses[p.id].values()) and not responses[p.id][decision]
        ]
        heard = [
            (p, parted(text).answer)
            for p in prompts
            if p.id in responses
            for text in responses[p.id][decision]
        ]
        made[decision] = continued(
            model,
            lacking,
            decision,
            own_openers(heard),
            decides=decides,
            decoding=decoding,
            seed=seed,
            most=most,
        )
    return made


def _decisions(
    name: Literal["refusal", "benign"],
    prompts: Sequence[Prompt],
    known: set[str],
    responses: Mapping[str, Responses],
    made: Mapping[Decision, Mapping[str, tuple[str, ...]]],
    most: int,
) -> ProbeSet:
    """Refusals against compliances on harmful prompts, compliances against refusals on benign ones."""
    probes: list[Probe] = []
    left_out: Counter[str] = Counter()
    for prompt in prompts:
        if reason := _unusable(prompt, known, responses):
            left_out[reason] += 1
            continue
        sampled = responses[prompt.id]
        sides = {decision: texts or made[decision].get(prompt.id, ()) for decision, texts in sampled.items()}
        if missing := [decision for decision, texts in sides.items() if not texts]:
            left_out[f"no {missing[0]}, sampled or by openers" if len(missing) == 1 else UNDECIDED] += 1
            continue
        how: How = "sampled" if all(sampled.values()) else "openers"
        toward, away = sides["refusal"][:most], sides["compliance"][:most]
        if name == "benign":
            toward, away = away, toward
        probes.append(Probe(prompt, toward, away, how, stratum_of(prompt)))
    return ProbeSet(name, tuple(probes), _prompts_by_stratum(prompts, known), dict(sorted(left_out.items())))


def _placebo(prompts: Sequence[Prompt], known: set[str], responses: Mapping[str, Responses]) -> ProbeSet:
    """Two samples of one decision; coins from the prompt's id choose the decision, where both have two, and the sides."""
    probes: list[Probe] = []
    left_out: Counter[str] = Counter()
    for prompt in prompts:
        if reason := _unusable(prompt, known, responses):
            left_out[reason] += 1
            continue
        able = [texts for texts in responses[prompt.id].values() if len(texts) > 1]
        if not able:
            left_out[ALIKE if any(responses[prompt.id].values()) else UNDECIDED] += 1
            continue
        coins = int(digest("placebo", prompt.id)[:8], 16)
        pair = able[coins // 2 % len(able)][:2]
        toward, away = pair if coins % 2 else pair[::-1]
        probes.append(Probe(prompt, (toward,), (away,), "sampled", stratum_of(prompt)))
    return ProbeSet(
        "placebo", tuple(probes), _prompts_by_stratum(prompts, known), dict(sorted(left_out.items()))
    )


def _unusable(prompt: Prompt, known: set[str], responses: Mapping[str, Responses]) -> str | None:
    if prompt.id in known:
        return IN_TRAINING
    return None if prompt.id in responses else UNANSWERED


def _prompts_by_stratum(prompts: Sequence[Prompt], known: set[str]) -> dict[str, int]:
    return dict(sorted(Counter(stratum_of(p) for p in prompts if p.id not in known).items()))

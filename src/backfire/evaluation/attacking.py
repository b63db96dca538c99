"""Attack a model: ask, judge, and count, with what could not be judged beside the rate and never inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from backfire.answers.attack import AttackResult
from backfire.errors import InputError
from backfire.evaluation.attacks import Asking, judged
from backfire.evaluation.counting import Case, tally
from backfire.judges import Judge, for_policy
from backfire.models import EndpointModel, LocalModel
from backfire.records import Decoding, Kind, Prompt
from backfire.store import Ledger

GREEDY = Decoding(max_new_tokens=512, temperature=0.0)
"""One greedy response of up to 512 tokens, as arXiv 2504.02193 has it."""


def attack(
    model: LocalModel | EndpointModel,
    attacks: Mapping[str, Sequence[Prompt]],
    benign: Mapping[str, Sequence[Prompt]],
    *,
    judges: Sequence[Judge],
    ledger: Ledger,
    decoding: Decoding = GREEDY,
    seed: int = 0,
    batch_size: int = 64,
    examples: int = 3,
    system: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AttackResult:
    """One response to each prompt, one verdict on it by each judge, and a rate per set and judge.

    The attack success rate is judged harmful / scored, with a 95% Wilson interval. A prompt without a response, or
    whose response a judge left unscored, counts as unscored; `best` and `worst` bound the rate over all of the set's
    prompts. Over-refusal is the share of responses to benign prompts that decline. Everything is stored in the
    ledger, so that a second call draws and judges only what is missing.

    Args:
        attacks: harmful prompts by the attack's name; those without a kind are taken as harmful.
        benign: prompts that deserve an answer, by the set's name; those without a kind are taken as benign.
        examples: how many stored responses to show of each attack.
        system: a system turn before every prompt; the judges do not read it.
        progress: called with (done, total) responses while sampling.

    Raises:
        InputError: an empty set, a set that a prompt's kind contradicts, two sets or two judges of one name, no judge, or a
            prompt with a system turn of its own beside `system`.
    """
    check_sets(attacks, benign, judges)
    judges = [for_policy(judge, model) for judge in judges]
    sets = {name: labelled(name, prompts, "harmful") for name, prompts in attacks.items()}
    sets |= {name: labelled(name, prompts, "benign") for name, prompts in benign.items()}
    prompts = joined(sets)
    asking = Asking(model, ledger, decoding, seed, batch_size, judges, progress, system)
    answers = asking.answer(prompts)
    names = list(answers.responses)
    cases = [(prompts[name], answers.responses[name]) for name in names]
    verdicts = {j.name: dict(zip(names, judged(j, cases, ledger), strict=True)) for j in judges}
    return tally(
        {
            name: Case(
                asked,
                {p: answers.put[p] for p in asked},
                answers.responses,
                answers.failed,
                verdicts,
                name in attacks,
            )
            for name, asked in sets.items()
        },
        examples,
        asking.lost,
    )


def check_sets(
    attacks: Mapping[str, Sequence[Prompt]], benign: Mapping[str, Sequence[Prompt]], judges: Sequence[Judge]
) -> None:
    """Raise InputError for an empty or doubly named set, no judge, or two judges of one name."""
    if not attacks and not benign:
        raise InputError("nothing to ask: give at least one attack or one benign set of prompts")
    for name, prompts in [*attacks.items(), *benign.items()]:
        if not prompts:
            raise InputError(
                f"the prompt set {name!r} is empty: a rate over nothing is undefined; leave it out"
            )
    if both := sorted(attacks.keys() & benign.keys()):
        raise InputError(f"{both[0]!r} names an attack and a benign set: give one of them another name")
    names = [judge.name for judge in judges]
    if not names:
        raise InputError("no judge: give at least one, such as `phrases`")
    if twice := sorted(n for n, count in Counter(names).items() if count > 1):
        raise InputError(f"two judges are named {twice[0]!r}: their verdicts could not be told apart")


def labelled(name: str, prompts: Iterable[Prompt], kind: Kind) -> dict[str, Prompt]:
    """The set's prompts by id, each once and each of this kind."""
    found: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.kind not in (None, kind):
            raise InputError(
                f"the set {name!r} is taken as {kind} and holds a prompt that is labelled {prompt.kind}: "
                f"{prompt.text!r:.80}; move it to a set of its kind"
            )
        found.setdefault(prompt.id, prompt if prompt.kind else replace(prompt, kind=kind))
    return found


def joined(sets: Mapping[str, Mapping[str, Prompt]]) -> dict[str, Prompt]:
    """All sets' prompts by id, each with the tags of all its sets, an earlier set's first.

    Raises InputError for one that is harmful in one set and benign in another.
    """
    prompts: dict[str, Prompt] = {}
    for name, asked in sets.items():
        for prompt_id, prompt in asked.items():
            first = prompts.setdefault(prompt_id, prompt)
            if first.kind != prompt.kind:
                raise InputError(
                    f"a prompt of {name!r} stands in an attack and in a benign set: {prompt.text!r:.80}; "
                    "leave it out of one"
                )
            if not prompt.tags.items() <= first.tags.items():
                prompts[prompt_id] = replace(first, tags={**prompt.tags, **first.tags})
    return prompts

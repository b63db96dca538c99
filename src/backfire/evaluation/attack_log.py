"""A stored attack as an Inspect log: what was answered is read from the ledger, and nothing is asked again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.answers.attack import AttackResult, RateRow, parse_attack
from backfire.errors import InputError
from backfire.logs.inspect_writing import WrittenLog, WrittenSample, WrittenScore, write_inspect_samples
from backfire.records import Prompt, Response, Verdict
from backfire.store import Ledger, read_json

TASK = "backfire_attack"
NOT_STORED = "(the request is not in the ledger)"
"""The input of a sample without a response whose request was put in other words only."""
NOT_KEPT = ("outcomes", "examples", "responses")
"""What an attack's answer has and its log says by its samples."""
Verdicts = Mapping[str, Mapping[str, Verdict]]


def write_inspect_log(
    attack: str | Path | Mapping[str, Any],
    ledger: Ledger | str | Path,
    path: str | Path,
    *,
    model: str | None = None,
) -> Path:
    """Write an attack as an Inspect log: a sample for each response, with what every judge said of it.

    A score of 1 says that a response to an attack is harmful, or that a benign request was refused; 0 says that it is not so. What
    is unscored stays so, with its reason.

    Args:
        attack: a file of `backfire attack --json`, or what stands in one.
        ledger: the ledger that holds the attack's responses.
        path: the log to write, which ends in .eval or .json.
        model: what the model is called, where the attack does not say it.

    Raises:
        InputError: an attack of an older version, a ledger that lacks its responses, another ending, or no inspect-ai.
    """
    origin = str(attack) if isinstance(attack, (str, Path)) else "the attack"
    content = _content(attack)
    result = parse_attack(content, origin)
    if not result.responses:
        raise InputError(
            f"{origin} does not say which responses it judged: write it anew by `backfire attack --json` with the same ledger, "
            "which asks for nothing again"
        )
    if isinstance(ledger, Ledger):
        return _write(content, result, ledger, Path(path), model, origin)
    if not Path(ledger).is_file():
        raise InputError(f"there is no ledger {ledger}: name the one that the attack was stored in")
    with Ledger(ledger) as opened:
        return _write(content, result, opened, Path(path), model, origin)


def _content(attack: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(attack, (str, Path)):
        return attack
    try:
        content = read_json(Path(attack))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{attack} cannot be read ({error}): name a file of `backfire attack --json`"
        ) from error
    if not isinstance(content, dict) or "asr" not in content:
        raise InputError(f"{attack} is no attack: name a file of `backfire attack --json`")
    return content


def _write(
    content: Mapping[str, Any],
    result: AttackResult,
    ledger: Ledger,
    path: Path,
    model: str | None,
    origin: str,
) -> Path:
    ids = list(dict.fromkeys(one for by in result.responses.values() for one in by.values()))
    responses = ledger.responses(ids)
    if missing := [one for one in ids if one not in responses]:
        raise InputError(
            f"{ledger.path} has {len(responses)} of the {len(ids)} responses of {origin}, and not {missing[0]}: name the ledger "
            "that the attack was stored in"
        )
    requests = {prompt for by in result.outcomes.values() for each in by.values() for prompt in each}
    asked = ledger.prompts(sorted(requests | {one.prompt_id for one in responses.values()}))
    judges = content.get("judges") or {}
    verdicts = {judge: ledger.verdicts(str(known), ids) for judge, known in judges.items()}
    samples = []
    harmful = {row.attack for row in result.asr}
    together = {str(row["attack"]) for row in content.get("any_attack") or ()}
    for name, by_judge in result.outcomes.items():
        if name in together:
            continue
        for prompt in next(iter(by_judge.values()), {}):
            stored = responses.get(result.responses.get(name, {}).get(prompt, ""))
            about = {
                "set": name,
                "prompt_id": prompt,
                "kind": "harmful" if name in harmful else "benign",
                "behaviour": result.clusters.get(name, {}).get(prompt),
            }
            samples.append(_sample(name, prompt, stored, asked, by_judge, verdicts, about))
    header = {name: value for name, value in content.items() if name not in NOT_KEPT}
    header["together"] = {name: result.outcomes[name] for name in together if name in result.outcomes}
    called = model or str(content.get("model") or path.stem)
    sets = ", ".join(name for name in result.outcomes if name not in together)
    decoding = content.get("decoding") or next(
        (one.decoding.as_dict() for one in responses.values() if one.decoding), {}
    )
    log = WrittenLog(TASK, called, sets, samples, _metrics(result), decoding, {**header, "model": called})
    return write_inspect_samples(path, log)


def _sample(
    name: str,
    prompt: str,
    response: Response | None,
    asked: Mapping[str, Prompt],
    outcomes: Mapping[str, Mapping[str, bool | None]],
    verdicts: Verdicts,
    about: Mapping[str, Any],
) -> WrittenSample:
    put = asked.get(prompt if response is None else response.prompt_id)
    turns = [{"role": "user", "content": NOT_STORED}] if put is None else put.as_messages()
    scores = {}
    for judge, by_prompt in outcomes.items():
        verdict = None if response is None else verdicts.get(judge, {}).get(response.id)
        reason = verdict.reason if verdict is not None else "" if response is not None else "no response"
        scores[judge] = WrittenScore(by_prompt.get(prompt), reason)
    return WrittenSample(
        f"{name}/{prompt}",
        turns,
        None if response is None else response.text,
        "" if response is None else response.stop_reason,
        scores,
        {key: value for key, value in about.items() if value is not None},
    )


def _metrics(result: AttackResult) -> dict[str, dict[str, float]]:
    metrics: dict[str, dict[str, float]] = {}
    rows: list[tuple[str, str, str, RateRow]] = [
        *((row.attack, row.judge, "harmful", row) for row in result.asr),
        *((row.prompts, row.judge, "refused", row) for row in result.over_refusal),
    ]
    for name, judge, what, row in rows:
        shown = {"": row.rate, " low": row.low, " high": row.high}
        for part, value in shown.items():
            if value is not None:
                metrics.setdefault(judge, {})[f"{name} {what}{part}"] = value
    return metrics

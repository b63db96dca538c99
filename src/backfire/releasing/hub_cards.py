"""The section of a model card or a data-set card about a release: put into a card, once, and pushed to the hub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from backfire.errors import InputError

BEGIN, END = "<!-- backfire release: begin -->", "<!-- backfire release: end -->"
"""What a section stands between; what stands there is replaced, and nothing else."""
BY = "backfire release"
"""What marks an evaluation result of the metadata as a release check's own."""
DATASETS = "datasets/"
CARD = "README.md"
_HEAD = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_INDEX = re.compile(r"^model-index:.*?(?=^[^\s#-]|\Z)", re.DOTALL | re.MULTILINE)

Kind = Literal["model", "dataset"]


@dataclass(frozen=True)
class Section:
    """What a card gets: Markdown, and evaluation results for the metadata of a model card."""

    text: str
    results: Sequence[Mapping[str, Any]]
    """Keywords of `huggingface_hub.EvalResult`."""


@dataclass(frozen=True)
class Pushed:
    """What a push changes, or would change."""

    repo: str
    before: str
    after: str
    url: str | None
    """Where the commit is; null where nothing was pushed."""


def with_section(card: str, section: Section, kind: Kind = "model", *, name: str = "candidate") -> str:
    """The card with the section in the place of an earlier one, or at its end. The rest stays as it is, byte for byte.

    name: what the model is called in the metadata, where the card does not say.

    Raises:
        InputError: a card whose metadata cannot be read, or that has half a section.
    """
    begins, ends = card.count(BEGIN), card.count(END)
    if begins != ends or begins > 1:
        raise InputError(
            f"the card has {begins} times {BEGIN!r} and {ends} times {END!r}: leave one of each around the section, or none"
        )
    block = f"{BEGIN}\n{section.text.strip()}\n{END}"
    if begins:
        start, end = card.index(BEGIN), card.index(END) + len(END)
        if end < start:
            raise InputError(f"the card has {END!r} before {BEGIN!r}: take both out")
        card = card[:start] + block + card[end:]
    else:
        card = (
            (card if not card or card.endswith("\n") else f"{card}\n") + ("\n" if card else "") + block + "\n"
        )
    return _with_results(card, section, name) if kind == "model" else card


def _with_results(card: str, section: Section, name: str) -> str:
    """The card with the results in its metadata's model-index, those of an earlier section left out."""
    from huggingface_hub import EvalResult, ModelCard
    from huggingface_hub.repocard_data import eval_results_to_model_index

    try:
        known: Any = ModelCard(card).data
    except Exception as error:
        raise InputError(
            f"the metadata of the card cannot be read ({' '.join(str(error).split())[:200]}): correct its YAML"
        ) from error
    others = [one for one in known.eval_results or [] if (one.metric_args or {}).get("by") != BY]
    results = [*others, *(EvalResult(**one) for one in section.results)]
    listed = {"model-index": eval_results_to_model_index(known.model_name or name, results)}
    index = yaml.safe_dump(listed, sort_keys=False, allow_unicode=True)
    head = _HEAD.match(card)
    if head is None:
        return f"---\n{index}---\n{card}"
    metadata = head[1]
    metadata = _INDEX.sub(lambda _: index, metadata, count=1) if _INDEX.search(metadata) else metadata + index
    return card[: head.start(1)] + metadata + card[head.end(1) :]


def write_card(path: str | Path, section: Section, kind: Kind = "model", *, name: str = "candidate") -> Path:
    """Put the section into a card's file, whole or not at all; where there is no file, one is made."""
    from backfire.store import write_text

    path = Path(path)
    try:
        card = path.read_bytes().decode("utf-8") if path.is_file() else ""
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8 ({error}): name a card such as README.md") from error
    write_text(path, with_section(card, section, kind, name=name))
    return path


def push_section(repo: str, section: Section, *, dry_run: bool = True) -> Pushed:
    """Put the section into the card of a repository on the hub; with `dry_run`, say only what that would change.

    repo: OWNER/NAME of a model, datasets/OWNER/NAME of a data set. A card that has the section already is not pushed.

    Raises:
        InputError: no such repository, a token without rights, or a hub that is not reached.
    """
    kind: Kind = "dataset" if repo.startswith(DATASETS) else "model"
    repo_id = repo.removeprefix(DATASETS)
    from huggingface_hub import HfApi

    before = _card_there(repo, repo_id, kind)
    after = with_section(before, section, kind, name=repo_id.rpartition("/")[2])
    if dry_run or after == before:
        return Pushed(repo, before, after, None)
    try:
        done = HfApi().upload_file(
            path_or_fileobj=after.encode("utf-8"),
            path_in_repo=CARD,
            repo_id=repo_id,
            repo_type=kind,
            commit_message="Release check by backfire",
        )
    except Exception as error:
        raise _refused(repo, error, writing=True) from error
    return Pushed(repo, before, after, str(done))


def _card_there(repo: str, repo_id: str, kind: Kind) -> str:
    """The card as it is on the hub; blank where the repository has none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        path = hf_hub_download(repo_id, CARD, repo_type=kind)
    except RemoteEntryNotFoundError:
        return ""
    except Exception as error:
        raise _refused(repo, error, writing=False) from error
    return Path(path).read_bytes().decode("utf-8")


def _refused(repo: str, error: Exception, *, writing: bool) -> InputError:
    """What the hub's refusal means, and the fix."""
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    do = "write to" if writing else "read"
    if status in (401, 403) and not (isinstance(error, RepositoryNotFoundError) and not writing):
        return InputError(
            f"the hub does not let this token {do} {repo} ({status}): log in with `hf auth login` by a token with write access to "
            "it, or set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError):
        return InputError(
            f"there is no repository {repo} that this token may see: check the name, create it on the hub, or log in with "
            "`hf auth login`"
        )
    if isinstance(error, (HfHubHTTPError, OSError, ValueError, ConnectionError)) or status is not None:
        lines = str(error).strip().splitlines()
        return InputError(
            f"the hub could not {'take' if writing else 'give'} the card of {repo} ({type(error).__name__}: "
            f"{lines[0][:200] if lines else ''}): check the network and the name, and try again"
        )
    raise error

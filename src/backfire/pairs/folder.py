"""A folder of pairs: `train.parquet`, which `datasets` and TRL read as it is, and `pairs.json` about it.

Tool calls whose arguments differ from row to row do not fit into one type of Parquet; such pairs are in `train.jsonl`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError
from backfire.pairs.building import Built
from backfire.pairs.pair import Pair
from backfire.pairs.recipe import Recipe
from backfire.records import Decoding, Message, Prompt, Response, completion_turns, digest
from backfire.store import NotHeldError, artifact, read_json, write_json, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

LAYOUT = 1
SIDES = ("chosen", "rejected")
ARGUMENTS = ("tools", "chat_template_kwargs")
TRAIN = ("train.parquet", "train.jsonl")


def write_pairs(
    folder: str | Path,
    built: Built,
    configuration: dict[str, Any] | None = None,
    *,
    extra_columns: Mapping[str, Sequence[Any]] | None = None,
    extra_files: Mapping[str, Any] | None = None,
    plain: bool = False,
) -> Path:
    """Write pairs whole or not at all; return the folder.

    `datasets.load_dataset(str(folder))` gives one split, `train`, with conversational `prompt`, `chosen` and
    `rejected` (lists of turns), `tools` and `chat_template_kwargs` where prompts have them, and string or number columns of
    provenance. `configuration` goes into the folder's manifest; by default it is the recipe and a digest of the pairs.
    Pairs that stand there are replaced. `extra_columns` are further values, one a pair, and `extra_files` JSON values by file
    name; `read_pairs` reads neither. `plain` writes `prompt`, `chosen` and `rejected` as plain text, for training without a
    chat template.

    Raises:
        InputError: something else stands there, which writing would destroy; `plain` for a pair of several turns.
    """
    folder = folder_for_pairs(folder)
    if configuration is None:
        configuration = {"recipe": built.recipe.as_dict(), "pairs": digest(*(p.id for p in built.pairs))}
    about = {
        "layout": LAYOUT,
        "recipe": built.recipe.as_dict(),
        "counts": built.counts,
        "warnings": list(built.warnings),
        "left_out": {reason: list(ids) for reason, ids in built.left_out.items()},
    }
    with artifact(folder, configuration) as aside:
        _write_rows(aside, built.pairs, extra_columns or {}, plain)
        write_json(aside / "pairs.json", about)
        for name, value in (extra_files or {}).items():
            write_json(aside / name, value)
    return folder


def folder_for_pairs(folder: str | Path) -> Path:
    """The path of a folder to write; InputError where something else than pairs stands there, which writing would destroy."""
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"{folder} is a file: name a folder for the pairs")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pairs.json").is_file():
        raise InputError(f"{folder} holds something that is not pairs: name a new folder")
    return folder


def read_pairs(folder: str | Path) -> Built:
    """Read what `write_pairs` wrote; the same ids come back.

    Raises:
        InputError: `folder` is not a folder of pairs, is damaged, or of an older or newer layout.
    """
    folder = Path(folder)
    if not (folder / "pairs.json").is_file() or not any((folder / name).is_file() for name in TRAIN):
        raise InputError(
            f"{folder} is not a folder of pairs (train.parquet, pairs.json): build one with `backfire pair`"
        )
    try:
        return _read(folder)
    except (
        OSError,
        ArithmeticError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:
        lines = str(error).splitlines() or [""]
        raise InputError(
            f"{folder} is damaged ({type(error).__name__}: {lines[0]:.200}): build it again"
        ) from error


def _read(folder: Path) -> Built:
    about = read_json(folder / "pairs.json")
    if not isinstance(about, dict):
        raise ValueError(f"pairs.json holds a {type(about).__name__}")
    if about.get("layout") != LAYOUT:
        raise InputError(
            f"{folder} has layout {about.get('layout')}, this version reads {LAYOUT}: build it again"
        )
    pairs = tuple(map(_pair, pair_rows(folder)))
    return Built(
        Recipe.model_validate(about["recipe"]),
        pairs,
        {reason: tuple(ids) for reason, ids in about["left_out"].items()},
        about["counts"]["responses_left_out"],
        tuple(about["warnings"]),
    )


def written_plain(folder: str | Path) -> bool:
    """Whether a folder of pairs was written with `plain`."""
    rows = pair_rows(Path(folder))
    return bool(rows) and isinstance(rows[0]["prompt"], str)


def pair_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of a folder of pairs, all columns."""
    if (folder / TRAIN[0]).is_file():
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(folder / TRAIN[0]).to_pylist()
        return rows
    with (folder / TRAIN[1]).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def own_columns() -> frozenset[str]:
    """The columns that `write_pairs` gives a meaning."""
    return frozenset((*_schema().names, *ARGUMENTS, *(f"{side}_text" for side in SIDES)))


def _write_rows(aside: Path, pairs: Sequence[Pair], extra: Mapping[str, Sequence[Any]], plain: bool) -> None:
    fields = {field.name: field.type for field in _schema()}
    if plain:
        import pyarrow as pa

        texts = [_texts(pair) for pair in pairs]
        given = [_row(pair) | text for pair, text in zip(pairs, texts, strict=True)]
        given = [row | {name: some[k] for name, some in extra.items()} for k, row in enumerate(given)]
        fields |= dict.fromkeys(("prompt", *SIDES), pa.string())
        write_rows(aside / TRAIN[0], lambda: [given], (), fields)
        return
    turned = any(response.turns for pair in pairs for response in (pair.chosen, pair.rejected))
    further = [name for name in ARGUMENTS if any(_argument(pair, name) for pair in pairs)]

    def rows(texts: bool) -> list[dict[str, Any]]:
        made = []
        for place, pair in enumerate(pairs):
            row = _row(pair)
            for name in further:
                argument = _argument(pair, name)
                value = json.loads(argument) if argument else None if name == "tools" else {}
                row[name] = (argument or None) if texts and name == "tools" else value
            if turned:
                row |= {f"{side}_text": getattr(pair, side).text for side in SIDES}
            made.append(row | {name: values[place] for name, values in extra.items()})
        return made

    try:
        write_rows(aside / TRAIN[0], lambda: [rows(True)], ("prompt", *SIDES), fields)
    except NotHeldError:
        write_rows(aside / TRAIN[1], lambda: [rows(False)], ("prompt", *SIDES))


def _texts(pair: Pair) -> dict[str, str]:
    """Prompt and sides as plain text; an InputError where they are more than that."""
    prompt = pair.prompt
    turned = pair.chosen.turns or pair.rejected.turns or prompt.tools or prompt.template_options
    if turned or [turn.role for turn in prompt.messages] != ["user"]:
        raise InputError(
            f"the pair of prompt {prompt.id[:8]} is a conversation, which has no plain text: leave out plain"
        )
    return {"prompt": prompt.text, "chosen": pair.chosen.text, "rejected": pair.rejected.text}


def _argument(pair: Pair, name: str) -> str:
    return pair.prompt.tools if name == "tools" else pair.prompt.template_options


def _schema() -> pa.Schema:
    import pyarrow as pa

    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    per_side = {
        "source": pa.string(),
        "role": pa.string(),
        "response_id": pa.string(),
        "score": pa.float64(),
        "stop_reason": pa.string(),
        "decoding": pa.string(),
        "model_id": pa.string(),
        "request_id": pa.string(),
        "tokens": pa.int64(),
        "seed": pa.int64(),
        "sample": pa.int64(),
    }
    fields = [("prompt", turns), ("chosen", turns), ("rejected", turns)]
    fields += [(name, pa.string()) for name in ("pair_id", "prompt_id", "recipe", "kind")]
    fields += [(f"{side}_{name}", type_) for name, type_ in per_side.items() for side in SIDES]
    return pa.schema([*fields, ("tags", pa.string())])


def _row(pair: Pair) -> dict[str, Any]:
    row: dict[str, Any] = {
        "prompt": pair.prompt.as_messages(),
        "pair_id": pair.id,
        "prompt_id": pair.prompt.id,
        "recipe": pair.recipe,
        "kind": pair.prompt.kind,
        "tags": json.dumps(dict(pair.prompt.tags), ensure_ascii=False, sort_keys=True),
    }
    sides = (
        (pair.chosen, pair.chosen_role, pair.chosen_score),
        (pair.rejected, pair.rejected_role, pair.rejected_score),
    )
    for side, (response, role, score) in zip(SIDES, sides, strict=True):
        row[side] = completion_turns(response.completion)
        decoding = response.decoding
        provenance = {
            "source": response.source,
            "role": role,
            "response_id": response.id,
            "score": score,
            "stop_reason": response.stop_reason,
            "decoding": None if decoding is None else json.dumps(decoding.as_dict(), sort_keys=True),
            "model_id": response.model_id,
            "request_id": response.request_id,
            "tokens": response.tokens,
            "seed": response.seed,
            "sample": response.index,
        }
        row |= {f"{side}_{name}": value for name, value in provenance.items()}
    return row


def _pair(row: Mapping[str, Any]) -> Pair:
    return Pair(
        _prompt(row),
        row["recipe"],
        _response(row, "chosen"),
        _response(row, "rejected"),
        row["chosen_role"],
        row["rejected_role"],
        row["chosen_score"],
        row["rejected_score"],
    )


def _prompt(row: Mapping[str, Any]) -> Prompt:
    tools, options = (row.get(name) for name in ARGUMENTS)
    value = row["prompt"]
    return Prompt.of_messages(
        [{"role": "user", "content": value}] if isinstance(value, str) else value,
        kind=row["kind"],
        tags=json.loads(row["tags"]),
        tools=tools if isinstance(tools, str) else _spelled(tools),
        template_options=_spelled({k: v for k, v in (options or {}).items() if v is not None}),
    )


def _spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""


def _response(row: Mapping[str, Any], side: str) -> Response:
    decoding = row[f"{side}_decoding"]
    value = row[side]
    turns = [Message("assistant", value)] if isinstance(value, str) else [Message.of(turn) for turn in value]
    plain = len(turns) == 1 and not turns[0].more
    return Response(
        row[f"{side}_request_id"],
        row["prompt_id"],
        row[f"{side}_model_id"],
        row[f"{side}_source"],
        turns[0].content if plain else row[f"{side}_text"],
        row[f"{side}_stop_reason"],
        row[f"{side}_tokens"],
        None if decoding is None else Decoding(**json.loads(decoding)),
        row[f"{side}_seed"],
        row[f"{side}_sample"],
        "" if plain else _spelled([turn.as_dict() for turn in turns]),
    )

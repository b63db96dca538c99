from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import backfire.answers.results as schema
from backfire.answers import parse_results, read_results, write_results
from backfire.errors import InputError
from example_results import example_results

ROOT = Path(__file__).parents[2]


def test_a_round_trip_changes_nothing(tmp_path: Path) -> None:
    results = example_results(families=("llama", "qwen2"))
    results["cells"][0]["something_new"] = {"kept": [1, 2.5, None]}
    results["cells"][1]["general"][0]["value"] = 1 / 3
    path = write_results(tmp_path / "results.json", results)
    assert _holds(json.loads(path.read_text()), results)
    again = write_results(tmp_path / "again.json", read_results(path))
    assert again.read_bytes() == path.read_bytes()
    assert read_results(tmp_path).cells[1].general[0].value == 1 / 3


def _holds(written: Any, given: Any) -> bool:
    """Whether everything given was written, unrounded; optional fields may have been filled in."""
    if isinstance(given, dict):
        return all(key in written and _holds(written[key], value) for key, value in given.items())
    if isinstance(given, list):
        return len(written) == len(given) and all(map(_holds, written, given))
    return bool(written == given)


def _set(path: str, value: Any) -> Any:
    def change(results: dict[str, Any]) -> None:
        *steps, last = path.replace("[", ".").replace("]", "").split(".")
        place: Any = results
        for step in steps:
            place = place[int(step) if isinstance(place, list) else step]
        if value is ...:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("cells[2].asr[0].rate", 1.7, "cells[2].asr[0].rate: 1.7"),
        ("cells[2].asr[0].rate", 0.123, "cells[2].asr[0]: rate 0.123 is not"),
        ("cells[2].asr[0].rate", None, "null means that nothing was scored"),
        ("cells[2].asr[0].low", 0.99, "lies above high"),
        ("cells[2].asr[0].high", None, "has no interval"),
        ("cells[2].asr[0].harmful", 500, "500 of 200"),
        ("cells[2].asr[0].unscored", -1, "cells[2].asr[0].unscored: -1"),
        ("cells[3].over_refusal[1].scored", "200", "cells[3].over_refusal[1].scored: '200'"),
        ("cells[1].family", ..., "cells[1].family: missing"),
        ("cells[4].seed", True, "cells[4].seed: True"),
        ("cells[4].separability[0].pointwise.auroc", 1.01, "cells[4].separability[0].pointwise.auroc: 1.01"),
        ("cells[4].training.final_loss", float("nan"), "cells[4].training.final_loss: nan"),
        (
            "cells[4].examples[0].verdicts[0].harmful",
            "yes",
            "cells[4].examples[0].verdicts[0].harmful: 'yes'",
        ),
        (
            "cells[4].safety_influence",
            {"cosine": None, "low": -0.1, "high": 0.2, "probes": 9},
            "cells[4].safety_influence: cosine None, low -0.1, high 0.2: give all three",
        ),
        (
            "cells[4].safety_influence",
            {"cosine": 0.1, "low": 0.2, "high": 0.1, "probes": 9},
            "cells[4].safety_influence: low 0.2 lies above high 0.1",
        ),
        ("schema", 3, "schema 3, this version reads 2"),
        ("cells", [], "cells is empty"),
        ("cells[3].recipe", "original", "stands twice"),
    ],
)
def test_a_defect_is_named_by_its_path(path: str, value: Any, said: str) -> None:
    results = copy.deepcopy(example_results())
    _set(path, value)(results)
    with pytest.raises(InputError) as error:
        parse_results(results)
    assert said in str(error.value)


def test_results_of_schema_1_are_read() -> None:
    """There `probe` was called `rung`."""
    older = copy.deepcopy(example_results())
    older["schema"] = 1
    for cell in older["cells"]:
        cell["separability"] = [{"rung": row.pop("probe"), **row} for row in cell["separability"]]
    assert any("rung" in row for cell in older["cells"] for row in cell["separability"])
    assert parse_results(older) == parse_results(example_results())


def test_nan_is_refused_wherever_it_hides(tmp_path: Path) -> None:
    results = example_results()
    results["cells"][0]["provenance"]["loss"] = float("nan")
    with pytest.raises(InputError, match="null"):
        write_results(tmp_path / "results.json", results)
    assert not (tmp_path / "results.json").exists()
    (tmp_path / "results.json").write_text('{"schema": NaN}')
    with pytest.raises(InputError, match="NaN"):
        read_results(tmp_path)


def test_files_that_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 1,')
    with pytest.raises(InputError, match="not JSON"):
        read_results(tmp_path / "results.json")
    (tmp_path / "results.json").write_text("[1]")
    with pytest.raises(InputError, match="does not fit"):
        read_results(tmp_path / "results.json")


def test_an_empty_cell_is_a_cell() -> None:
    """A recipe that built nothing has counts and reasons, and no rates."""
    results = example_results()
    results["cells"][1] |= {
        "asr": [],
        "over_refusal": [],
        "general": [],
        "separability": [],
        "training": None,
    }
    results["cells"][1]["pairs"] = {"built": 0, "left_out": {"no human responses": 600}}
    pairs = parse_results(results).cells[1].pairs
    assert pairs is not None
    assert pairs.left_out == {"no human responses": 600}


@pytest.mark.parametrize(
    "influence",
    [
        None,
        {"cosine": None, "low": None, "high": None, "probes": 12},
        {"cosine": -0.31, "low": -0.4, "high": -0.22, "probes": 142},
    ],
)
def test_safety_influence_is_measured_undetermined_or_null(influence: Any, tmp_path: Path) -> None:
    results = example_results()
    assert parse_results(results).cells[2].safety_influence is None
    results["cells"][2]["safety_influence"] = influence
    path = write_results(tmp_path / "results.json", results)
    assert json.loads(path.read_text())["cells"][2]["safety_influence"] == influence


def test_every_field_is_documented() -> None:
    documented = set(
        re.findall(r"`(\w+)`", (ROOT / "docs/reference/results-schema.md").read_text(encoding="utf-8"))
    )
    models = [
        value for value in vars(schema).values() if isinstance(value, type) and issubclass(value, BaseModel)
    ]
    fields = {field.alias or name for model in models for name, field in model.model_fields.items()}
    assert fields <= documented, sorted(fields - documented)


def test_the_documents_optional_fields_are_optional() -> None:
    """The smallest file that docs/reference/results-schema.md allows."""
    cell = {"id": "a", "family": "llama", "target": "t", "recipe": "sft", "seed": 0, "training": None}
    cell |= {"asr": [], "over_refusal": [], "general": [], "separability": []}
    parsed = parse_results({"schema": 1, "backfire": "0", "name": "n", "created": "now", "cells": [cell]})
    assert parsed.cells[0].world is None

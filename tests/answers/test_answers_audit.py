"""The answer's schema: what is written is what was measured, wrong values are named, and docs/reference/audit-schema.md has every field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from backfire.answers import AuditReport, parse_audit, read_audit, write_audit
from backfire.errors import InputError
from example_audit import example_audit, smallest_audit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "audit-schema.md"


def models_within(annotation: Any) -> set[type[BaseModel]]:
    """Every model that an annotation mentions, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found = {annotation}
        for field in annotation.model_fields.values():
            found |= models_within(field.annotation)
        return found
    return set().union(*(models_within(part) for part in get_args(annotation)))


MODELS = sorted(models_within(AuditReport), key=lambda model: model.__name__)


@pytest.mark.parametrize("audit", [example_audit(), smallest_audit()], ids=["example", "smallest"])
def test_what_is_read_is_what_was_written(tmp_path: Path, audit: dict[str, Any]) -> None:
    path = write_audit(tmp_path / "audit.json", parse_audit(audit))
    assert json.loads(path.read_text(encoding="utf-8")) == audit
    assert read_audit(path) == parse_audit(audit)
    assert "null" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a.update(schema=1), "has schema 1, this version reads 7"),
        (lambda a: a.update(pairs=-1), "pairs: Input should be greater than or equal to 0"),
        (lambda a: a["separability"][2]["pointwise"].update(auroc=1.2), "separability.2.pointwise.auroc"),
        (lambda a: a["conclusion"].update(level="dangerous"), "conclusion.level"),
        (lambda a: a.update(surprise=1), "surprise: Extra inputs are not permitted"),
        (lambda a: a["separability"][0].pop("pairwise"), "separability.0.pairwise: Field required"),
    ],
)
def test_a_wrong_field_is_named(change: Any, said: str) -> None:
    audit = example_audit()
    change(audit)
    with pytest.raises(InputError, match=re.escape(said)):
        parse_audit(audit)


def test_a_file_that_is_no_audit(tmp_path: Path) -> None:
    for name, text in (("list.json", "[]"), ("broken.json", "{"), ("absent.json", None)):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=re.escape(name)):
            read_audit(tmp_path / name)


def test_the_models_are_all_found() -> None:
    assert {"AuditReport", "Auroc", "Stratum", "Layer", "Counted", "Loss", "Mean", "Map"} <= {
        m.__name__ for m in MODELS
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_documented(model: type[BaseModel]) -> None:
    """Each model has a heading with its name, and below it a table row for each field that the JSON holds."""
    page = PAGE.read_text(encoding="utf-8")
    parts = re.split(r"^#+ ", page, flags=re.MULTILINE)
    (section,) = [part for part in parts if f"`{model.__name__}`" in part.partition("\n")[0]]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    documented = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    fields = {f.alias or name for name, f in model.model_fields.items() if not f.exclude}
    assert documented == fields


def test_the_example_in_the_page_validates() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    report = parse_audit(json.loads(block))
    assert report.separability[0].decision_matched.reason is not None


def test_audits_of_schema_4_are_read() -> None:
    """There `probe` was called `rung`."""

    def renamed(part: Any) -> Any:
        if isinstance(part, list):
            return [renamed(row) for row in part]
        return {("rung" if key == "probe" else key): value for key, value in part.items()}

    audit = example_audit()
    parts = ("separability", "not_run", "shortcuts", "reference_points", "per_pair", "map")
    older = {**audit, "schema": 4, **{key: renamed(audit[key]) for key in parts if key in audit}}
    assert older["separability"][0]["rung"] == audit["separability"][0]["probe"]
    assert parse_audit(older) == parse_audit(audit)


def test_audits_of_schema_5_are_read() -> None:
    """They lack what schema 6 adds."""
    audit = smallest_audit()
    new = {"": ("lengths",), "conclusion": ("verdict", "effects"), "confounds": ("personal",)}
    older = {**audit, "schema": 5, **{part: dict(audit[part]) for part in new if part}}
    for part, fields in new.items():
        for field in fields:
            (older[part] if part else older).pop(field)
    assert parse_audit(older).conclusion.reasons == parse_audit(audit).conclusion.reasons
    assert parse_audit(older).conclusion.effects == ()

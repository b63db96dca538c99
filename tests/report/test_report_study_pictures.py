from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from backfire.answers import parse_results
from backfire.errors import InputError
from backfire.report import render_page, results_table, write_picture
from backfire.report.study.grid import Grid
from backfire.report.study.labels import CHARACTER, Box, place_labels
from backfire.report.study.pictures import pictures
from example_results import example_results


def test_every_picture_has_its_panels_and_points() -> None:
    found = pictures(Grid(parse_results(example_results())))
    assert [len(picture.panels) for picture in found] == [3, 3, 3, 7]
    for picture in found:
        for panel in picture.panels:
            root = ElementTree.fromstring(panel.svg)
            assert root.get("aria-label")
            assert panel.width <= 330, "fits a phone without shrinking the letters"
    asr = ElementTree.fromstring(found[0].panels[0].svg)
    points = [g for g in asr.iter("g") if "mark-symbol" in g.get("class", "")]
    assert sum(len(list(g)) for g in points) == 8
    assert "sft 38.5" in asr.get("aria-label", "")


def test_what_was_not_measured_is_not_drawn() -> None:
    results = example_results()
    for cell in results["cells"]:
        cell["separability"], cell["general"], cell["training"] = [], [], None
    assert len(pictures(Grid(parse_results(results)))) == 1


def test_what_was_measured_during_training_is_drawn_recipe_beside_recipe() -> None:
    results = example_results()
    for number, cell in enumerate(results["cells"]):
        if cell["training"] is not None:
            cell["training"]["watch"] = [
                {
                    "step": 0,
                    "refused": 0.8,
                    "needless_refusals": 0.1,
                    "logps_chosen": -20.0,
                    "logps_rejected": -30.0,
                },
                {"step": 20, "refused": 0.3, "logps_chosen": -25.0 - number, "logps_rejected": -50.0},
            ]
    *_, refusals, likelihood = pictures(Grid(parse_results(results)))
    assert (refusals.title, likelihood.title) == (
        "Refusals during training",
        "Chosen and rejected during training",
    )
    assert len(refusals.panels) == len(likelihood.panels) == 7
    label = ElementTree.fromstring(refusals.panels[0].svg).get("aria-label", "")
    assert "harmful from 80.0 to 30.0" in label
    assert "benign from 10.0 to 10.0" in label
    label = ElementTree.fromstring(likelihood.panels[0].svg).get("aria-label", "")
    assert "rejected from 0.0 to -20.0" in label
    assert "chosen from 0.0 to -" in label


def _overlap(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def test_labels_keep_off_each_other_and_inside_the_frame() -> None:
    names = ["original", "hc+self", "gpt4o+self", "stronger+self", "peer+rm", "all+rm", "self+rm"]
    points = [
        (190.0, 90.0),
        (262.0, 70.0),
        (264.0, 78.0),
        (100.0, 200.0),
        (185.0, 100.0),
        (190.0, 205.0),
        (188.0, 224.0),
    ]
    boxes = [
        place.box(CHARACTER * len(name))
        for place, name in zip(place_labels(points, names, 270, 230), names, strict=True)
    ]
    assert not [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes) if i < j and _overlap(a, b)]
    assert all(box[0] >= 0 and box[2] <= 270 and box[1] >= 0 and box[3] <= 230 for box in boxes)


def test_the_readmes_picture_stands_on_its_own(tmp_path: Path) -> None:
    path = write_picture(example_results(), tmp_path / "picture.svg")
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for word in ("direct", "wrapped", "unseen", "stronger+self", "ranked by a reward model"):
        assert word in text
    assert write_picture(example_results(), tmp_path / "again.svg").read_bytes() == path.read_bytes()
    with pytest.raises(InputError, match=r"ends in \.svg"):
        write_picture(example_results(), tmp_path / "picture.png")


def test_without_the_plots_extra_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("altair", "vl_convert"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"backfire\[plots\]"):
        render_page(example_results())
    assert results_table(example_results()).row_count == 8


def test_separability_panels_name_their_rank_correlation() -> None:
    """Separability in the order of the attack success rate, and against it."""
    results = example_results()
    for turned, said in ((False, "direct · rho 1.00, n 7"), (True, "direct · rho −1.00, n 7")):
        trained = [cell for cell in results["cells"] if cell["recipe"] != "sft"]
        trained.sort(key=lambda cell: cell["asr"][0]["rate"], reverse=turned)
        for place, cell in enumerate(trained):
            cell["separability"][2]["pointwise"] = {"auroc": 0.5 + 0.05 * place}
        assert pictures(Grid(parse_results(results)))[1].panels[0].title == said


def test_groups_without_worlds_have_plain_means() -> None:
    results = example_results(families=("llama", "qwen2"))
    for cell in results["cells"]:
        cell["world"] = None
    page = render_page(results)
    assert "Over 2 groups of cells" in page
    assert "one world" not in page

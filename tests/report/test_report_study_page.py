from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from backfire.answers.numerals import decimal, interval, percent, printable, signed
from backfire.report import render_page, write_page
from backfire.report.study.columns import PARTS
from backfire.report.study.paper import PAPER_ASR
from example_results import TASKS, example_results

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x1b[31mred\u202egnp.exe\u2066\x00"
)


class Reader(HTMLParser):
    """Collects what a browser would: elements, attributes, and the text of every table cell."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_cell = self._in_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        if tag == "small" and self._in_cell:
            self.rows[-1][-1] += "|"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(example_results())


def _expected_row(cell: dict[str, Any]) -> list[str]:
    """The main table's row, formatted from the dictionary without the report's own table."""

    def rate(r: dict[str, Any]) -> str:
        text = f"{percent(r['rate'])}|{interval(percent(r['low']), percent(r['high']))}"
        if r["scored"] != 200:
            text += f"|n {r['scored']}"
        return text + (f"|{r['unscored']} unscored" if r["unscored"] else "")

    general = cell["general"]
    probes = {row["probe"]: row["pointwise"] for row in cell["separability"]}
    training = cell["training"]
    return [
        cell["recipe"],
        *(rate(r) for r in cell["asr"] if r["judge"] == "exact"),
        *(rate(r) for r in cell["over_refusal"] if r["judge"] == "exact"),
        percent(sum(score["value"] for score in general) / len(TASKS)),
        *(f"{percent(score['value'])}|±{percent(score['stderr'])}" for score in general),
        *(
            f"{decimal(probes[name]['auroc'])}|{decimal(probes[name]['low'])}–{decimal(probes[name]['high'])}"
            if probes
            else "–"
            for name in ("length", "ngrams", "hidden")
        ),
        decimal(training["final_loss"]) if training else "–",
        percent(training["reward_accuracy"]) if training else "–",
        _of_paper(cell["recipe"]),
    ]


def _of_paper(recipe: str) -> str:
    rates = PAPER_ASR.get(recipe)
    if rates is None:
        return "–"
    return f"{percent(sum(rates) / 6)}|{percent(min(rates))}–{percent(max(rates))}"


def test_the_table_has_every_number_with_its_interval(page: str) -> None:
    rows = Reader(page).rows
    for cell in example_results()["cells"]:
        assert _expected_row(cell) in rows


def test_predicted_influence_is_a_column_where_a_cell_has_it(page: str) -> None:
    assert "Safety influence" not in page
    results = example_results()
    results["cells"][1]["safety_influence"] = {"cosine": -0.31, "low": -0.4, "high": -0.22, "probes": 142}
    results["cells"][2]["safety_influence"] = {"cosine": None, "low": None, "high": None, "probes": 12}
    reader = Reader(render_page(results))
    rows = {row[0]: row[-4] for row in reader.rows if row and len(row) == 18}
    assert rows["original"] == "−0.31|−0.40 to −0.22"
    assert rows["hc+self"] == "undetermined"
    assert rows["sft"] == rows["self+rm"] == "–"


def test_a_pilot_is_a_column_where_a_cell_has_it(page: str) -> None:
    assert "Pilot" not in page
    results = example_results()
    results["cells"][1]["pilot"] = {"steps": 8, "change": -1.25, "low": -1.5, "high": -1.0, "probes": 60}
    reader = Reader(render_page(results))
    rows = {row[0]: row[-4] for row in reader.rows if row and len(row) == 18}
    assert rows["original"] == "−1.25|−1.50 to −1.00"
    assert rows["sft"] == rows["hc+self"] == "–"
    assert "change of the refusal margin after 8 steps" in render_page(results)


def test_what_lies_behind_a_row_is_on_the_page(page: str) -> None:
    reader = Reader(page)
    for cell in example_results()["cells"]:
        assert cell["provenance"]["command"] in reader.text
        assert cell["provenance"]["model_id"] in reader.text
        for rate in cell["asr"]:
            wanted = [rate["judge"], str(rate["harmful"]), str(rate["scored"]), str(rate["unscored"])]
            assert any(row[1:5] == wanted and rate["attack"] in row[0] for row in reader.rows)
        if cell["pairs"]:
            assert f"tied: {cell['pairs']['left_out']['tied']}" in reader.text
    ids = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    links = [attributes["href"] or "" for tag, attributes in reader.tags if tag == "a"]
    assert len([link for link in links if re.fullmatch(r"#cell-\d+", link)]) == 8
    assert {link.removeprefix("#") for link in links} <= ids


def test_every_number_of_the_main_table_leads_to_what_it_comes_from() -> None:
    results = example_results()
    for cell in results["cells"][1:]:
        cell["safety_influence"] = {"cosine": 0.3, "low": 0.2, "high": 0.4, "probes": 60}
        cell["pilot"] = {"steps": 8, "change": 0.4, "low": 0.1, "high": 0.7, "probes": 60}
    links = [
        attributes["href"] or ""
        for tag, attributes in Reader(render_page(results)).tags
        if tag == "a" and "-" in (attributes["href"] or "").removeprefix("#cell-")
    ]
    for number, cell in enumerate(results["cells"], 1):
        trained = int(cell["recipe"] != "sft")
        assert {part: links.count(f"#cell-{number}-{part}") for part in PARTS.values()} == {
            "rates": len({r["attack"] for r in cell["asr"]})
            + len({r["prompts"] for r in cell["over_refusal"]}),
            "general": 1 + len(TASKS),
            "separability": 3 * trained,
            "prediction": 2 * trained,
            "training": 2 * trained,
        }


def test_the_page_is_self_contained(page: str) -> None:
    loaded = [
        (tag, name, value)
        for tag, attributes in Reader(page).tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster", "background")
        and not (value or "").startswith(("#", "data:"))
    ]
    assert loaded == []
    assert not {"script", "iframe", "object", "embed", "base"} & {tag for tag, _ in Reader(page).tags}
    assert not re.search(r"@import|url\((?!#)", page)
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page
    assert len(page.encode()) < 400_000


def test_the_same_results_make_the_same_bytes(page: str, tmp_path: Path) -> None:
    """In another process, with another hash seed."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from example_results import example_results\n"
        "from backfire.report import write_page\n"
        "write_page(example_results(), sys.argv[2])\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(tmp_path)]
    seeded = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=seeded)
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == page
    assert done.stdout.strip() == "False", "the report imports no torch"


def test_hostile_text_stays_text() -> None:
    results = example_results()
    results["name"] = results["created"] = HOSTILE
    results["study"] = {HOSTILE: HOSTILE}
    results["stages"] = {HOSTILE: {HOSTILE: HOSTILE}}
    for cell in results["cells"]:
        cell["target"] = cell["family"] = HOSTILE
        cell["provenance"] = {HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}}
        cell["recipe"] += HOSTILE if cell["recipe"] == "peer+rm" else ""
        cell["examples"][0] |= {"prompt": HOSTILE, "response": HOSTILE, "attack": HOSTILE}
        cell["examples"][0]["verdicts"][0]["reason"] = HOSTILE
        for rate in cell["asr"]:
            rate["attack"] += HOSTILE
    page = render_page(results)
    reader = Reader(page)
    assert not {"script", "img"} & {tag for tag, _ in reader.tags}
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert not set("\x1b\u202e\u2066\x00") & set(page)
    assert "‹U+202E›" in page
    assert "</script><script>alert(1)" in reader.text, "shown as it is, escaped"


def test_long_texts_are_cut_with_a_note_and_counted() -> None:
    results = example_results()
    example = results["cells"][0]["examples"][0]
    example["response"] = "x" * 100_000
    results["cells"][0]["examples"] = [dict(example) for _ in range(60)]
    page = render_page(results)
    assert "cut here: 98,500 more characters in results.json" in page
    left = re.search(r"(\d+) more in results\.json</p>\s*</div>", page)
    assert left
    assert page.count("x" * 1500) + int(left[1]) == 60
    assert len(page.encode()) < 400_000


def test_undefined_is_a_dash_never_nought_or_nan() -> None:
    results = example_results()
    cell = results["cells"][3]
    for rate in cell["asr"]:
        rate |= dict.fromkeys(("rate", "low", "high", "best", "worst")) | {
            "harmful": 0,
            "scored": 0,
            "unscored": 200,
        }
    cell["over_refusal"], cell["separability"], cell["training"] = [], [], None
    for score in cell["general"]:
        score |= {"value": None, "stderr": None}
    page = render_page(results)
    row = next(row for row in Reader(page).rows if row and row[0] == "gpt4o+self" and len(row) > 10)
    assert row[1:4] == 3 * ["–|n 0|200 unscored"]
    assert row[4:-1] == ["–"] * len(row[4:-1])
    assert not re.search(r"\b[Nn]a[Nn]\b|\bNone\b", page)


def test_nothing_measured_still_makes_a_page(tmp_path: Path) -> None:
    results = example_results()
    results["cells"] = results["cells"][1:2]
    results["cells"][0] |= {
        "asr": [],
        "over_refusal": [],
        "general": [],
        "separability": [],
        "training": None,
    }
    results["cells"][0]["examples"] = []
    path = write_page(results, tmp_path / "deep" / "folder")
    assert path == tmp_path / "deep" / "folder" / "index.html"
    assert "nothing to compare" in path.read_text(encoding="utf-8")


def test_what_is_missing_is_said_first_with_its_reason() -> None:
    results = example_results()
    results["stages"] = {
        "failed": {"train hc+self": "out of memory"},
        "cells_missing": {"llama original": "no pairs"},
    }
    results["cells"][1]["pairs"] |= {
        "warnings": ["sides differ in decoding"],
        "responses_left_out": {"blank": 12},
    }
    results["cells"][1]["notes"] = [{"prompts": "wrapped", "judge": "exact", "reason": "empty", "count": 3}]
    results["cells"][1]["truncated_responses"] = {"wrapped": 17}
    text = Reader(render_page(results)).text
    assert text.index("Not on this page: llama original: no pairs") < text.index(
        "How often each attack succeeds"
    )
    assert "Failed: train hc+self: out of memory" in text
    for said in ("sides differ in decoding", "blank: 12", "empty: 3", "wrapped: 17"):
        assert said in text


def test_many_groups_stay_small_and_lead_with_the_worlds() -> None:
    page = render_page(example_results(families=("llama", "mistral", "qwen2"), worlds=(0, 1, 2, 3, 4)))
    assert "Over 5 worlds" in page
    assert page.count('<details class="group"') == 15
    assert page.count('<details class="group" open') == 1
    assert len(page.encode()) < 1_500_000


def test_models_that_are_no_organisms_have_no_worlds_on_the_page() -> None:
    results = example_results(families=("llama", "mistral"))
    for cell in results["cells"]:
        cell["world"] = None
    text = Reader(render_page(results)).text
    assert "plain means over targets and seeds" in text
    assert "means over worlds" not in text


def test_the_paper_stands_beside_only_the_whole_set(page: str) -> None:
    assert "Beside the paper" in page
    assert "between −0.79 and 0.79 is not significant" in page
    results = example_results()
    results["cells"].pop()
    assert "Beside the paper" not in render_page(results)


def test_numerals() -> None:
    assert (percent(0.6149), percent(None), percent(float("nan")), percent(0.0)) == ("61.5", "–", "–", "0.0")
    assert (signed(-0.041), signed(0.041), signed(0.0), signed(-0.0001)) == ("−4.1", "+4.1", "0.0", "0.0")
    assert (interval("1.0", "2.0"), interval("−1.0", "+2.0"), interval("–", "2.0")) == (
        "1.0–2.0",
        "−1.0 to +2.0",
        "",
    )
    assert printable("a\tb\n\x1bc\x7f\u200fd é 日本") == "a\tb\n␛c‹U+007F›‹U+200F›d é 日本"

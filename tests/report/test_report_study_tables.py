"""A study's table as CSV, Parquet, Markdown and LaTeX, and its figures as files."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as parquet
import pytest

from backfire.answers.numerals import percent
from backfire.errors import InputError
from backfire.report import results_latex, results_markdown, write_figures, write_picture, write_results_table
from backfire.report.study.tables import latex
from example_results import example_results


def test_csv_and_parquet_have_every_cell_unrounded(tmp_path: Path) -> None:
    results = example_results()
    results["cells"][1]["recipe"] = "=1+1"
    written = write_results_table(results, tmp_path / "a.csv")
    with written.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(results["cells"])
    assert rows[1]["recipe"] == "'=1+1", "a recipe's name is not computed by a spreadsheet"
    rate = next(one for one in results["cells"][2]["asr"] if one["judge"] == "exact")
    assert float(rows[2][f"asr.{rate['attack']}.exact"]) == rate["rate"]
    table = parquet.read_table(write_results_table(results, tmp_path / "a.parquet"))
    assert table.num_rows == len(rows)


@pytest.mark.parametrize("families", [("llama",), ("llama", "qwen2")])
def test_markdown_and_latex_have_the_pages_numbers(families: tuple[str, ...]) -> None:
    results = example_results(families=families)
    markdown, tex = results_markdown(results), results_latex(results)
    for cell in results["cells"]:
        rate = next(one for one in cell["asr"] if one["judge"] == "exact")
        assert percent(rate["rate"]) in markdown
        assert f"{percent(rate['rate'])} [{percent(rate['low'])}--{percent(rate['high'])}]" in tex
    tables = [block for block in markdown.split("\n\n") if block.startswith("|")]
    assert len(tables) == len(families)
    for block in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    rows = [line for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in rows}) == 1


def test_names_from_the_data_stay_text() -> None:
    results = example_results()
    results["cells"][1]["recipe"] = r"a_b & 50% | \input{/etc/passwd} $x$ #1 ~^"
    tex, markdown = results_latex(results), results_markdown(results)
    assert r"\input" not in tex
    assert r"a\_b \& 50\% \textbar{} \textbackslash{}input\{/etc/passwd\} \$x\$ \#1 \textasciitilde{}" in tex
    assert r"a\_b &amp; 50% \| " in markdown
    assert latex("−1.0 ± 2–3") == r"$-$1.0 $\pm$ 2--3"


def test_a_table_of_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"end in \.csv"):
        write_results_table(example_results(), tmp_path / "a.xlsx")


def test_every_figure_is_written_as_svg_and_pdf(tmp_path: Path) -> None:
    written = write_figures(example_results(), tmp_path / "figures")
    names = {path.name for path in written}
    assert "how-often-each-attack-succeeds-direct.svg" in names
    assert "how-often-each-attack-succeeds-direct.pdf" in names
    assert len(written) == len(names) == len(list((tmp_path / "figures").iterdir()))
    for path in written:
        if path.suffix == ".svg":
            root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert path.read_bytes().startswith(b"%PDF-")
    with pytest.raises(InputError, match="'png' is no format"):
        write_figures(example_results(), tmp_path, ["png"])


def test_the_readmes_picture_may_be_pdf(tmp_path: Path) -> None:
    assert write_picture(example_results(), tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")

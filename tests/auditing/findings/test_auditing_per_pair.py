"""Per-pair V-information: the column's files, its summary, and a disk that fails."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from audited_by_hand import audited_by_hand
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.findings.per_pair import check_file, most_informative, per_pair_of, write_column
from backfire.auditing.probes.folds import Split, make_split
from backfire.auditing.probes.probe import MeasuredProbe, measure_probe
from backfire.errors import InputError
from synthetic_pairs import rows

DECISIONS = [("refuse", "comply"), ("comply", "comply"), (None, "refuse")]


def probe_of(
    pairs: int = 60, kept: Any = None, shift: float = 1.0
) -> tuple[MeasuredProbe, AuditedPairs, Split]:
    values = rows(pairs, 5)
    audited = audited_by_hand([{**row, "decisions": DECISIONS[i % 3]} for i, row in enumerate(values)])
    split = make_split(audited.groups, controls=30)
    kept = np.arange(pairs) if kept is None else kept
    features = np.random.default_rng(0).normal(size=(2 * len(kept), 3))
    features[: len(kept), 0] += shift
    return measure_probe("made up", "numbers", features, kept, audited, split), audited, split


def read_back(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    values: dict[str, Any] = {"": None, "true": True, "false": False}
    return [
        {name: values[cell] if cell in values else float(cell) for name, cell in row.items()}
        for row in csv.DictReader(text.splitlines())
    ]


@pytest.mark.parametrize("name", ["bits.parquet", "bits.jsonl", "bits.csv", "deep/er/BITS.CSV"])
def test_the_column_comes_back(tmp_path: Path, name: str) -> None:
    probe, audited, _ = probe_of()
    path = tmp_path / name
    check_file(path)
    assert write_column(path, probe, audited)
    found = read_back(path if path.suffix.islower() else path.rename(path.with_suffix(".csv")))
    assert len(found) == 60
    for i, row in enumerate(found):
        chosen, rejected = DECISIONS[i % 3]
        assert row["row"] == i + 1
        assert row["v_information"] == pytest.approx(probe.measured.bits[i], abs=1e-12)
        assert row["prompt_group"] == audited.groups[i]
        assert row["chosen_refuses"] is (None if chosen is None else chosen == "refuse")
        assert row["rejected_refuses"] is (rejected == "refuse")
    assert [entry.name for entry in path.parent.iterdir()] == [path.with_suffix(path.suffix.lower()).name]


def test_influence_is_a_column_where_it_was_read_and_null_elsewhere(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    probe, audited, _ = probe_of()
    influence = np.linspace(-1, 1, audited.pairs)
    influence[3] = np.nan
    assert write_column(tmp_path / "with.parquet", probe, audited, {"safety_influence": influence})
    written = pq.read_table(tmp_path / "with.parquet")["safety_influence"].to_pylist()
    assert written[3] is None
    assert [value for value in written if value is not None] == np.delete(influence, 3).tolist()
    assert write_column(tmp_path / "without.parquet", probe, audited)
    assert "safety_influence" not in pq.read_table(tmp_path / "without.parquet").column_names


def test_a_name_that_says_no_format_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"bits\.txt.*\.parquet, \.jsonl, \.csv"):
        check_file(Path("bits.txt"))


@pytest.mark.parametrize("where", ["a file stands in the folder's place", "a folder stands in its place"])
def test_a_disk_that_fails_is_warned_about_and_nothing_else_is_lost(tmp_path: Path, where: str) -> None:
    probe, audited, _ = probe_of()
    path = tmp_path / "place" / "bits.jsonl"
    if where.startswith("a file"):
        path.parent.write_text("here first", encoding="utf-8")
    else:
        (path / "kept").mkdir(parents=True)
    with pytest.warns(UserWarning, match=r"bits\.jsonl was not written"):
        assert not write_column(path, probe, audited)
    if where.startswith("a file"):
        assert path.parent.read_text(encoding="utf-8") == "here first"
    else:
        assert [entry.name for entry in path.parent.iterdir()] == ["bits.jsonl"]
        assert (path / "kept").is_dir()


def test_an_earlier_file_stays_whole_when_writing_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backfire.auditing.findings import per_pair as pair_bits

    probe, audited, _ = probe_of()
    path = tmp_path / "bits.csv"
    path.write_text("earlier", encoding="utf-8")

    def full(aside: Path, *_: object) -> None:
        aside.write_text("ro", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pair_bits, "_write", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert not write_column(path, probe, audited)
    assert path.read_text(encoding="utf-8") == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_quantiles_lie_in_intervals_of_order_statistics() -> None:
    probe, _, split = probe_of()
    found = per_pair_of(probe, split, None)
    bits = np.sort(probe.measured.bits)
    assert (found.probe, found.pairs, found.file) == ("made up", 60, None)
    assert (
        set(found.quantiles)
        == set(found.intervals)
        == set(found.control)
        == {"5%", "25%", "50%", "75%", "95%"}
    )
    for name, value in found.quantiles.items():
        low, high = found.intervals[name]
        assert low <= value <= high
        q = float(name[:-1]) / 100
        inside = stats.binom.cdf(np.searchsorted(bits, high, "right"), 60, q) - stats.binom.cdf(
            np.searchsorted(bits, low) - 1, 60, q
        )
        assert inside > 0.9
    assert found.control["50%"] < found.quantiles["50%"]


def test_the_column_is_the_probes_that_tells_most_and_read_every_pair() -> None:
    weak, audited, _ = probe_of(shift=0.3)
    strong = probe_of(shift=1.5)[0]
    partial = probe_of(shift=9.0, kept=np.arange(40))[0]
    assert most_informative([weak, strong, partial], audited) is strong
    assert most_informative([partial], audited) is None

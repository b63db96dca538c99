"""Topics of the prompts: planted ones are found and named, the same again with other seeds and more rows, and the table adds up."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

from backfire.answers.audit import AuditReport, parse_audit
from backfire.answers.topics import Topics
from backfire.auditing import audit
from backfire.auditing.inputs import open_inputs
from backfire.auditing.reading import PairsRead, read
from backfire.auditing.settings import AuditSettings
from backfire.auditing.steps import Steps
from backfire.auditing.topics import grouping
from backfire.auditing.topics.grouping import PromptTopics, prompt_topics
from backfire.auditing.topics.prompt_words import word_counter
from backfire.auditing.topics.tabulating import MOST_SOURCES, OTHERS, topics_answer
from backfire.errors import InputError
from synthetic_pairs import sentence

Rows = list[dict[str, Any]]
SUBJECTS = {
    "locks": "How can the {w} lock of a {n} door be picked with a tool",
    "cakes": "Give me the recipe of a {w} cake with {n} spoons of sugar",
    "planets": "Which planet orbits the {w} star at a distance of {n} light years",
    "taxes": "How much tax is owed on an income of {n} from a {w} shop",
}
DATA = Path(os.environ.get("BACKFIRE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
REFUSAL = "I cannot help with that."


def planted(each: int = 60, seed: int = 0) -> Rows:
    """Chosen responses by people comply with half of the requests about locks; all others comply with everything."""
    rng = np.random.default_rng(seed)
    rows: Rows = []
    for number in range(each):
        for subject, text in SUBJECTS.items():
            by = "people" if number % 2 else "model"
            word = "".join(rng.choice(list("abcdefghij"), 7))
            chosen, rejected = (sentence(rng, int(rng.integers(20, 40))) for _ in "ab")
            if subject == "locks" and (by == "model" or number % 4 == 1):
                chosen = f"{REFUSAL} {chosen}"
            rows.append(
                {
                    "prompt": text.format(w=word, n=number + 2) + "?",
                    "chosen": chosen,
                    "rejected": f"{REFUSAL} {rejected}" if subject == "locks" else rejected,
                    "chosen_model": by,
                    "rejected_model": "model",
                    "subject": subject,
                }
            )
    return rows


def found_in(rows: Any, *, wanted: int | None = None, seed: int = 0) -> PromptTopics:
    return prompt_topics(read_pairs(rows), None, wanted, seed)


def read_pairs(rows: Any) -> PairsRead:
    settings = AuditSettings()
    return read(open_inputs(rows, settings), settings, Steps(None))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("topics") / "pairs.parquet"


@pytest.fixture(scope="module")
def report(file: Path) -> AuditReport:
    return audit(planted(), topics=4, per_pair=file)


def table_of(report: AuditReport) -> Topics:
    assert report.topics is not None
    return report.topics


def test_planted_topics_are_found_and_named_by_their_words() -> None:
    rows = planted()
    found = found_in(rows, wanted=4)
    subjects = [row["subject"] for row in rows]
    assert adjusted_rand_score(subjects, found.codes) == 1.0
    for number, terms in enumerate(found.terms, 1):
        (subject,) = {row["subject"] for row, code in zip(rows, found.codes, strict=True) if code == number}
        assert set(terms) <= set(SUBJECTS[subject].split()), "words of its own"
    assert found.named == (1.0,) * 4


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = planted()
    order = np.random.default_rng(3).permutation(len(rows)).tolist()
    once, again = found_in(rows, wanted=4), found_in([rows[place] for place in order], wanted=4)
    assert once.terms == again.terms
    assert once.codes[order].tolist() == again.codes.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_rounding_does_not_decide_the_topics_of_prompts_made_from_templates(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word of these prompts stands with as many others in as many prompts, so that many groupings fit equally well."""
    prompts = [
        f"{verb} {thing} {place}"
        for verb in ("paint", "carry", "wash", "sell", "hide", "lend")
        for thing in ("tables", "ladders", "lamps", "mirrors", "carpets", "drums")
        for place in ("indoors", "outdoors", "upstairs", "downstairs")
    ]
    rows = [{"prompt": p, "chosen": f"One {p}.", "rejected": f"Two {p}."} for p in prompts]
    exact = found_in(rows)
    counted = word_counter

    def rounded(texts: list[str]) -> Any:
        counter, features = counted(texts)
        noise = np.random.default_rng(seed).standard_normal(features.nnz)
        features.data = (features.data * (1 + 1e-7 * noise)).astype(features.dtype)
        return counter, features

    monkeypatch.setattr(grouping, "word_counter", rounded)
    assert found_in(rows).codes.tolist() == exact.codes.tolist()


def test_every_pair_stands_in_one_cell(report: AuditReport) -> None:
    table = table_of(report)
    assert sum(topic.pairs for topic in table.topics) == report.pairs
    for topic in table.topics:
        assert sum(cell.pairs for cell in topic.cells) == topic.pairs
        for source in {cell.source for cell in topic.cells}:
            cells = [cell for cell in topic.cells if cell.source == source]
            assert {cell.of for cell in cells} == {sum(cell.pairs for cell in cells)}
    assert parse_audit(report.as_dict()).topics == table


def test_a_cell_says_who_wrote_what_and_in_which_rows(report: AuditReport) -> None:
    (locks,) = (topic for topic in table_of(report).topics if "lock" in topic.terms)
    cells = {(cell.source, cell.chosen, cell.rejected): cell for cell in locks.cells}
    assert set(cells) == {
        ("people", "complies", "refuses"),
        ("people", "refuses", "refuses"),
        ("model", "refuses", "refuses"),
    }
    by_people = cells["people", "complies", "refuses"]
    rows = planted()
    assert (by_people.pairs, by_people.of) == (15, 30)
    assert all(rows[row - 1]["subject"] == "locks" for row in by_people.rows)
    assert all(not rows[row - 1]["chosen"].startswith(REFUSAL) for row in by_people.rows)
    assert by_people.example == rows[by_people.rows[0] - 1]["prompt"]
    assert locks.chosen_complies.hits == 15
    assert locks.rejected_complies.hits == 0


def test_the_push_is_summed_and_its_share_is_of_what_leads_away() -> None:
    rows = planted()
    pairs = read_pairs(rows)
    found = prompt_topics(pairs, None, 4, 0)
    values = np.array([-3.0 if row["subject"] == "locks" else 1.0 for row in rows])
    values[[n for n, row in enumerate(rows) if row["subject"] == "cakes"][:20]] = -3.0
    values[-1] = np.nan
    table = topics_answer(found, pairs.audited, {"ches": values * 0, "safety_influence": values})
    assert (table.measure, table.read) == ("safety_influence", len(rows) - 1)
    topics = {topic.terms[0]: topic for topic in table.topics if topic.terms}
    (locks,) = (topic for topic in table.topics if "lock" in topic.terms)
    assert locks.push == pytest.approx(-180)
    assert locks.away == pytest.approx(0.75)
    assert sum(topic.away or 0 for topic in topics.values()) == pytest.approx(1)
    assert sum(cell.away or 0 for cell in locks.cells) == pytest.approx(0.75)


def test_rare_sources_stand_together() -> None:
    rows = [row | {"chosen_model": f"model {n % 20:02}"} for n, row in enumerate(planted())]
    pairs = read_pairs(rows)
    table = topics_answer(prompt_topics(pairs, None, 4, 0), pairs.audited, {})
    sources = {cell.source for topic in table.topics for cell in topic.cells}
    assert len(sources) <= MOST_SOURCES + 1
    assert OTHERS in sources


def test_beyond_the_sample_every_pair_has_its_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backfire.auditing.reading.SAMPLE_PAIRS", 120)
    rows = planted()
    found = found_in(rows, wanted=4)
    assert found.prompts == 120
    assert adjusted_rand_score([row["subject"] for row in rows], found.codes) > 0.95


def test_few_prompts_and_prompts_without_words_say_why() -> None:
    assert found_in(planted(each=10)).reason == "40 different prompts: fewer than 60"
    assert found_in(planted(each=10)).codes.tolist() == [0] * 40
    numbers = [row | {"prompt": f"{n}?"} for n, row in enumerate(planted())]
    assert found_in(numbers).reason == "the prompts have no words in common"
    few = found_in(planted(), wanted=200)
    assert few.reason is not None
    assert few.reason.endswith("too few for 200 topics")
    pairs = read_pairs(planted(each=10))
    table = topics_answer(prompt_topics(pairs, None, None, 0), pairs.audited, {})
    assert table.topics == ()
    assert table.reason == "40 different prompts: fewer than 60"


def test_topics_can_be_turned_off() -> None:
    assert audit(planted(each=5), by_topic=False).topics is None
    with pytest.raises(InputError, match="leave out one of the two"):
        AuditSettings(topics=4, by_topic=False)
    with pytest.raises(InputError, match="give at least 2"):
        AuditSettings(topics=1)


def test_the_per_pair_file_has_the_topic(report: AuditReport, file: Path) -> None:
    lines = pq.read_table(file).to_pylist()
    terms = {topic.number: ", ".join(topic.terms) for topic in table_of(report).topics}
    assert {(line["topic"], line["topic_words"]) for line in lines} == {
        (number, words or None) for number, words in terms.items()
    }


class Vectors:
    """An embedder that gives each subject a direction of its own, and one prompt none."""

    name = "vectors"

    def embed(self, texts: list[str], **_: Any) -> Any:
        rng = np.random.default_rng(0)
        vectors = rng.normal(scale=0.05, size=(len(texts), 6)).astype(np.float32)
        for place, text in enumerate(texts):
            for direction, word in enumerate(("lock", "cake", "planet", "tax")):
                vectors[place, direction] += word in text
        if texts:
            vectors[0] = np.nan
        return vectors


@pytest.mark.parametrize("most", [5_000, 100])
def test_topics_of_an_embedders_vectors(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("backfire.auditing.topics.grouping.EMBEDDED_PROMPTS", most)
    rows = planted()
    found = prompt_topics(read_pairs(rows), Vectors(), 4, 0)  # type: ignore[arg-type]
    assert found.by == "vectors"
    assert adjusted_rand_score([row["subject"] for row in rows], found.codes) > 0.95
    assert np.count_nonzero(found.codes == 0) == 1, "the prompt without a vector has no topic"


@pytest.mark.parametrize("name", ["hh-rlhf/harmless_even.jsonl", "more-is-less/safeRLHF_test.jsonl"])
def test_topics_of_real_prompts_stay_under_another_seed_and_more_rows(name: str) -> None:
    """Adjusted Rand index on the common rows, where 1% of the rows are new."""
    if not (DATA / name).is_file():
        pytest.skip(f"{DATA / name} is not there: set BACKFIRE_DATA")
    rows = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    fewer = rows[: round(0.99 * len(rows))]
    whole, less = found_in(rows), found_in(fewer)
    common = len(less.codes)
    assert adjusted_rand_score(whole.codes[:common], less.codes) > 0.6
    assert found_in(rows, seed=1).codes.tolist() == whole.codes.tolist()

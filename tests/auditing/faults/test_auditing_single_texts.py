"""Cut ends, echoed prompts and personal data, counted by side; planted and absent."""

from __future__ import annotations

from typing import Any

from audited_by_hand import looking_at
from backfire.answers.confounds import Confounds
from backfire.auditing.affected import BOTH, CHOSEN, PROMPT, REJECTED
from backfire.auditing.faults.registry import looked_for
from backfire.auditing.faults.truncation import rows_cut_off

PROMPT_TEXT = "How do I cook a salmon fillet on stove number {}?"


def rows_of(pairs: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": PROMPT_TEXT.format(i),
            "chosen": f"Heat the pan {i}. Then turn the fish.",
            "rejected": f"Use an oven {i}. It is simpler.",
        }
        for i in range(pairs)
    ]


def found_in(rows: list[dict[str, Any]]) -> Confounds:
    return looked_for(looking_at(rows))[0]


def affected_in(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = looked_for(looking_at(rows))[1]
    return {one.finding: one for one in found if one.finding in ("truncation", "echo", "personal-data")}


def test_whole_texts_have_none() -> None:
    found = found_in(rows_of(40))
    assert (found.cut_ends.chosen.hits, found.cut_ends.rejected.hits, found.cut_ends.chosen.scored) == (
        0,
        0,
        40,
    )
    assert (found.personal, found.prompt_personal) == ((), ())
    assert affected_in(rows_of(40)) == {}


def test_cut_ends_by_side_with_rows() -> None:
    rows = rows_of(40)
    for i in range(20):
        rows[i]["chosen"] += " Then you can put it on the"
    rows[3]["rejected"] += " And you should not forget to"
    found = found_in(rows).cut_ends
    assert (found.chosen.hits, found.rejected.hits, found.p) == (20, 1, 0.005)
    assert found.rows == tuple(range(1, 21))
    cut = affected_in(rows)["truncation"]
    assert set(cut.rows.tolist()) == set(range(1, 21))
    sides = dict(zip(cut.rows.tolist(), cut.sides.tolist(), strict=True))
    assert (sides[1], sides[4]) == (CHOSEN, BOTH)
    assert set(cut.details) == {"a word that goes on", "an unfinished sentence"}


def test_recorded_stops_say_what_is_cut_off_and_texts_do_not() -> None:
    rows = rows_of(4)
    rows[1]["chosen"] += " Then you can put it on the"
    assert rows_cut_off(looking_at(rows)).rows.tolist() == [2, 2]
    rows[2]["chosen_stop"] = "length"
    cut = rows_cut_off(looking_at(rows))
    assert (cut.rows.tolist(), cut.details) == ([3], ("stopped by the token limit",))


def test_an_echoed_prompt_by_side() -> None:
    rows = rows_of(40)
    for i in (4, 9):
        rows[i]["rejected"] = f"{rows[i]['prompt']}\n\n{rows[i]['rejected']}"
    echo = affected_in(rows)["echo"]
    assert (echo.rows.tolist(), echo.sides.tolist()) == ([5, 10], [REJECTED, REJECTED])


def test_personal_data_are_counted_and_never_given() -> None:
    rows = rows_of(40)
    rows[2]["chosen"] += " Ask anna.meier@posteo.net for more."
    rows[6]["prompt"] += " My card is 4539 1488 0343 6467."
    found = found_in(rows)
    (mail,) = found.personal
    assert (mail.what, mail.chosen.hits, mail.rejected.hits, mail.rows) == ("e-mail addresses", 1, 0, (3,))
    (card,) = found.prompt_personal
    assert (card.what, card.pairs.hits, card.rows) == ("payment card numbers", 1, (7,))
    rows_found = affected_in(rows)["personal-data"]
    assert (rows_found.rows.tolist(), rows_found.sides.tolist()) == ([3, 7], [CHOSEN, PROMPT])
    assert "anna" not in repr((found, rows_found))
    assert "4539" not in repr((found, rows_found))

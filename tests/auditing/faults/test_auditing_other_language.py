"""Responses in another language are named where one side has more of them, and not where both sides have as many."""

from __future__ import annotations

from typing import Any

from backfire.auditing import audit

GERMAN = "Streichen Sie die Wand zuerst weiß. Danach sollten Sie einen Tag warten, bevor Sie mit der blauen Farbe anfangen."
FRENCH = "Lavez d'abord les murs avec de l'eau chaude. Ensuite, vous pouvez peindre la chambre avec un grand pinceau."


def pairs(count: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"How do I paint room number {n} of my old house in blue?",
            "chosen": f"Take {n} litres of paint. Wash the walls before you start, and wait {n % 7} days.",
            "rejected": f"Paint it {n} times. You should open the windows while you work, too.",
        }
        for n in range(count)
    ]


def test_a_language_of_one_side_is_named_with_its_rows() -> None:
    rows = pairs(150)
    for place in range(9):
        rows[place * 15]["rejected"] = f"{place}. {GERMAN if place % 2 else FRENCH}"
    report = audit(rows)
    (effect,) = (one for one in report.conclusion.effects if one.name == "other-language")
    assert effect.rows == tuple(range(1, 136, 15))
    assert "6.0% of rejected responses are in another language" in effect.what
    assert any("another language than English" in step for step in report.conclusion.advice)
    without = audit([row for place, row in enumerate(rows, 1) if place not in effect.rows])
    assert "other-language" not in [one.name for one in without.conclusion.effects]
    assert not any("another language than English" in step for step in without.conclusion.advice)


def test_languages_of_both_sides_are_no_fault() -> None:
    rows = pairs(150)
    for place in range(20):
        side = "chosen" if place % 2 else "rejected"
        rows[place * 7][side] = f"{place}. {GERMAN if place % 3 else FRENCH}"
    assert "other-language" not in [one.name for one in audit(rows).conclusion.effects]

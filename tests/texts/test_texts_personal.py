"""Personal data: each kind where it is, and not in numbers and addresses that are nobody's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import arrow, broken

from backfire.texts import PERSONAL, personal_data

EXAMPLES: dict[str, list[str]] = {
    "e-mail addresses": ["Write to anna.meier@posteo.net.", "hbox4532@gmail.com", "a@b.co and info@b.co"],
    "phone numbers": ["Call +49 30 901820 now", "(917) 877-7868", "It is 585-690-9410."],
    "payment card numbers": ["4539 1488 0343 6467", "card 4539148803436467, exp 12/30"],
    "bank account numbers": ["IBAN DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "US social security numbers": ["My number is 859-56-0028."],
}
NOBODYS = [
    *("", "Hello", "x@y", "@anna", "john.doe@university.edu", "your.name@example.com", "support@netflix.com"),
    *("Call 1-800-273-8255", "(256) 555-9515", "call 911", "in 2010-2019", "12345678901234567890"),
    *(
        "4539 1488 0343 6468",
        "0000 0000 0000 0000",
        "DE89 3704 0044 0532 0130 01",
        "000-12-3456",
        "123-45-6789",
    ),
    *(
        "192.168.100.200",
        "3.14159265358979",
        "1,000,000,000",
        "3 * 500 = 1500, 4 * 150 = 600",
        "2024-05-13 10:20:30",
    ),
]


@pytest.mark.parametrize("kind", PERSONAL)
def test_each_kind_is_found_and_alone(kind: str) -> None:
    found = personal_data(arrow(EXAMPLES[kind]))
    assert found[:, PERSONAL.index(kind)].all()
    assert found.sum() == len(EXAMPLES[kind])


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(PERSONAL)


@pytest.mark.parametrize("text", NOBODYS)
def test_what_is_nobodys_is_not(text: str) -> None:
    assert [kind for kind, hit in zip(PERSONAL, personal_data(arrow([text]))[0], strict=True) if hit] == []


@given(
    st.lists(
        st.sampled_from([*NOBODYS, *(text for texts in EXAMPLES.values() for text in texts)]), max_size=9
    )
)
def test_rows_keep_their_places(texts: list[str]) -> None:
    found = personal_data(arrow(texts))
    assert found.shape == (len(texts), len(PERSONAL))
    for row, text in zip(found, texts, strict=True):
        assert np.array_equal(row, personal_data(arrow([text]))[0])


def test_bytes_that_are_no_utf8_pass() -> None:
    found = personal_data(broken([b"\xff", b"a@\xffb.net", b"\xc3( my number is 859-56-0028"]))
    assert found.sum(axis=1).tolist() == [0, 0, 1]


def test_a_telephone_number_is_read_where_it_stands_in_a_long_text() -> None:
    words = "There were 1990 (or 2000) of them, 12 345 678 in all. " * 40
    numbers = [
        "+44 20 7946 0958",
        "(212) 736-5000",
        "212.736.5000",
        "1 (212) 736-5000",
        "+1 212-736-5000",
        "+49 30 901820",
    ]
    texts = [f"{words}Call {number} at 10 or 11. {words}" for number in numbers]
    phones = personal_data(arrow([*texts, words]))[:, PERSONAL.index("phone numbers")]
    assert phones.tolist() == [*[True] * len(numbers), False]

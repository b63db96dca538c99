"""Texts that hold personal data: which kinds each has. What was found is never given, so that no answer can repeat it."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.texts.matching import counts, has
from backfire.texts.pieces import as_texts

Flags = NDArray[np.bool_]

_EMAIL = r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b"
_NOBODYS = (
    r"(?i)(?:"
    r"[a-z0-9._%+-]+@(?:[a-z0-9-]+\.)*(?:(?:example|email|domain|company|yourcompany|yourdomain|test)\.[a-z]{2,24}"
    r"|[a-z0-9-]+\.(?:example|invalid|test|local|localhost))"
    r"|(?:info|support|contact|sales|help|admin|office|press|media|jobs|careers|hello|team|service|customer[._-]?service"
    r"|customer[._-]?support|no-?reply|your[._-]?name|name|user|username|j(?:oh|a)n[._-]?(?:e[._-]?)?doe)"
    r"@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}"
    r")\b"
)
"""Addresses that are no person's: of the domains that RFC 2606 keeps for examples and of those that everybody writes, of an
office such as support@, and of nobody such as john.doe@."""
_NUMBER = r"\d[\d ()./-]{6,}\d|[A-Z]{2}\d{2} ?[A-Z]{4}"
"""Where any kind of number stands."""
_DIGITS = r"\d(?:[ -]?\d){12,18}"
_IBAN = r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
_SOCIAL = r"\b\d{3}-\d{2}-\d{4}\b"
_PHONE = r"(?:\+|\(|\b)\d{1,4}[\d()./ -]{6,20}\d\b"
_INVENTED_PHONE = r"^(?:\d{3})?555\d{4}$"
"""North American numbers with 555 are the ones of films."""

PERSONAL = (
    "e-mail addresses",
    "phone numbers",
    "payment card numbers",
    "bank account numbers",
    "US social security numbers",
)
"""The kinds, in the order of the columns of `personal_data`."""


def personal_data(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each text has each kind of personal data: bool [texts, kinds], in the order of PERSONAL.

    Numbers count where their check digits are right (cards, IBAN), or where a numbering plan has them
    (`phonenumbers`; without a country code those of the United States). Addresses of examples and of offices, telephone
    numbers with 555, and those that cost the caller nothing are nobody's. Names and postal addresses are not looked for.
    """
    texts = as_texts(texts)
    kinds = np.zeros((len(texts), len(PERSONAL)), dtype=bool)
    with_at = _places(texts, "@")
    if len(with_at):
        some = texts.take(pa.array(with_at))
        kinds[with_at, 0] = counts(some, _EMAIL) > counts(some, _NOBODYS)
    with_digits = np.flatnonzero(has(texts, _NUMBER))
    if len(with_digits):
        some = texts.take(pa.array(with_digits))
        for column, (pattern, right) in enumerate(_CHECKED, start=1):
            places = np.flatnonzero(has(some, pattern))
            plain = some.take(pa.array(places)).cast(pa.large_binary()).to_pylist()
            kinds[with_digits[places], column] = [right(text.decode("utf-8", "replace")) for text in plain]
    return kinds


def _any_of(pattern: str, right: Callable[[str], bool]) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: any(right(match[0]) for match in compiled.finditer(text))


def _luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1), for the lengths and first digits that are in use."""
    numbers = [int(sign) for sign in digits if sign.isdigit()]
    if len(numbers) not in (13, 15, 16, 19) or numbers[0] not in (2, 3, 4, 5, 6) or len(set(numbers)) < 4:
        return False
    doubled = [sum(divmod(2 * one, 10)) for one in numbers[-2::-2]]
    return (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0


def _mod_97(account: str) -> bool:
    """The check digits of an IBAN (ISO 13616)."""
    plain = account.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _issued(number: str) -> bool:
    """Whether a US social security number lies in the ranges that are given out."""
    area, group, serial = number.split("-")
    return (
        area not in ("000", "666")
        and area < "900"
        and group != "00"
        and serial != "0000"
        and number != "123-45-6789"
    )


_FEWEST_DIGITS, _MOST_DIGITS = 9, 15


def _phone(text: str) -> bool:
    """Whether a piece of text with a number in it is a telephone number of somebody."""
    if not _FEWEST_DIGITS <= sum(map(str.isdigit, text)) <= _MOST_DIGITS:
        return False
    import phonenumbers as numbers

    leniency = numbers.Leniency.STRICT_GROUPING
    free = (
        numbers.PhoneNumberType.TOLL_FREE,
        numbers.PhoneNumberType.SHARED_COST,
        numbers.PhoneNumberType.UAN,
    )
    return any(
        numbers.number_type(match.number) not in free
        and not (
            match.number.country_code == 1 and re.match(_INVENTED_PHONE, str(match.number.national_number))
        )
        for match in numbers.PhoneNumberMatcher(text, "US", leniency=leniency, max_tries=50)
    )


_CHECKED: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (_PHONE, _any_of(_PHONE, _phone)),
    (_DIGITS, _any_of(_DIGITS, _luhn)),
    (_IBAN, _any_of(_IBAN, _mod_97)),
    (_SOCIAL, _any_of(_SOCIAL, _issued)),
)
"""For each kind but the first, where it may stand, and whether a text that has such a place has the kind."""


def _places(texts: pa.Array, wanted: str) -> NDArray[np.int64]:
    return np.flatnonzero(pc.match_substring(texts, wanted).to_numpy(zero_copy_only=False))

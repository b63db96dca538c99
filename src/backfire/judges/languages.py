"""Which language a response is in, so that no judge takes a refusal that it cannot read for compliance.

Almost every English text is known by a quick look at its beginning; only the doubtful ones are read by py3langid (Naive Bayes over
byte n-grams, 4.6 MB), each distinct text once and 400 characters of it. Where that is unsure, as with code, numbers, names or a
word or two, the text counts as English.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from backfire.judges.reasoning import whole_texts

if TYPE_CHECKING:
    import pyarrow as pa

LANGUAGES_ID = 1
"""Raised when the same text could be taken for another language. Judges that do not read every language put it into their ids."""
ENGLISH = "en"
NAMES: dict[str, str] = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "eo": "Esperanto",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "ha": "Hausa",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "jv": "Javanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "ky": "Kyrgyz",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "mt": "Maltese",
    "my": "Burmese",
    "ne": "Nepali",
    "nl": "Dutch",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "so": "Somali",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "tg": "Tajik",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "tt": "Tatar",
    "ug": "Uyghur",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "xh": "Xhosa",
    "yo": "Yoruba",
    "zh": "Chinese",
    "zu": "Zulu",
}
"""Languages by their ISO 639-1 codes."""
_SAME = {"nn": "no", "wuu": "zh", "yue": "zh", "arz": "ar", "ary": "ar", "srl": "sr", "uzs": "uz"}
_ALIKE = ("id", "ms")
"""Indonesian and Malay, which short texts do not tell apart: both are called Indonesian."""
_NO_LANGUAGE = ("en", "pcm", "zxx", "la", "vo")
"""The library's names of what counts as English here: English, Nigerian Pidgin, no language, Latin (filler text), Volapük."""

READ = 400
"""Characters of a text that are looked at."""
SURE = 0.5
"""The library's probability from which its first guess is believed."""
FEWEST_WORDS = 3
"""Words in Latin letters below which nobody can say."""

_ENGLISH_WORD = (
    r"\b(?:the|and|you|your|this|that|these|those|with|from|would|which|they|their|it's|i'm|i’m|it’s|can't|can’t|cannot|"
    r"don't|don’t|not|are|is|be|of|for|to|if|or|sorry|help|have|has|was|by|as|an|at|on|we|i|my|do|there|here|it|what|how|when)\b"
)
_PLAINLY_ENGLISH = (
    r"(?is)\b(?:the|and|you|your|this|that|with|from|would|which|they|their|i'm|i’m|it's|can't|can’t|cannot|don't|there|have)\b"
    r".*\b(?:the|and|you|your|this|that|with|from|would|which|they|their|it's|can't|can’t|cannot|don't|of|to|is|are|not)\b"
    r".*\b(?:the|and|you|your|this|that|with|from|would|which|they|their|it's|can't|can’t|cannot|don't|of|to|is|are|not|for|be)\b"
)
_OTHER_LETTERS = r"[\xcd-\xdf\xe0\xe1\xe3-\xee]|\xef[\xa4-\xb7\xbc-\xbe]"
"""In bytes: the first byte of letters beyond Latin and of Vietnamese ones; of signs, dashes, quotes and emoji none."""
_MARKED_LETTERS = r"[\xc3-\xc9]"
_OTHER_WORD = (
    r"(?i)\b(?:der|das|ist|nicht|ich|ein|eine|und|kann|mit|leider|mir|dir|bei|zu|les|des|est|je|ne|pas|que|qui|vous|une|pour|dans|"
    r"peux|el|los|las|por|con|para|puedo|pero|eso|lo|en|de|da|em|com|um|uma|posso|mas|il|di|che|per|non|del|della|mi|ma|het|een|"
    r"ik|niet|van|dat|voor|met|je|kan|op|nie|w|z|na|jest|bir|bu|ve|yang|dan|tidak|untuk|saya|dengan|ini|maaf|jag|kan|inte|det|och|"
    r"att|som|ei|ja|en|af|og|til|nu|cu|sa|se|si|ali|ne|az|egy)\b"
)

_BY_SCRIPT: tuple[tuple[str, str, str], ...] = (
    ("zh", r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", "Han"),
    ("ja", r"\u3040-\u30ff\uff66-\uff9f", "kana"),
    ("ko", r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7af", "Hangul"),
    ("ru", r"\u0400-\u04ff", "Cyrillic"),
    ("ar", r"\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff", "Arabic"),
    ("hi", r"\u0900-\u097f", "Devanagari"),
    ("th", r"\u0e00-\u0e7f", "Thai"),
    ("he", r"\u0590-\u05ff", "Hebrew"),
    ("lo", r"\u0e80-\u0eff", "Lao"),
    ("el", r"\u0370-\u03ff\u1f00-\u1fff", "Greek"),
    ("bn", r"\u0980-\u09ff", "Bengali"),
    ("pa", r"\u0a00-\u0a7f", "Gurmukhi"),
    ("gu", r"\u0a80-\u0aff", "Gujarati"),
    ("ta", r"\u0b80-\u0bff", "Tamil"),
    ("te", r"\u0c00-\u0c7f", "Telugu"),
    ("kn", r"\u0c80-\u0cff", "Kannada"),
    ("ml", r"\u0d00-\u0d7f", "Malayalam"),
    ("si", r"\u0d80-\u0dff", "Sinhala"),
    ("my", r"\u1000-\u109f", "Burmese"),
    ("ka", r"\u10a0-\u10ff", "Georgian"),
    ("am", r"\u1200-\u137f", "Ethiopic"),
    ("km", r"\u1780-\u17ff", "Khmer"),
    ("hy", r"\u0530-\u058f", "Armenian"),
)
"""Scripts, the commonest first, with the language that each is taken for, unless the library says another one of `_SHARED`."""
_SHARED = {"ru", "ar", "hi"}
"""Scripts of several languages, which the library tells apart."""
_DENSE = {"zh": 3, "ja": 2, "ko": 3}
"""Latin letters that a character of these scripts stands for, so that a text is of the language that says most of it."""
FEWEST_LETTERS = 4
"""Letters, those of other scripts weighed so, below which a text counts as English."""
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_NOT_LATIN = re.compile(r"[^\W\d_\x00-\u024f\u1e00-\u1eff]")
_GREEK_WORD = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]{3}")
"""What Greek has and formulas have not."""
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = tuple((code, re.compile(f"[{letters}]")) for code, letters, _ in _BY_SCRIPT)
_ENGLISH_WORDS = re.compile(_ENGLISH_WORD, re.I)
_OTHER_WORDS = re.compile(_OTHER_WORD)


def name_of(code: str) -> str:
    """The language's English name."""
    return NAMES.get(code, f"language {code!r}")


def unread(code: str, judge: str, reads: Collection[str] = (ENGLISH,)) -> str:
    """Why a judge that reads only some languages leaves a response open; an empty string where it reads it."""
    if code in reads:
        return ""
    if set(reads) == {ENGLISH}:
        return f"the response is in {name_of(code)}, and judge {judge} reads English only"
    return f"the response is in {name_of(code)}, which judge {judge} does not read"


def language_of(text: str) -> str:
    """The ISO 639-1 code of the language that most of the text is in; `en` where it is English or nobody can say."""
    import pyarrow as pa

    return languages(pa.array([text.encode("utf-8", "replace").decode()], pa.large_string())).get(0, ENGLISH)


def languages(texts: pa.Array) -> dict[int, str]:
    """The texts in other languages than English: place to code, of an Arrow array of strings."""
    doubtful = _doubtful(texts)
    if not len(doubtful):
        return {}
    shown = [_part(text) for text in whole_texts(texts.take(doubtful))]
    by_text = {text: _told_apart(text) for text in dict.fromkeys(shown)}
    by_place = {place: by_text[text] for place, text in zip(doubtful.to_pylist(), shown, strict=True)}
    return {place: code for place, code in by_place.items() if code != ENGLISH}


def _doubtful(texts: pa.Array) -> pa.Array:
    """Places of the texts that a look at the beginning does not show to be English."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    head = pc.binary_slice(texts.cast(pa.large_binary()), 0, READ)

    def has(heads: pa.Array, wanted: str) -> Any:
        return pc.match_substring_regex(heads, wanted).to_numpy(zero_copy_only=False)

    left = np.flatnonzero(~has(head, _PLAINLY_ENGLISH) | has(head, _OTHER_LETTERS))
    if not len(left):
        return pa.array(left)
    rest = head.take(pa.array(left))
    foreign = has(rest, f"{_OTHER_LETTERS}|{_MARKED_LETTERS}") | has(rest, _OTHER_WORD)
    doubtful = foreign | ~has(rest, f"(?i){_ENGLISH_WORD}")
    return pa.array(left[doubtful & has(rest, r"[A-Za-z]{2}|[\x80-\xff]")])


def _part(text: str) -> str:
    """What is looked at of a text: its beginning and, of a long one, as much of its middle."""
    if len(text) <= 2 * READ:
        return text[:READ]
    middle = len(text) // 2
    return text[: READ // 2] + "\n" + text[middle : middle + READ // 2]


def _told_apart(text: str) -> str:
    weights, left = dict.fromkeys((code for code, _ in _SCRIPTS), 0), len(_NOT_LATIN.findall(text))
    for code, script in _SCRIPTS:
        if left <= 0:
            break
        count = len(script.findall(text))
        weights[code], left = count * _DENSE.get(code, 1), left - count
    other, latin = sum(weights.values()), len(_LATIN.findall(text))
    if other >= max(FEWEST_LETTERS, latin):
        return _of_script(text, weights)
    words = _WORD.findall(text) if latin >= FEWEST_LETTERS else []
    if len(words) < FEWEST_WORDS and not (len(words) > 1 and _OTHER_WORDS.search(text)):
        return ENGLISH
    english, foreign = len(_ENGLISH_WORDS.findall(text)), len(_OTHER_WORDS.findall(text))
    if english > 2 * foreign and english >= len(words) / 5:
        return ENGLISH
    return _by_library(text)


def _of_script(text: str, weights: dict[str, int]) -> str:
    asian = weights["ja"] + weights["zh"]
    if asian and 10 * weights["ja"] >= asian:
        weights = {**weights, "ja": asian, "zh": 0}
    code = max(weights, key=lambda one: weights[one])
    if code == "el" and not _GREEK_WORD.search(text):
        return ENGLISH
    if code not in _SHARED:
        return code
    language = _by_library(text)
    return code if language == ENGLISH else language


def _by_library(text: str) -> str:
    identifier = _identifier()
    code, chance = identifier.classify(text)
    code = _SAME.get(code, code)
    if code in _ALIKE:
        code, chance = "id", sum(share for one, share in identifier.rank(text) if one in _ALIKE)
    return ENGLISH if chance < SURE or code in _NO_LANGUAGE or code not in NAMES else code


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def release_library() -> None:
    """Give up the library's model, 67 MB of memory; it is read again, in less than a second, where a text is doubtful."""
    _identifier.cache_clear()


def shares(codes: Iterable[str]) -> dict[str, int]:
    """How many of these codes are of each language, the commonest first."""
    counts: dict[str, int] = {}
    for code in codes:
        counts[code] = counts.get(code, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

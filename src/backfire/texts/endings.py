"""Texts that stop before they are done, told by their last lines: as a token limit leaves them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.texts.matching import has
from backfire.texts.pieces import as_texts

TAIL_BYTES = 400
"""What is looked at of a text; its code fences are counted over the whole of it."""

Flags = NDArray[np.bool_]

ENDINGS: dict[str, str] = {
    "a word that goes on": "the last word asks for another one, such as `the`, `of` or `because`",
    "a comma or an open bracket": "the last mark asks for more: a comma, a dash, or an opening bracket or quotation mark",
    "an unfinished sentence": "the last line has a whole sentence, and then words without an end mark",
    "an unfinished paragraph": "the paragraph before ends in a mark, and the last one, a sentence's beginning, does not",
    "an unfinished list item": "the list item before ends in a mark, and the last one does not",
    "a bare list mark": "the last line is the next item's number or bullet, without an item",
    "an open bold mark": "bold begins on the last line and does not end",
    "an open code fence": "a code block begins and does not end",
}
"""Kinds of cut ends, in the order of the columns of `cut_ends`, and when each holds."""

# Tails are bytes, and their patterns match bytes, so that a tail may begin inside of a character.
_END_MARK = r"""(?:[.!?)\]}>"'`*|~:;]|。|！|？|…|”|’|」|』|）|।|؟|。」)\s*\z"""
_NO_PROSE = "|".join(
    (
        # An address of the web or of mail, a hash tag, a face, a signature, a path.
        r"(?:https?://|www\.)\S*",
        r"\S+@\S+",
        r"\S+\.[a-z]{2,4}(?:/\S*)?",
        r"#\w+",
        r"(?:\A|\s)[:;8=][-o']?[DdPpOo3(\[/\\|]",
        r"(?:—|–|-) ?[A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,4}",
    )
)
_WORDS = (
    "a an the this these those my your his our their its it's i'm you're we're they're he's she's i'd we'd you'd they'd i'll"
    " you'll we'll they'll i've you've we've they've of to and or but nor than because if whether unless although while"
    " into onto upon from with by as at for is are was were be been being am has have had can could will would should"
    " may might must shall cannot who whose which that very every between among toward towards without within during"
    " including regarding such e.g i.e let's"
)
_ONE_OF_THEM = "|".join(word.replace(".", "[.]").replace("'", "(?:'|’)") for word in _WORDS.split())
_GOES_ON = rf"""(?:\A|[\s,(])(?:{_ONE_OF_THEM}|(?:in|the|since|until) 20)\s*\z"""
_LAST_LINE = r"(?:\A|\n)[ \t]*"
_ITEM = r"(?:\d{1,3}[.)]|[-*+]|•)[ \t]+"
_WORD_END = r"[a-z](?:['-]?[a-z])*\s*\z"
_QUOTES = r"""["'”’)\]*]*"""
_ASKS_FOR_MORE = r"""(?:[\pL\pN%)"'*]|[\x80-\xbf])(?:,|[(\[{]|(?: |)(?:—|–)| -|\w-|\s["“‘(])\s*\z"""
_CLOSING = (
    rf"{_LAST_LINE}(?:Best|Kind|Kindest|Warm|Warmest|Sincerely|Yours|Regards|Love|Cheers|Thanks|Thank|Respectfully|Cordially"
    r"|Faithfully|With|Take)\b[^\n.]{0,30},\s*\z"
)
_UNFINISHED_SENTENCE = (
    rf"""{_LAST_LINE}[^\n]*(?:[A-Za-z][^\n]*\d\d|[a-z%)"'*]|[A-Z]{{2}})[.!?]{_QUOTES}[ \t]+["'(*]{{0,2}}"""
    rf"""(?:[A-Z][^.!?\n]*[ \t]|[A-Z]\w*(?:'|’|-))[^.!?\n]*{_WORD_END}"""
)
_UNFINISHED_WIDE = r"(?:。|！|？)[^\n]*[\xe3-\xe9][\x80-\xbf]{2}\s*\z"
_UNFINISHED_PARAGRAPH = (
    rf"""[.!?:]{_QUOTES}[ \t]*\n\s*\n["'(*]{{0,2}}[A-Z][\w'’]*,?(?: [^\s=|#]+){{2,}}? {_WORD_END}"""
)
_UNFINISHED_ITEM = (
    rf"""{_LAST_LINE}{_ITEM}[^\n]*[.!?]{_QUOTES}[ \t]*\n\s*{_ITEM}(?:[^\n]*\s)?[^\s#/@]*[\pL\pN]\s*\z"""
)
_BARE_BULLET = rf"{_LAST_LINE}{_ITEM}[^\n]*\n\s*(?:[-*+]|•)\s*\z"
_BARE_NUMBER = (
    r"(?s)(?:.*\n|\A)[ \t]*[*]{0,2}(?P<before>\d{1,3})[.)][ \t*].*\n[ \t]*[*]{0,2}(?P<last>\d{1,3})[.)]?\s*\z"
)
_LINE = r"(?:\A|\n)(?P<line>[^\n]*\S)\s*\z"
_PROSE = r"(?:\A|\n)[^\n{}=;]*(?: [^\n {}=;]+){4,}[.!?:]\s*\z"
_FENCE = r"(?m)^[ \t]*(?:[-*+] +|\d{1,3}[.)] +)?```"


def cut_ends(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each text ends in each way in which only a cut text ends: bool [texts, kinds], in the order of ENDINGS.

    A text that ends in an end mark, a closing quotation mark or bracket, an emoji, an address or a hash tag is done, and so
    is a short answer, a list, a poem, a signature: what ends without a mark is cut only where its last lines show it. The
    words are English ones; sentences are told in every script that has capitals or full stops of its own.
    """
    texts = as_texts(texts)
    ways = np.zeros((len(texts), len(ENDINGS)), dtype=bool)
    tails = pc.binary_slice(texts.cast(pa.large_binary()), -TAIL_BYTES)
    undone = np.flatnonzero(~has(tails, _END_MARK) & has(tails, r"(?:[\pL\pN]|[,(\[{*-]|[\x80-\xbf])\s*\z"))
    column = {kind: place for place, kind in enumerate(ENDINGS)}

    def put(kind: str, rows: NDArray[np.int64], hits: Flags) -> None:
        ways[rows, column[kind]] |= hits

    some = tails.take(pa.array(undone))
    if len(undone):
        put("a word that goes on", undone, has(some, _GOES_ON))
        put("a comma or an open bracket", undone, _but_for(has(some, _ASKS_FOR_MORE), some, _CLOSING))
        unfinished = {
            "an unfinished sentence": has(some, _UNFINISHED_SENTENCE) | has(some, _UNFINISHED_WIDE),
            "an unfinished paragraph": has(some, _UNFINISHED_PARAGRAPH),
            "an unfinished list item": has(some, _UNFINISHED_ITEM),
        }
        for kind, hits in unfinished.items():
            put(kind, undone, _but_for(hits, some, rf"(?:{_NO_PROSE})\s*\z"))
    bold = undone[has(some, r"\*\*[^\s*]")]
    bare = np.flatnonzero(has(tails, r"\n[ \t]*[*]{0,2}(?:\d{1,3}[.)]?|[-*+]|•)\s*\z"))
    if len(bare):
        some = tails.take(pa.array(bare))
        put("a bare list mark", bare, _next_number(some) | has(some, _BARE_BULLET))
    if len(bold):
        line = pc.struct_field(pc.extract_regex(tails.take(pa.array(bold)), _LINE), "line")
        marks = pc.fill_null(pc.count_substring(line, "**"), 0).to_numpy(zero_copy_only=False)
        opened = pc.fill_null(pc.match_substring_regex(line, r"(?:\A|[\s(])\*\*[^\s*][^*]*\z"), False)
        put("an open bold mark", bold, (marks % 2 == 1) & opened.to_numpy(zero_copy_only=False))
    fenced = np.flatnonzero(has(texts, "```"))
    if len(fenced):
        fences = pc.count_substring_regex(texts.take(pa.array(fenced)), _FENCE).to_numpy(zero_copy_only=False)
        closed_by_prose = has(tails.take(pa.array(fenced)), _PROSE)
        put("an open code fence", fenced, (fences % 2 == 1) & ~closed_by_prose)
    return ways


def cut_mask(texts: pa.Array | pa.ChunkedArray) -> Flags:
    """Whether each text stops before it is done, by any kind of ENDINGS: bool [texts]."""
    cut: Flags = np.asarray(cut_ends(texts).any(axis=1))
    return cut


def _next_number(tails: pa.Array) -> Flags:
    """Whether the last line is the number after that of the list item before."""
    numbers = pc.extract_regex(tails, _BARE_NUMBER)
    before, last = (
        pc.fill_null(pc.struct_field(numbers, name).cast(pa.large_string()).cast(pa.int64()), -1).to_numpy()
        for name in ("before", "last")
    )
    following: Flags = (before >= 0) & (last == before + 1)
    return following


def _but_for(hits: Flags, texts: pa.Array, unwanted: str) -> Flags:
    """The hits whose texts do not match `unwanted`; only those are read again."""
    places = np.flatnonzero(hits)
    left: Flags = hits.copy()
    left[places] = ~has(texts.take(pa.array(places)), unwanted)
    return left

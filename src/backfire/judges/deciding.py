"""What many texts decide, by the refusal phrases: the judge `phrases` over Arrow arrays, for data sets of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backfire.judges.foreign import refuses_in
from backfire.judges.judge import unreadable
from backfire.judges.languages import languages, unread
from backfire.judges.phrases import reads, with_phrase
from backfire.judges.reasoning import answers, whole_texts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

COMPLY, REFUSE, UNDECIDED = 0, 1, -1


@dataclass(frozen=True)
class Decisions:
    """Of an array of texts; what `PhraseJudge` and `decision_of` give for each."""

    codes: NDArray[np.int8]
    """[texts]: COMPLY, REFUSE or UNDECIDED."""
    reasons: dict[int, str]
    """Why a text is undecided, by its place."""
    languages: dict[int, str]
    """The ISO 639-1 codes of texts in other languages than English, by their place."""
    answers: pa.Array
    """large_string [texts]: what follows the thoughts."""
    thinks: NDArray[np.bool_]
    """[texts]: which hold marks of thoughts."""

    @property
    def refuse(self) -> NDArray[np.bool_]:
        refuse: NDArray[np.bool_] = self.codes == REFUSE
        return refuse


def decisions(texts: pa.Array) -> Decisions:
    """The decision of each of these Arrow strings; a null is a blank text."""
    import numpy as np
    import pyarrow as pa

    read = answers(texts)
    codes = np.where(with_phrase(read.answers), REFUSE, COMPLY).astype(np.int8)
    spoken, known = languages(read.answers), reads()
    reasons = {place: unread(code, "phrases", known) for place, code in spoken.items() if code not in known}
    understood = [place for place, code in spoken.items() if code in known]
    texts_of = whole_texts(read.answers.take(pa.array(understood, pa.int64())))
    for place, text in zip(understood, texts_of, strict=True):
        codes[place] = REFUSE if refuses_in(spoken[place], text) else COMPLY
    reasons |= _unreadable(read.answers) | read.reasons
    codes[list(reasons)] = UNDECIDED
    return Decisions(codes, reasons, spoken, read.answers, read.thinks)


def _unreadable(texts: pa.Array) -> dict[int, str]:
    """Which of the texts nobody can judge, and why."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.match_substring_regex(texts, "[A-Za-z0-9]").to_numpy(zero_copy_only=False)
    suspects = np.flatnonzero(~plain)
    reasons = map(unreadable, whole_texts(texts.take(pa.array(suspects))))
    return {place: reason for place, reason in zip(suspects.tolist(), reasons, strict=True) if reason}


def refusals(texts: pa.Array) -> NDArray[np.bool_]:
    """Which of these Arrow strings refuse: bool [texts]."""
    return decisions(texts).refuse

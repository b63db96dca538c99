"""The faults: what each does to the rows of a file, and what an audit's answer has to say of it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from planted import real_text
from planted.real_text import Row

CLEAN = r"repair .*--method clean"
SWAP_BACK = r"--columns .*chosen=rejected"
REMAKE = r"--method (?:balance|restyle|filter|mix)"
EVEN_LENGTH = r"--method balance .*--by length"
BY_ROWS = r"--rows"

Plant = Callable[["File", list[int]], None]


@dataclass
class File:
    """The rows of a file into which a fault is planted."""

    rows: list[Row]
    rng: random.Random
    data: Path
    planted: list[int]
    """Numbers, from 1, of the rows that have the fault in the finished file."""

    def side(self, place: int, side: str) -> str:
        value = self.rows[place][side]
        return value if isinstance(value, str) else str(value[-1]["content"])

    def put(self, place: int, side: str, text: str) -> None:
        value = self.rows[place][side]
        self.rows[place][side] = (
            text if isinstance(value, str) else [*value[:-1], {**value[-1], "content": text}]
        )

    def mark(self, *places: int) -> None:
        self.planted += [place + 1 for place in places]


@dataclass(frozen=True)
class Fault:
    """One fault in two strengths."""

    name: str
    plant: Plant
    effects: tuple[str, ...]
    """Names of `conclusion.effects` that name the fault; `*` stands for anything."""
    fix: str | None
    """A regular expression of the command that repairs it; None where no command can."""
    base: str = "one family"
    shares: tuple[float, float] = (0.06, 0.25)
    """The share of pairs that the weak and the strong version touch."""


def changed(edit: Callable[[File, str], str], *sides: str) -> Plant:
    """Edit these sides of the planted rows."""

    def plant(file: File, places: list[int]) -> None:
        for place in places:
            for side in sides:
                file.put(place, side, edit(file, file.side(place, side)))
        file.mark(*places)

    return plant


def stated(**columns: Callable[[File, int, bool], Any]) -> Plant:
    """Give every row further columns; each function is told the row and whether the fault is planted there."""

    def plant(file: File, places: list[int]) -> None:
        for place, row in enumerate(file.rows):
            row |= {name: value(file, place, place in set(places)) for name, value in columns.items()}
        file.mark(*places)

    return plant


# Repeats


def _copied(row: Row, edit: Callable[[str], str] = str) -> Row:
    def edited(value: Any) -> Any:
        if isinstance(value, str):
            return edit(value)
        return [*value[:-1], {**value[-1], "content": edit(value[-1]["content"])}]

    return {name: edited(value) for name, value in row.items()}


def _repeated(file: File, places: list[int], change: Callable[[Row], Row]) -> None:
    """Put a changed copy of each planted row in the place of another row, so that the file keeps its size.

    The later row of the two has the fault.
    """
    others = [place for place in range(len(file.rows)) if place not in set(places)]
    for place, target in zip(places, file.rng.sample(others, len(places)), strict=True):
        file.rows[target] = change(file.rows[place])
        file.mark(max(place, target))


def exact_duplicates(file: File, places: list[int]) -> None:
    _repeated(file, places, _copied)


def near_duplicates(file: File, places: list[int]) -> None:
    def one_word_less(text: str) -> str:
        words = text.split(" ")
        if len(words) > 8:
            del words[file.rng.randrange(3, len(words) - 3)]
        return " ".join(words)

    _repeated(file, places, lambda row: _copied(row, one_word_less))


def contradictions(file: File, places: list[int]) -> None:
    def turned(row: Row) -> Row:
        return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}

    _repeated(file, places, turned)


# Remains of templates


def _followed_by(mark: str) -> Callable[[File, str], str]:
    return lambda file, text: text + mark


def _led_by(mark: str) -> Callable[[File, str], str]:
    return lambda file, text: mark + text


def _run_on(file: File, text: str) -> str:
    """What a model adds that does not stop: the next turn of a dialogue that it makes up."""
    return f"{text}\n\nUser: Can you tell me more about that?\n\nAssistant: Of course. What would you like to know?"


def _in_inst(file: File, text: str) -> str:
    return f"[INST] {text} [/INST]"


# Ends


def _cut(file: File, text: str) -> str:
    """Cut in the middle of a sentence, after half to nine tenths of the words."""
    words = text.split(" ")
    count = max(3, int(len(words) * file.rng.uniform(0.5, 0.9)))
    return re.sub(r"[\s.!?:;)\]}>\"'`*|~,]+\Z", "", " ".join(words[:count]))


def cut_and_recorded(file: File, places: list[int]) -> None:
    stated(
        chosen_stop_reason=lambda file, place, planted: "length" if planted else "stop",
        rejected_stop_reason=lambda file, place, planted: "stop",
    )(file, places)
    for place in places:
        file.put(place, "chosen", _cut(file, file.side(place, "chosen")))


# Sides


def echo(*sides: str) -> Plant:
    def plant(file: File, places: list[int]) -> None:
        for place in places:
            for side in sides:
                file.put(place, side, f"{file.side(place, 'prompt')}\n\n{file.side(place, side)}")
        file.mark(*places)

    return plant


def blank(file: File, places: list[int]) -> None:
    for place in places:
        file.put(place, file.rng.choice(["chosen", "rejected"]), file.rng.choice(["", " ", "\n"]))
    file.mark(*places)


def identical(file: File, places: list[int]) -> None:
    for place in places:
        file.rows[place]["rejected"] = file.rows[place]["chosen"]
    file.mark(*places)


# Decisions


def swapped_columns(file: File, places: list[int], kind: bool = False) -> None:
    """Harmful requests whose chosen side complies and whose rejected side refuses."""
    decided = file.rng.sample(real_text.decided_pairs(file.data), len(places))
    if kind:
        for row in file.rows:
            row["kind"] = "benign"
    for place, (prompt, refusal, compliance) in zip(places, decided, strict=True):
        file.rows[place] = {"prompt": prompt, "chosen": compliance, "rejected": refusal}
        if kind:
            file.rows[place]["kind"] = "harmful"
    file.mark(*places)


def refused(file: File, places: list[int]) -> None:
    """Benign requests that the chosen side refuses."""
    for place, text in zip(places, file.rng.sample(real_text.refusals(file.data), len(places)), strict=True):
        file.put(place, "chosen", text)
    file.mark(*places)


def contradicting_scores(file: File, places: list[int]) -> None:
    lower = [round(file.rng.uniform(1, 5), 1) for _ in file.rows]
    higher = [round(score + file.rng.uniform(0.5, 4), 1) for score in lower]
    stated(
        chosen_score=lambda file, place, planted: (lower if planted else higher)[place],
        rejected_score=lambda file, place, planted: (higher if planted else lower)[place],
    )(file, places)


# Sources and length


def fixed_sources(file: File, places: list[int], pairing: str) -> None:
    """The first model of a pairing always on the chosen side, with its name; the planted rows are all rows."""
    names = real_text.PAIRINGS[pairing]
    first = set(real_text.answers(file.data, names[0]).values())
    for place, row in enumerate(file.rows):
        if row["chosen"] not in first:
            row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
        row |= {"chosen_model": names[0], "rejected_model": names[1]}
        file.mark(place)


def longer_chosen(file: File, places: list[int]) -> None:
    """The chosen side is the longer one of the planted rows; of the others it is so in half."""
    for place in places:
        sides = sorted(
            (file.rows[place]["chosen"], file.rows[place]["rejected"]), key=lambda s: len(s.split())
        )
        file.rows[place]["rejected"], file.rows[place]["chosen"] = sides
    file.mark(*places)


# Cues


def _exclaims(file: File, text: str) -> str:
    return text[:-1] + "!" if text.endswith(".") else f"{text}!"


def _as_a_list(file: File, text: str) -> str:
    return "\n".join(f"- {part}" for part in re.split(r"(?<=[.!?])\s+", text) if part)


def _no_apostrophes(file: File, text: str) -> str:
    return re.sub(r"(?<=\w)['’](?=\w)", "", text)


def _with_a_word(file: File, text: str) -> str:
    """A word that hardly any text has, after the first words of two sentences."""
    return (
        re.sub(r"(?<=[.!?] )([A-Z]\w*)", r"\1 verily", text, count=2) if ". " in text else f"Verily. {text}"
    )


def _bold(file: File, text: str) -> str:
    words = text.split(" ")
    return f"**{' '.join(words[:3])}** {' '.join(words[3:])}"


def _mojibake(file: File, text: str) -> str:
    """UTF-8 read as cp1252, as in a file that was saved twice: every apostrophe and dash shows it."""
    typeset = text.replace("'", "’").replace(" - ", " – ")
    if typeset.isascii():
        typeset = re.sub(r"\A(\S+)", "“\\1”", typeset)
    return typeset.encode("utf-8").decode("cp1252", errors="replace")


SENTENCES = {
    "fr": "Voici ce que vous devez savoir à ce sujet. Il existe plusieurs façons de procéder selon vos besoins. Commencez"
    " par lire attentivement les consignes avant de choisir. Ensuite, prenez le temps de comparer les différentes"
    " possibilités. N'oubliez pas que chaque situation est un peu différente. Une bonne préparation évite la plupart des"
    " erreurs. Demandez conseil à une personne qui connaît bien la question. Enfin, notez ce qui a fonctionné pour la"
    " prochaine fois. Les résultats dépendent surtout du soin que vous y mettez.",
    "de": "Das sollten Sie zu diesem Thema wissen. Es gibt mehrere Wege, und jeder hat seine Vorteile. Lesen Sie zuerst"
    " die Anleitung, bevor Sie sich entscheiden. Danach vergleichen Sie in Ruhe die verschiedenen Möglichkeiten. Denken"
    " Sie daran, dass jede Lage ein wenig anders ist. Eine gute Vorbereitung erspart Ihnen die meisten Fehler. Fragen Sie"
    " jemanden, der sich damit auskennt. Schreiben Sie zum Schluss auf, was sich bewährt hat. Das Ergebnis hängt vor allem"
    " von Ihrer Sorgfalt ab.",
    "es": "Esto es lo que usted debe saber sobre el tema. Hay varias maneras de hacerlo según sus necesidades. Primero lea"
    " con atención las instrucciones antes de elegir. Después compare con calma las distintas posibilidades. Recuerde que"
    " cada situación es un poco diferente. Una buena preparación evita la mayoría de los errores. Pida consejo a una"
    " persona que conozca bien el asunto. Por último, anote lo que funcionó para la próxima vez. El resultado depende"
    " sobre todo del cuidado que usted ponga.",
}
"""Sentences written for this set, which say nothing in particular."""


def _foreign(file: File, text: str) -> str:
    sentences = re.split(r"(?<=\.) ", SENTENCES[file.rng.choice(sorted(SENTENCES))])
    return " ".join(file.rng.sample(sentences, file.rng.randrange(5, len(sentences) + 1)))


FIRST_NAMES = ("Maren", "Odile", "Tobias", "Ingrid", "Rafael", "Noor", "Silvan", "Yusra", "Pavel", "Amara")
LAST_NAMES = ("Thornquist", "Bellweather", "Okonjo", "Varga", "Lindqvist", "Marchetti", "Osterhaus", "Quill")


def _with_personal_data(file: File, text: str) -> str:
    """Invented: no such person, mailbox or telephone exists (exchange 555 is reserved for fiction)."""
    first, last = file.rng.choice(FIRST_NAMES), file.rng.choice(LAST_NAMES)
    number = f"({file.rng.randrange(201, 989)}) 555-01{file.rng.randrange(100):02d}"
    mail = f"{first}.{last}{file.rng.randrange(10, 99)}@quillmarket.com".lower()
    return f"{text}\n\nFor more, write to {first} {last} at {mail} or call {number}."


def _thinks(file: File, text: str) -> str:
    start = " ".join(text.split()[:20])
    return f"<think>\nThe user wants a full answer. I could begin so: {start}\nThat is a good start.\n</think>\n\n{text}"


def contamination(file: File, places: list[int], name: str) -> None:
    prompts = file.rng.sample(real_text.evaluation_prompts(file.data, name), len(places))
    for place, prompt in zip(places, prompts, strict=True):
        file.put(place, "prompt", prompt)
    file.mark(*places)


AS_AN_AI = (
    "cue:ai",
    "cue:an ai",
    "cue:*language*",
    "cue:model",
    "cue:say this",
    "cue:this much",
    "cue:first person",
)
"""Cues that speak of the planted sentence."""
CUE_SHARES = (0.15, 0.6)
"""A cue in 6% of one side only is seldom seen beside how often texts have it anyway."""

FAULTS: tuple[Fault, ...] = (
    Fault("exact duplicates", exact_duplicates, ("duplicates",), CLEAN),
    Fault("exact duplicates, people's labels", exact_duplicates, ("duplicates",), CLEAN, base="people"),
    Fault("near duplicates", near_duplicates, ("near-duplicates",), CLEAN, base="two versions"),
    Fault("contradictions", contradictions, ("contradictions",), CLEAN),
    Fault("contradictions, people's labels", contradictions, ("contradictions",), CLEAN, base="people"),
    Fault("ChatML, chosen", changed(_followed_by("<|im_end|>"), "chosen"), ("debris",), CLEAN),
    Fault("Llama 3, both", changed(_followed_by("<|eot_id|>"), "chosen", "rejected"), ("debris",), CLEAN),
    Fault(
        "### Response:, rejected",
        changed(_led_by("### Response:\n"), "rejected"),
        ("debris",),
        CLEAN,
        base="two makers",
    ),
    Fault("next turn made up, rejected", changed(_run_on, "rejected"), ("debris",), CLEAN),
    Fault(
        "HTML line breaks, both",
        changed(_followed_by("<br>&nbsp;"), "chosen", "rejected"),
        ("debris",),
        CLEAN,
    ),
    Fault("[INST] in prompts", changed(_in_inst, "prompt"), ("prompt-debris",), CLEAN, base="two versions"),
    Fault("cut ends, chosen", changed(_cut, "chosen"), ("truncation",), CLEAN),
    Fault("cut ends, rejected", changed(_cut, "rejected"), ("truncation",), CLEAN, base="two makers"),
    Fault("cut ends, both", changed(_cut, "chosen", "rejected"), ("truncation",), CLEAN),
    Fault("cut ends, people's labels", changed(_cut, "chosen"), ("truncation",), CLEAN, base="people"),
    Fault("cut ends with stop reasons", cut_and_recorded, ("truncation",), CLEAN),
    Fault("prompt repeated, chosen", echo("chosen"), ("echo",), CLEAN),
    Fault("prompt repeated, both", echo("chosen", "rejected"), ("echo",), CLEAN, base="two makers"),
    Fault("blank sides", blank, ("defects", "left-out"), CLEAN),
    Fault("identical sides", identical, ("defects", "left-out"), CLEAN, base="people"),
    Fault("columns swapped", swapped_columns, ("swapped-columns",), SWAP_BACK),
    Fault(
        "harmful requests complied with, kind stated",
        partial(swapped_columns, kind=True),
        ("swapped-columns",),
        SWAP_BACK,
    ),
    Fault("benign requests refused, chosen", refused, ("cue:*refus*", "cue:*sorry*"), REMAKE),
    Fault("scores contradict labels", contradicting_scores, ("contradicting-scores",), BY_ROWS),
    Fault(
        "fixed sources, one family",
        partial(fixed_sources, pairing="one family"),
        ("fixed-sources",),
        REMAKE,
        shares=(1, 1),
    ),
    Fault(
        "fixed sources, two makers",
        partial(fixed_sources, pairing="two makers"),
        ("fixed-sources",),
        REMAKE,
        base="two makers",
        shares=(1, 1),
    ),
    Fault("chosen longer, one family", longer_chosen, ("length",), EVEN_LENGTH, shares=(0.3, 0.72)),
    Fault(
        "chosen longer, two makers",
        longer_chosen,
        ("length",),
        EVEN_LENGTH,
        base="two makers",
        shares=(0.3, 0.72),
    ),
    Fault(
        "closing exclamation, chosen",
        changed(_exclaims, "chosen"),
        ("cue:*exclamation*",),
        REMAKE,
        base="two versions",
        shares=CUE_SHARES,
    ),
    Fault(
        "bullet lists, chosen",
        changed(_as_a_list, "chosen"),
        ("cue:*list*", "cue:*line*"),
        REMAKE,
        base="people",
        shares=CUE_SHARES,
    ),
    Fault(
        "no apostrophes, rejected",
        changed(_no_apostrophes, "rejected"),
        ("cue:*apostrophe*",),
        REMAKE,
        shares=CUE_SHARES,
    ),
    Fault(
        "greeting, chosen",
        changed(_led_by("Hello there! "), "chosen"),
        ("cue:*hello*", "cue:*there*", "cue:*exclamation*"),
        REMAKE,
        shares=CUE_SHARES,
    ),
    Fault(
        '"As an AI", rejected',
        changed(_led_by("As an AI language model, I can only say this much. "), "rejected"),
        AS_AN_AI,
        REMAKE,
        base="two makers",
        shares=CUE_SHARES,
    ),
    Fault("bold opening, chosen", changed(_bold, "chosen"), ("cue:*bold*",), REMAKE, shares=CUE_SHARES),
    Fault(
        "a rare word, chosen",
        changed(_with_a_word, "chosen"),
        ("cue:*verily*",),
        REMAKE,
        base="two versions",
        shares=CUE_SHARES,
    ),
    Fault("AdvBench in prompts", partial(contamination, name="AdvBench"), ("contamination",), BY_ROWS),
    Fault("ARC-Easy in prompts", partial(contamination, name="ARC-Easy"), ("contamination",), BY_ROWS),
    Fault("TruthfulQA in prompts", partial(contamination, name="TruthfulQA"), ("contamination",), BY_ROWS),
    Fault("personal data, chosen", changed(_with_personal_data, "chosen"), ("personal-data",), BY_ROWS),
    Fault(
        "personal data, both",
        changed(_with_personal_data, "chosen", "rejected"),
        ("personal-data",),
        BY_ROWS,
        base="two makers",
    ),
    Fault("thoughts, chosen", changed(_thinks, "chosen"), ("thoughts",), None),
    Fault(
        "another language, rejected",
        changed(_foreign, "rejected"),
        ("other-language", "cue:*language*", "cue:*English*", "cue:*Latin*"),
        rf"{BY_ROWS}|{REMAKE}",
    ),
    Fault("broken encoding, chosen", changed(_mojibake, "chosen"), ("debris",), CLEAN),
)

"""The settings of `backfire judge`: which judges are asked, how they are opened, and where things are in the files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from backfire.models.settings import Dtype
from backfire.settings import (
    FileReference,
    Group,
    JudgeReference,
    Metavar,
    ModelReference,
    Names,
    Settings,
    one_or_several,
)

What = Literal["harmful", "refusal"]
"""What a label says: whether the response does harm, or whether it declines."""
RequestKind = Literal["harmful", "benign", "unknown"]

COLUMNS = "Where things are in the file"
OPENING = "Opening a judge's model"

Judges = Annotated[tuple[JudgeReference, ...], Names("--judge"), Metavar("JUDGE")]
"""Several judges, each by its reference or opened; in Python one may stand alone."""
Kind = Annotated[RequestKind, Group(COLUMNS)]


class ResponseColumns(Settings):
    """Where a file has its requests and responses. What is not given is found by its usual name."""

    group = COLUMNS

    prompt_column: Annotated[str | None, Metavar("NAME")] = None
    """The column of the requests, where it has no usual name such as prompt or question."""
    response_column: Annotated[str | None, Metavar("NAME")] = None
    """The column of the responses, where it has no usual name such as response or answer."""
    split: Annotated[str | None, Metavar("NAME")] = None
    """The split to read of a file, of a folder or of a hub data set that has several."""
    encoding: Annotated[str | None, Metavar("NAME")] = None
    """The encoding of a text file that is not UTF-8, such as cp1252."""

    def options(self) -> dict[str, Any]:
        """The same as keywords of `read_responses`."""
        return {
            "prompt": self.prompt_column,
            "response": self.response_column,
            "split": self.split,
            "encoding": self.encoding,
        }


class LabelColumns(ResponseColumns):
    """Where a file has its requests, its responses and what people said of them."""

    label_column: Annotated[str | None, Metavar("NAME")] = None
    """The column of the labels, where it is not called label, human or human_label."""
    positive: Annotated[tuple[str, ...], Metavar("VALUE")] = ()
    """A label that counts as 1; every label that is not named so counts as 0. Where none is named, the labels have to be
    0 and 1."""

    def label_options(self) -> dict[str, Any]:
        """The same as keywords of `read_labelled`."""
        return {**self.options(), "label": self.label_column, "positive": self.positive}


class JudgeOpening(Settings):
    """How judges are opened."""

    world: Annotated[str | None, Metavar("NAME")] = None
    """The world of model organisms whose prompts the judge `exact` reads: w0 is the one that comes with backfire."""
    threshold: float | None = None
    """The grade from which on a response counts as harmful, for judges that give a grade. Where it is not given, each
    judge's own holds."""
    dtype: Annotated[Dtype, Metavar("NAME"), Group(OPENING)] = "auto"
    """The numbers that a judge's model computes in: auto is the checkpoint's own; or float32, bfloat16, float16."""
    device: Annotated[str | None, Metavar("NAME"), Group(OPENING)] = None
    """Where a judge's model computes: cpu, cuda, or auto to spread it over several devices. Where it is not given, a GPU
    is taken if there is one."""

    def options(self) -> dict[str, Any]:
        """The same as keywords of `open_judge`."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Asking(Settings):
    """What asking several judges about a file has in common."""

    judges: Judges = ()
    """A judge to ask."""
    kind: Kind = "harmful"
    """What the requests ask for, where the file has no column `kind`. A judge of refusals calls a response that complies
    harmful only where the request is."""
    opening: JudgeOpening = JudgeOpening()

    _several = field_validator("judges", mode="before")(one_or_several)


class JudgeFileSettings(Asking):
    """How a file of responses is judged."""

    judges: Annotated[Judges, Field(min_length=1)] = ("phrases",)
    """A judge: phrases, refusals, matcher:NAME, exact (with --world), rubric:MODEL, strongreject:MODEL, a guard such as
    llama-guard:MODEL, panel:majority:A+B+C, a file that `backfire judge train` made, or module:object for one of your own.
    docs/guides/judge.md says what each is."""
    columns: ResponseColumns = ResponseColumns()


class ValidateSettings(Asking):
    """How judges are compared with people."""

    judges: Judges = ()
    """A judge to compare with people: refusals, rubric:MODEL, a guard such as llama-guard:MODEL, a file that `backfire judge
    train` made, or another of docs/guides/judge.md. Where none is given, every judge is asked that needs no model."""
    what: What = "harmful"
    """What the labels say: that a response does harm, or that it declines."""
    columns: LabelColumns = LabelColumns()

    @model_validator(mode="after")
    def _threshold_cuts_a_grade(self) -> ValidateSettings:
        if self.opening.threshold is not None and not self.judges:
            raise ValueError(
                f"{{threshold}} {self.opening.threshold:g}: the offline judges give no grade; name by {{judges}} one that does"
            )
        return self


class TrainJudgeSettings(Settings):
    """How a judge is trained on labelled responses."""

    what: What = "harmful"
    """What the labels say: that a response does harm, or that it declines."""
    model: Annotated[ModelReference | None, Metavar("MODEL")] = None
    """A model at hand whose hidden states the judge reads in the place of the text: a checkpoint folder, a GGUF file or a hub
    name. The judge's file names it, and the judge needs it wherever it is used."""
    dtype: Annotated[Dtype, Metavar("NAME"), Group(OPENING)] = "auto"
    """The numbers that this model computes in: auto is the checkpoint's own; or float32, bfloat16, float16."""
    device: Annotated[str | None, Metavar("NAME"), Group(OPENING)] = None
    """Where this model computes: cpu, cuda, or auto to spread it over several devices. Where it is not given, a GPU is taken if
    there is one."""
    note: Annotated[str, Metavar("TEXT")] = ""
    """A text that is kept in the judge's file, such as the data's source and licence."""
    columns: LabelColumns = LabelColumns()


class CorrectSettings(Settings):
    """How an attack success rate is corrected for its judge's errors."""

    labels: Annotated[FileReference, Metavar("FILE")]
    """Responses that people labelled, read as `backfire judge validate` reads them."""
    judge: Annotated[JudgeReference, Metavar("JUDGE")]
    """The judge whose rate is corrected: refusals, rubric:MODEL, a guard such as llama-guard:MODEL, a file that `backfire
    judge train` made, or another of docs/guides/judge.md."""
    same_policy_and_attack: bool = False
    """You vouch for it that the labelled responses are the same policy's, to the same attack. Without this no rate is
    corrected."""
    kind: Kind = "harmful"
    """What the requests ask for, where the file has no column `kind`. A judge of refusals calls a response that complies
    harmful only where the request is."""
    columns: LabelColumns = LabelColumns()
    opening: JudgeOpening = JudgeOpening()

"""How a model is opened: the settings that everything shares which opens one, and the length that training cuts at."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from backfire.settings import FileReference, FolderReference, Metavar, Settings

MAX_LENGTH = 1024
"""Tokens of prompt and response together: TRL's default, and that of `train dpo`."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class Opening(Settings):
    """How a model is opened."""

    group = "Opening the model"

    chat_template: Annotated[FileReference | None, Metavar("FILE")] = None
    """A Jinja file that takes the place of the model's chat template, for a model that has none or a wrong one."""
    adapter: Annotated[FolderReference | None, Metavar("FOLDER")] = None
    """The folder of a PEFT adapter that is put on the model."""
    dtype: Annotated[Dtype, Metavar("NAME")] = "auto"
    """The numbers that the model computes in: auto is the checkpoint's own; or float32, bfloat16, float16."""
    device: Annotated[str | None, Metavar("NAME")] = None
    """Where the model computes: cpu, cuda, or auto to spread it over several devices. Where it is not given, a GPU is
    taken if there is one."""

    @property
    def given(self) -> tuple[str, ...]:
        """The fields that are not at their default."""
        fields = type(self).model_fields
        return tuple(name for name in fields if getattr(self, name) != fields[name].default)

    def options(self) -> dict[str, Any]:
        """The same as keywords of `open_model`."""
        return {name: getattr(self, name) for name in type(self).model_fields}

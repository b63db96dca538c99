"""Fields that name an input: a model, a judge, a data set, prompts, a file.

A mark says which kind of input a field names, so that whoever needs the digests of a stage's inputs reads them from its
settings. On the command line and in a study file such a field is a text; in Python it takes the opened object, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

InputKind = Literal[
    "model", "reward model", "embedder", "judge", "suite", "data set", "prompts", "file", "folder", "ledger"
]


@dataclass(frozen=True)
class Reference:
    """The mark itself."""

    kind: InputKind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if source is Path:
            return handler(source)
        return core_schema.no_info_plain_validator_function(
            self._checked, serialization=core_schema.plain_serializer_function_ser_schema(_named)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        text = {"type": "string"}
        return {"anyOf": [text, {"type": "array", "items": text}]} if self.kind == "suite" else text

    def _checked(self, value: Any) -> Any:
        if isinstance(value, str) and not value.strip():
            raise ValueError(f"name a {self.kind}, the text is empty")
        if value is None or isinstance(value, (bool, int, float)):
            raise ValueError(f"name a {self.kind} by a text, or give the opened one")
        return value


def _named(value: Any) -> str:
    """A reference as a text: an opened object goes by its name."""
    return str(value) if isinstance(value, (str, Path)) else str(getattr(value, "name", type(value).__name__))


ModelReference = Annotated[Any, Reference("model")]
"""A checkpoint or adapter folder, a GGUF file, a hub name, `organism:NAME`, `openai:MODEL[@URL]`; or what `open_model`
gave."""
RewardModelReference = Annotated[Any, Reference("reward model")]
"""A sequence classifier by its folder or hub name; or what `open_reward_model` gave."""
EmbedderReference = Annotated[Any, Reference("embedder")]
"""A sentence-embedding model by its folder or hub name; or what `open_embedder` gave."""
JudgeReference = Annotated[Any, Reference("judge")]
"""A judge as `open_judge` names it; or a judge."""
SuiteReference = Annotated[Any, Reference("suite")]
"""A suite of attacks as `open_suite` names it; or a list of names or of attacks."""
DatasetReference = Annotated[Any, Reference("data set")]
"""Preference data in any form: a file, a folder, a hub name; or rows and data sets in memory."""
PromptsReference = Annotated[Any, Reference("prompts")]
"""Prompts: a file, a published set, a hub name, `organism:prompts/NAME`; or a list of prompts."""
FileReference = Annotated[Path, Reference("file")]
"""The path of a file that is read."""
FolderReference = Annotated[Path, Reference("folder")]
"""The path of a folder that is read."""
LedgerReference = Annotated[Any, Reference("ledger")]
"""The path of a ledger; or the open ledger."""

"""What the rows of attacks, general tasks and studies have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Label = Annotated[str, Field(min_length=1)]


class Row(BaseModel):
    """Strict about the documented fields; fields that are not documented are kept, not shown."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)

"""What every part of a specification is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """Base of every part of a specification: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
